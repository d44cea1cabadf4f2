"""Runs T5's own metrics on cases of ours, and writes inputs and numbers down for `test_official_metrics.py`.

T5 is no dependency, and its package imports far more than its metrics need: two of its files are read from an unpacked
wheel. Written by

  pip download t5==0.9.4 --no-deps -d /tmp/t5 && unzip -q /tmp/t5/t5-0.9.4-*.whl -d /tmp/t5
  python -m tests.evaluation.official_metrics /tmp/t5 > tests/evaluation/official_metrics.json
"""

import json
import pathlib
import sys
import types
from collections.abc import Sequence
from typing import Any

# References of each row, and what was answered.
TEXTS: dict[str, list[tuple[list[str], str]]] = {
  'plain': [(['the red house'], 'a red house'), (['Paris'], 'London'), (['forty two'], 'forty two')],
  'partial': [(['the river runs north'], 'river runs to the north'), (['ha ha ha'], 'ha ha')],
  'several references': [
    (['Ada Lovelace', 'Lovelace', 'Countess of Lovelace'], 'the countess'),
    (['12 May', 'May 12', 'the twelfth of May'], 'May the 12'),
    (['none'], 'nothing'),
  ],
  'ties': [(['left bank', 'right bank'], 'bank'), (['up', 'down'], 'down'), (['one two', 'two one'], 'one two')],
  'punctuation': [
    (['U.S.A.'], 'USA'),
    (['well-known'], 'well known'),
    (["rock 'n' roll"], 'rock n roll'),
    (['3.14'], '3,14'),
    (['"yes!"'], 'yes'),
    (['snake_case'], 'snake case'),
  ],
  'typographic': [(['the poet’s ‘Ode’'], 'poets ode'), (['O´Hara'], "O'Hara"), (['naïve — café'], 'naive cafe')],
  'unicode': [(['Köln', 'Cologne'], 'köln'), (['東京'], '東京'), (['ﬁve'], 'five'), (['ÉCOLE'], 'école')],
  'articles': [(['a'], 'b'), (['theatre of an era'], 'the theatre of era'), (['A-team'], 'team'), (['an'], 'x')],
  'spaces': [(['two  words'], 'two words'), (['tab\tbed'], 'tab bed'), (['line\nbreak'], 'line break')],
  'capitals': [(['Mr Smith of York'], 'mr smith of york')],
  'nothing is left': [(['the'], 'a'), (['...'], ''), (['word'], 'word')],
  'outer space': [(['yes'], ' yes\n'), (['no '], 'no')],
  'an empty answer': [(['something'], ''), (['more', 'most'], '   '), (['right'], 'right')],
}
SENTENCES: dict[str, list[tuple[str, str]]] = {
  'news': [
    ('The council voted to close the old bridge on Monday.', 'On Monday the council voted for closing the bridge.'),
    ('Rain is expected in the north, with snow on the hills.', 'Snow is expected on the hills.'),
    ('Nobody was hurt.', 'Nobody was hurt.'),
  ],
  'short': [('a b c d e f', 'a b c d e f g h'), ('one two three four five', 'one two three four')],
  'foreign': [('Das Brot kostet 3 € – heute.', 'Das Brot kostet 3€ – morgen.'), ('“Ja”, sagte er.', '"Ja", sagte er.')],
  'unequal': [('this has nothing to do with it', 'other words altogether'), ('so it goes on and on', 'so it goes')],
}
SUMMARIES = [
  ('the ship sank . all were saved . the cause is unknown .', 'all were saved . the ship sank .'),
  ('A mayor resigned after the vote.', 'The mayor has resigned.'),
  ('prices rose by 3.5 % in may', 'in may prices rose'),
  ('Straße und Fluß', 'Strasse und Fluss'),
  ('running runners ran', 'run runner'),
  ('word', ''),
]
NUMBERS: dict[str, list[tuple[str, str]]] = {
  'close': [('0', '1'), ('1', '1'), ('2', '3'), ('3', '2'), ('4', '4'), ('5', '5')],
  'ties': [('0', '2'), ('0', '2'), ('3', '2'), ('3', '4'), ('5', '4'), ('5', '0')],
  'opposite': [('1', '5'), ('2', '4'), ('3', '3'), ('4', '1')],
  'decimals': [('0.4', '0.6'), ('2.75', '3.0'), ('3.2', '2.9'), ('4.8', '5'), ('1.0', '1e0')],
  'no numbers': [('0', 'zero'), ('2', '2'), ('4', '4.5'), ('5', ''), ('1', '1.0.'), ('3', ' 3 ')],
}
CLASSES: dict[str, tuple[list[str], list[tuple[str, str]]]] = {
  'pairs': (['no', 'yes'], [('yes', 'yes'), ('yes', 'no'), ('no', 'yes'), ('no', 'no'), ('yes', 'yes'), ('no', 'no')]),
  'texts that are no class': (
    ['no', 'yes'], [('yes', 'Yes'), ('yes', 'yes'), ('no', ''), ('no', 'no'), ('no', 'maybe'), ('yes', 'no')],
  ),
  'nothing found': (['no', 'yes'], [('yes', 'no'), ('no', 'no'), ('yes', 'no'), ('no', 'no')]),
  'three': (
    ['true', 'false', 'neither'],
    [('true', 'true'), ('true', 'false'), ('false', 'false'), ('false', 'neither'), ('neither', 'true'),
     ('true', 'true'), ('neither', 'neither'), ('false', 'false'), ('true', 'neither')],
  ),
  'three, one of them absent': (['true', 'false', 'neither'], [('true', 'true'), ('false', 'true'), ('true', 'true')]),
  'three, texts that are no class': (
    ['true', 'false', 'neither'], [('true', 'truth'), ('false', 'false'), ('neither', ''), ('true', 'true')],
  ),
}  # fmt: skip
# Question, reference, answer: the rows of a question need not stand together.
QUESTIONS: dict[str, list[tuple[str, str, str]]] = {
  'three questions': [
    ('q1', 'yes', 'yes'), ('q1', 'no', 'no'), ('q2', 'yes', 'no'), ('q3', 'no', 'yes'), ('q1', 'yes', 'yes'),
    ('q2', 'no', 'no'), ('q3', 'yes', 'yes'),
  ],
  'texts that are no class': [('a', 'yes', 'yes'), ('a', 'no', 'perhaps'), ('b', 'no', 'no'), ('b', 'yes', 'Yes')],
  'all wrong': [('a', 'yes', 'no'), ('b', 'no', 'yes')],
}  # fmt: skip


def main(folder: str) -> None:
  """Prints all cases with the official numbers as JSON."""
  official, post = _load(folder)
  cases = [*_texts(official), *_sentences(official), *_numbers(official, post), *_classes(official, post),
           *_questions(official, post)]  # fmt: skip
  json.dump(cases, sys.stdout, indent=1, ensure_ascii=False)
  print()


def _load(folder: str) -> tuple[Any, Any]:
  """Imports the metrics and what T5 does to texts before them, from files below a folder."""
  for name in ('t5', 't5.evaluation', 't5.data'):
    package = types.ModuleType(name)
    package.__path__ = [str(pathlib.Path(folder, *name.split('.')))]
    sys.modules[name] = package
  import t5.data.postprocessors as post
  import t5.evaluation.metrics as official

  return official, post


def _case(name: str, metric: str, targets: Sequence[Any], texts: Sequence[str], numbers: dict[str, Any], **more: Any):
  values = {key: float(value) for key, value in numbers.items()}
  return {'case': name, 'metric': metric, 'targets': targets, 'predictions': texts, **more, 'official': values}


def _texts(official: Any):
  for name, rows in TEXTS.items():
    targets, texts = [list(references) for references, _ in rows], [text for _, text in rows]
    for metric in ('squad', 'trivia_qa'):
      yield _case(name, metric, targets, texts, getattr(official, metric)(targets, texts))
    groups = [str(place // 2) for place in range(len(rows))]  # every second row repeats the question before it
    asked = [{'group': group, 'value': references} for group, references in zip(groups, targets, strict=True)]
    found = official.deduplicate_metric(official.squad)(asked, [{'value': text} for text in texts])
    yield _case(name, 'record', targets, texts, found, groups=groups)
    firsts = [references[0] for references in targets]
    yield _case(name, 'accuracy', firsts, texts, official.accuracy(firsts, texts))
    yield _case(name, 'sequence_accuracy', firsts, texts, official.sequence_accuracy(firsts, texts))
    yield _case(name, 'edit_distance', firsts, texts, official.edit_distance(firsts, texts))


def _sentences(official: Any):
  for name, rows in SENTENCES.items():
    targets, texts = [target for target, _ in rows], [text for _, text in rows]
    yield _case(name, 'bleu', targets, texts, official.bleu(targets, texts))
    # T5 takes a list of streams, each with one reference for every row.
    streams = [targets, [text.upper() for text in targets], texts[1:] + texts[:1]]
    found = official.bleu(streams, texts)
    yield _case(name, 'bleu', [list(row) for row in zip(*streams, strict=True)], texts, found)
  # One row at a time: of several T5 reports the median of resampled means, which is drawn anew each time.
  for target, text in SUMMARIES:
    yield _case(target, 'rouge', [target], [text], official.rouge([target], [text]))


def _numbers(official: Any, post: Any):
  for name, rows in NUMBERS.items():
    targets, texts = [target for target, _ in rows], [text for _, text in rows]
    numbers = [[post.string_to_float(text) for text in side] for side in (targets, texts)]
    for metric in ('pearson_corrcoef', 'spearman_corrcoef'):
      yield _case(name, metric, targets, texts, getattr(official, metric)(*numbers))


def _classes(official: Any, post: Any):
  for name, (classes, rows) in CLASSES.items():
    targets, texts = [target for target, _ in rows], [text for _, text in rows]
    ids = [[post.string_label_to_class_id(text, classes) for text in side] for side in (targets, texts)]
    found = official.mean_multiclass_f1(len(classes))(*ids)
    yield _case(name, 'macro_f1', targets, texts, found, classes=classes)
    if len(classes) == 2:
      yield _case(name, 'binary_f1', targets, texts, official.f1_score_with_invalid(*ids), classes=classes)
    matthews = official.sklearn_metrics_wrapper('matthews_corrcoef', metric_post_process_fn=lambda value: 100 * value)
    yield _case(name, 'matthews_correlation', targets, texts, matthews(targets, texts), classes=classes)


def _questions(official: Any, post: Any):
  for name, rows in QUESTIONS.items():
    classes = ['no', 'yes']
    groups, targets, texts = ([row[place] for row in rows] for place in range(3))
    ids = [[post.string_label_to_class_id(text, classes) for text in side] for side in (targets, texts)]
    asked = [{'group': group, 'value': number} for group, number in zip(groups, ids[0], strict=True)]
    answered = [{'value': number} for number in ids[1]]
    found = official.multirc_f1_over_all_answers(asked, answered)
    found |= official.mean_group_metric(official.all_match)(asked, answered)
    yield _case(name, 'multirc', targets, texts, found, groups=groups, classes=classes)


if __name__ == '__main__':
  main(*sys.argv[1:])
