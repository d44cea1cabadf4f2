"""The suite's words: those of its lexicon and of its templates, sorted."""

import dataclasses
import re
from collections.abc import Iterable, Iterator

from flan_jax.data.options import STYLES
from flan_jax.data.template import parse
from flan_jax.data.vocabulary import WordVocabulary
from tasks import quickstart
from tasks.quickstart import lexicon


def quickstart_vocabulary() -> WordVocabulary:
  """Returns a word-level vocabulary that knows every word of the suite."""
  return WordVocabulary(sorted({word for text in _texts() for word in WordVocabulary.split(text)}))


def _texts() -> Iterator[str]:
  for name, value in vars(lexicon).items():
    if name.isupper():
      yield from _strings(value)
  for dataset in quickstart.DATASETS:
    yield dataset.name
    for template in dataset.templates:
      yield from (literal for text in (template.inputs, template.targets) for literal, _ in parse(text))
  yield from (style.header + style.bullet for style in STYLES.values())
  yield from ('a', 'an')  # the articles that the generators put


def _strings(value: object) -> Iterator[str]:
  """Every string inside the lexicon's tuples, dictionaries and relations, placeholders taken out."""
  if isinstance(value, str):
    yield re.sub(r'\{.\}', ' ', value)
  elif isinstance(value, lexicon.Relation):
    yield from _strings(dataclasses.astuple(value))
  elif isinstance(value, dict):
    yield from _strings((*value.keys(), *value.values()))
  elif isinstance(value, Iterable):
    for item in value:
      yield from _strings(item)
