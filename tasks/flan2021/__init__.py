"""FLAN 2021: datasets by task cluster, with their instruction templates. Importing registers them with SeqIO."""

from flan_jax.data.dataset import Dataset
from flan_jax.data.registry import register_family
from tasks.flan2021 import (
  closed_book_qa,
  commonsense,
  linguistic_acceptability,
  nli,
  paraphrase,
  question_classification,
  sentiment,
  struct_to_text,
  summarization,
)
from tasks.flan2021.clusters import CLUSTERS, EXCLUSIONS

_MODULES = (
  closed_book_qa,
  commonsense,
  linguistic_acceptability,
  nli,
  paraphrase,
  question_classification,
  sentiment,
  struct_to_text,
  summarization,
)

DATASETS: tuple[Dataset, ...] = tuple(
  sorted((dataset for module in _MODULES for dataset in module.DATASETS), key=lambda d: CLUSTERS.index(d.cluster))
)

register_family('flan2021', DATASETS, exclusions=EXCLUSIONS)
