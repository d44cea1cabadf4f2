"""The rules that read rows: empty fields, answers that give themselves away, options that miss the answer."""

from collections.abc import Iterator, Sequence

from flan_jax.data import options
from flan_jax.data.dataset import Dataset
from flan_jax.data.template import ANSWER
from flan_jax.lint.faults import Fault
from flan_jax.lint.samples import Sample

FEW = 8  # with fewer rows, what holds for nearly all of them may be chance
NEARLY_ALL = 0.9
HALF = 0.5


def check(dataset: Dataset, sample: Sample) -> Iterator[Fault]:
  """Judges a dataset by some of its rows.

  Yields:
    What is wrong.
  """
  yield from _empty(dataset, sample)
  yield from _options(dataset, sample)
  if len(sample) >= FEW:
    yield from _leaks(dataset, sample)


def _empty(dataset: Dataset, sample: Sample) -> Iterator[Fault]:
  for name, texts in sample.texts.items():
    users = [index for index, template in enumerate(dataset.templates) if name in template.fields]
    if users and not any(text.strip() for text in texts):
      read = f'all {len(texts)} {sample.split} rows that were read'
      yield Fault('empty-field', f'{{{name}}} is empty in {read}.', users[0])


def _options(dataset: Dataset, sample: Sample) -> Iterator[Fault]:
  showing = [index for index, template in enumerate(dataset.templates)
             if template.shows_options and template.option_style != options.NONE]  # fmt: skip
  bare = [row for row, choices in enumerate(sample.options) if not choices]
  blank = [row for row, choices in enumerate(sample.options) if any(not choice.strip() for choice in choices)]
  if showing and bare:
    yield Fault('options-not-rendered', f'{_some(sample, bare)} no options to put in place of {{options}}.', showing[0])
  if showing and blank:
    yield Fault('options-not-rendered', f'{_some(sample, blank)} a blank option.', showing[0])
  answers = sample.texts[ANSWER]
  wrong = [row for row, choices in enumerate(sample.options) if choices and answers[row] not in choices]
  if wrong:
    yield Fault('target-not-option', f'{_some(sample, wrong)} an answer that is none of the options: '
                f'{answers[wrong[0]]!r} is not among {_listed(sample.options[wrong[0]])}.')  # fmt: skip
  twice = [row for row, choices in enumerate(sample.options) if len(set(choices)) < len(choices)]
  if twice:
    yield Fault('repeated-option', f'{_some(sample, twice)} an option twice: {_listed(sample.options[twice[0]])}.')


def _leaks(dataset: Dataset, sample: Sample) -> Iterator[Fault]:
  """Finds fields that give the answer away.

  That the answer stands somewhere in a passage is no fault: it is what reading comprehension is about, and "yes" is a
  word like others. A fault is a field that is the answer, or begins or ends with it, row after row; and one that, where
  the options are the same in every row, has the right one in it row after row and the wrong ones much more rarely.
  """
  for name in sample.texts:
    users = [index for index, template in enumerate(dataset.templates) if name in template.fields
             and not template.inverted]  # fmt: skip
    how = _gives_away(sample, name) if users and name != ANSWER else None
    if how:
      yield Fault('answer-in-inputs', f'{{{name}}} {how} in nearly all of the {len(sample)} {sample.split} rows that '
                  'were read.', users[0])  # fmt: skip


def _gives_away(sample: Sample, name: str) -> str | None:
  texts = [text.strip().lower() for text in sample.texts[name]]
  answers = [text.strip().lower() for text in sample.texts[ANSWER]]
  pairs = list(zip(texts, answers, strict=True))
  # Where all answers are alike, nothing can be said of what goes with them.
  if len(set(answers)) > 1:
    if _share([text == answer for text, answer in pairs]) >= NEARLY_ALL:
      return 'is the answer'
    if _share([_ends(text, answer) for text, answer in pairs]) >= NEARLY_ALL:
      return 'ends with the answer'
    if _share([_begins(text, answer) for text, answer in pairs]) >= NEARLY_ALL:
      return 'begins with the answer'
  if len({tuple(sorted(choices)) for choices in sample.options}) > 1:
    return None  # options of the row's own are things that its passage speaks of, not labels
  right: list[bool] = []
  wrong: list[bool] = []
  for text, answer, choices in zip(texts, answers, sample.options, strict=True):
    for choice in {choice.strip().lower() for choice in choices}:
      (right if choice == answer else wrong).append(choice in text)
  if wrong and _share(right) >= NEARLY_ALL and _share(wrong) <= HALF:
    return 'has the right option in it, and seldom another one,'
  return None


def _begins(text: str, answer: str) -> bool:
  """Whether an answer stands first in a text, as words of its own: "valid" does not begin "validity"."""
  if not answer or not text.startswith(answer):
    return False
  return not (answer[-1].isalnum() and text[len(answer) : len(answer) + 1].isalnum())


def _ends(text: str, answer: str) -> bool:
  """Whether an answer stands last in a text, as words of its own: "valid" does not end "invalid"."""
  return _begins(text[::-1], answer[::-1])


def _share(judged: Sequence[bool]) -> float:
  return sum(judged) / len(judged) if judged else 0.0


def _some(sample: Sample, rows: Sequence[int]) -> str:
  """How many rows, and which is the first of them."""
  have = 'has' if len(rows) == 1 else 'have'
  return f'{len(rows)} of {len(sample)} {sample.split} rows (the first is {sample.ids[rows[0]]}) {have}'


def _listed(choices: Sequence[str]) -> str:
  shown = ', '.join(map(repr, choices[:6]))
  return shown + (', ...' if len(choices) > 6 else '')
