"""A folder as a run of the held-out protocol leaves it, answered by rules of known skill: no model, no TensorFlow."""

import dataclasses
import json
import math
import pathlib
import zlib

import numpy as np

from flan_jax.evaluation import results_file, run_logs
from flan_jax.evaluation.paired import paired_accuracy
from flan_jax.evaluation.protocol import evaluate_tasks
from flan_jax.evaluation.results import Chosen, Evaluation, Origin, Point
from tests.evaluation.synthetic import NO, YES, RuleScorer, row

HOSTILE = '</script ><script>document.title = "taken"</script><img src=x onerror="document.title=\'taken\'"> & "quoted"'
ARMS = {
  'tuned': 'instruction-tuned', 'removed': 'same weights, instruction removed',
  'contrast': 'trained without instructions', 'untuned': 'untuned',
}  # fmt: skip
# How often each arm is right about each cluster.
SKILL = {
  'nli': {'tuned': 0.78, 'removed': 0.55, 'contrast': 0.5, 'untuned': 0.5},
  'paraphrase': {'tuned': 0.7, 'removed': 0.7, 'contrast': 0.6, 'untuned': 0.48},
  'coreference': {'tuned': 0.52, 'removed': 0.5, 'contrast': 0.5, 'untuned': 0.51},
}
FOLDERS = {'tuned': 'tuned', 'removed': 'tuned', 'contrast': 'contrast'}
DATASETS = {'nli': ('rte', 'cb'), 'paraphrase': ('mrpc', 'paws_wiki'), 'coreference': ('wsc273', 'winogrande')}
TEXTS = (
  'The committee met on Tuesday and postponed the vote until the budget had been read in full.',
  'A late frost had taken most of the blossom, so the orchard gave little fruit that year.',
  'The ferry does not run in winter; from November on the island is reached by air alone.',
)


def rows(dataset: str, cluster: str, template: int, count: int) -> list:
  made = []
  for number in range(count):
    answer = 'yes' if zlib.crc32(f'{dataset} {number}'.encode()) % 2 else 'no'
    one = row(f'{dataset}-test__{number}', answer=answer, dataset=dataset, cluster=cluster, template=template,
              inputs=(number + 10, template + 2, 7 if answer == 'yes' else 8, len(dataset), 1))  # fmt: skip
    text = HOSTILE if number == 3 else TEXTS[number % len(TEXTS)]
    asked = f'Question {template}: does it follow that statement {number} of {dataset} holds?'
    made.append(dataclasses.replace(one, inputs_pretokenized=f'{text}\n\n{asked}\nOPTIONS:\n- yes\n- no'))
  return made


def _chance(*words) -> float:
  return zlib.crc32(' '.join(map(str, words)).encode()) / 2**32


def answering(skill: float, name: str) -> RuleScorer:
  """Is right about a share of the questions, surer of some than of others, and a little better under some templates."""

  def rule(source, option):
    number, template, answer, dataset = source[:4]
    luck = [_chance(name, dataset, number), _chance(name, dataset, number, template)][_chance(number, template) < 0.3]
    right = luck < skill + 0.03 * (template - 3)
    wanted = answer if right else 15 - answer
    return (0.3 + 3.0 * _chance('sure', name, dataset, number, template)) if option == {7: YES, 8: NO}[wanted] else 0.0

  return RuleScorer(rule)


def evaluation(cluster: str, arm: str, *, templates: int = 3, count: int = 60,
               skill: float | None = None) -> Evaluation:
  skill = SKILL[cluster][arm] if skill is None else skill
  tasks = [rows(dataset, cluster, template, count) for dataset in DATASETS[cluster] for template in range(templates)]
  found = evaluate_tasks(tasks, ARMS.get(arm, arm), answering(skill, f'{cluster}{arm}'), checkpoint=f'{cluster}/{arm}')
  datasets = [
    dataclasses.replace(one, chosen=Chosen(best := max(one.by_template, key=one.by_template.get), 'validation',
                                           one.best - 1.0, next(r.score for r in found.templates if r.task == best)))
    for one in found.datasets
  ]  # fmt: skip
  return dataclasses.replace(found, datasets=datasets)


def generated(cluster: str) -> Evaluation:
  """A cluster that is answered by writing, right about every other row."""
  asked = []
  for number in range(30):
    made = row(f'story__{number}', answer=f'ending {number}', options=(), dataset='stories', cluster=cluster,
               inputs=(number + 10, 1), references=[f'ending {number}', f'end {number}'])  # fmt: skip
    asked.append(dataclasses.replace(made, inputs_pretokenized=f'How does story {number} end? {HOSTILE}'))
  texts = {number: f'ending {number}' if number % 2 else HOSTILE for number in range(30)}

  def generator(inputs):
    return [[int(tokens[0]) - 10] for tokens in inputs]

  return evaluate_tasks([asked], 'writes', generator=generator, decode=lambda tokens: texts[tokens[0]])


def origin(cluster: str, arm: str, **more) -> Origin:
  trained = [name for other, names in DATASETS.items() if other != cluster for name in names]
  tuned = arm != 'untuned'
  known = {
    'held_out': cluster, 'arm': arm, 'trained_on': trained if tuned else [], 'steps': 1500 if tuned else 0,
    'method': {'method': 'lora', 'rank': 8} if tuned else {}, 'parameters': 76_961_152,
    'trainable': 589_824 if tuned else 0, 'seed': 0, 'digest': f'{zlib.crc32((cluster + arm).encode()):08x}' * 2,
    'folder': f'{cluster}/{FOLDERS[arm]}' if arm in FOLDERS else '',
  }  # fmt: skip
  return Origin(**{**known, **more})


def evaluations(clusters=tuple(DATASETS), **options) -> list[Evaluation]:
  """Every arm of every cluster, then two curves."""
  found = [dataclasses.replace(evaluation(cluster, arm, **options), origin=origin(cluster, arm))
           for cluster in clusters for arm in ARMS]  # fmt: skip
  for cluster in clusters[:2]:
    for series in ('order 1', 'order 2'):
      for x in (1, 2, 4):
        skill = 0.5 + 0.2 * math.log2(x) / 2 + (0.04 if series == 'order 2' else 0.0)
        one = evaluation(cluster, 'tuned', count=40, templates=2, skill=skill)
        name = f'clusters_{x}_{series[-1]}'
        point = origin(cluster, name, point=Point('training clusters', float(x), series))
        found.append(dataclasses.replace(one, origin=point))
  for parameters in (1e6, 8e6, 6.4e7):
    one = evaluation('nli', 'tuned', count=40, templates=2, skill=0.5 + 0.1 * math.log10(parameters / 1e6))
    point = origin('nli', f'size_{parameters:.0f}', point=Point('parameters', parameters))
    found.append(dataclasses.replace(one, origin=point))
  return found


def with_opposites(found: Evaluation) -> Evaluation:
  """Pairs the two datasets of an evaluation, as though the second asked the opposite of the first."""
  first, second = ([one for one in found.templates if one.dataset == name] for name in dict.fromkeys(
    one.dataset for one in found.templates))  # fmt: skip
  same = [dataclasses.replace(one, predictions=[
    dataclasses.replace(prediction, row_id=f'{first[0].dataset}-test__{place}')
    for place, prediction in enumerate(one.predictions)]) for one in second]  # fmt: skip
  return dataclasses.replace(found, paired=[paired_accuracy(first, same)])


def write(folder: pathlib.Path, found: list[Evaluation]) -> pathlib.Path:
  """Writes everything that a run writes."""
  results_file.write_results(folder / 'results.json', found, {'gin': 'HELD_OUT = ["nli"]  # <macro>', 'split': 'test'})
  for one in found:
    results_file.write_predictions(folder / 'predictions', one)
  for place in dict.fromkeys(one.origin.folder for one in found if one.origin and one.origin.folder):
    _logs(folder / place)
  for cluster in dict.fromkeys(one.origin.held_out for one in found if one.origin):
    _contamination(folder / 'contamination' / cluster, cluster)
  return folder


def _logs(folder: pathlib.Path) -> None:
  rng = np.random.default_rng(zlib.crc32(folder.name.encode()))
  for stage in (1, 2):
    run = folder / f'stage_{stage}'
    run.mkdir(parents=True, exist_ok=True)
    lines = []
    for step in range(50, 751, 50):
      loss = 0.4 + 3.6 * math.exp(-(step + 750 * (stage - 1)) / 260) + 0.03 * float(rng.normal())
      lines.append({'step': step, 'split': 'train', 'loss': loss, 'accuracy': 1 - loss / 5, 'learning_rate': 1e-3})
      if step % 250 == 0:
        lines += [{'step': step, 'split': f'training_eval/{name}', 'loss': loss + extra, 'accuracy': 0.7}
                  for name, extra in (('boolq', 0.1), ('sst2', 0.2))]  # fmt: skip
    (run / 'metrics.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
  watched = []
  for step, change in ((0, None), (400, -2.0), (750, -6.5)):
    for task, scale in (('glue_sst2', 1.0), ('squad', -0.3)):
      moved = (change or 0.0) * scale
      watched.append({
        'step': step, 'task': task, 'dataset': task, 'metric': 'accuracy', 'score': _estimate(80.0 + moved, 4.0),
        'change': None if change is None else _estimate(moved, 2.2),
      })  # fmt: skip
  (folder / 'stage_2' / 'forgetting.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in watched))


def watched(folder: pathlib.Path) -> list[run_logs.Watched]:
  """What a run of `write` has watched."""
  _logs(folder)
  return run_logs.forgetting(folder)


def _estimate(value: float, half: float) -> dict:
  return {'value': value, 'low': value - half, 'high': value + half, 'n': 200}


def _contamination(folder: pathlib.Path, cluster: str) -> None:
  folder.mkdir(parents=True)
  datasets = [
    {'dataset': name, 'cluster': cluster, 'rows': 60, 'exact': 2 * place, 'overlapping': 3 * place,
     'training_rows': 7 * place, 'by_training_dataset': {'boolq': 4 * place, 'sst2': 3 * place} if place else {}}
    for place, name in enumerate(DATASETS[cluster])
  ]  # fmt: skip
  record = {'n': 13, 'split': 'test', 'removed': False, 'training': ['boolq', 'sst2'], 'datasets': datasets}
  (folder / 'contamination.json').write_text(json.dumps(record))
