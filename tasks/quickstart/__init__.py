"""The embedded suite: small English tasks in clusters like FLAN's, with no network and no downloads.

Every dataset has `text`-like fields, yes/no options and several wordings; the eight yes/no datasets of training come in
pairs that ask a question and its opposite. NLI and paraphrase are held out together, as FLAN's rule has it.
"""

from flan_jax.data import registry
from tasks.quickstart import (
  boolean_qa,
  builder,
  closed_book_qa,
  nli,
  paraphrase,
  reading_comprehension,
  sentiment,
  summarization,
  text_editing,
  topic,
)

_CLUSTERS = (
  boolean_qa, reading_comprehension, text_editing, closed_book_qa, topic, summarization, sentiment, nli, paraphrase,
)  # fmt: skip
DATASETS = tuple(dataset for cluster in _CLUSTERS for dataset in cluster.DATASETS)
EXCLUSIONS = {'nli': ('paraphrase',), 'paraphrase': ('nli',)}

BUILDER = builder.FlanQuickstart  # imported for TFDS to know it: its rows are generated where they are missing
FAMILY = registry.register_family('quickstart', DATASETS, exclusions=EXCLUSIONS, max_rate=1,
                                  shuffle_buffer_size=100, prefix='', check=False)  # datasets carry the family's name
