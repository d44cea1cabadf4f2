"""The embedded suite: small English tasks in clusters like FLAN's, with no network and no downloads.

Every dataset has `text`-like fields, yes/no options and several wordings; the eight yes/no datasets of training come in
pairs that ask a question and its opposite. NLI and paraphrase are held out together, as FLAN's rule has it.
"""

import seqio

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
from tasks.quickstart.rows import OPPOSITE

_CLUSTERS = (
  boolean_qa, reading_comprehension, text_editing, closed_book_qa, topic, summarization, sentiment, nli, paraphrase,
)  # fmt: skip
DATASETS = tuple(dataset for cluster in _CLUSTERS for dataset in cluster.DATASETS)
EXCLUSIONS = {'nli': ('paraphrase',), 'paraphrase': ('nli',)}

BUILDER = builder.FlanQuickstart  # imported for TFDS to know it: its rows are generated where they are missing
FAMILY = registry.register_family('quickstart', DATASETS, exclusions=EXCLUSIONS, max_rate=1)

# The first stage of the recipe trains on the plain datasets only: with all at once, yes/no skills stay on a plateau.
FIRST_STAGE = 'quickstart.without_nli.plain'
for _suffix in ('', '.fields_only'):
  _plain = [d.name for d in FAMILY.without('nli') if not d.name.endswith(OPPOSITE)]
  seqio.MixtureRegistry.add(f'{FIRST_STAGE}{_suffix}', [f'{name}{_suffix}' for name in _plain], default_rate=1.0)
