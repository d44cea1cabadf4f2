"""FLAN 2021: 70 datasets by task cluster, with their instruction templates. Importing registers them with SeqIO."""

from flan_jax.data.dataset import Dataset
from flan_jax.data.registry import register_family, register_mixture
from tasks.flan2021 import (
  arithmetic,
  closed_book_qa,
  commonsense,
  conversational_qa,
  coreference,
  linguistic_acceptability,
  mixtures,
  nli,
  paraphrase,
  question_classification,
  reading_comprehension,
  reading_comprehension_with_commonsense,
  sentiment,
  struct_to_text,
  summarization,
  text_formatting,
  translation,
  word_disambiguation,
)
from tasks.flan2021.clusters import CLUSTERS, EXCLUSIONS

_MODULES = (
  arithmetic,
  closed_book_qa,
  commonsense,
  conversational_qa,
  coreference,
  linguistic_acceptability,
  nli,
  paraphrase,
  question_classification,
  reading_comprehension,
  reading_comprehension_with_commonsense,
  sentiment,
  struct_to_text,
  summarization,
  text_formatting,
  translation,
  word_disambiguation,
)

DATASETS: tuple[Dataset, ...] = tuple(
  sorted((dataset for module in _MODULES for dataset in module.DATASETS), key=lambda d: CLUSTERS.index(d.cluster))
)

# WSC273 has nothing to train on; it has tasks, and belongs to no mixture.
FAMILY = register_family('flan2021', DATASETS, exclusions=EXCLUSIONS, evaluation_only=('wsc273',),
                         check=False)  # importing opens no file; tests/tasks check every declaration

_BY_NAME = {dataset.name: dataset for dataset in FAMILY.datasets}
_CLUSTERS = {cluster: [dataset.name for dataset in inside] for cluster, inside in FAMILY.clusters.items()}
for _name, _inside in mixtures.by_name(_CLUSTERS).items():
  register_mixture(FAMILY, f'{FAMILY.name}.{_name}', [_BY_NAME[dataset] for dataset in _inside])
