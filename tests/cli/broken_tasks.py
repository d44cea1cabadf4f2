"""A user's task module with mistakes in it: a field that rows lack, and a dataset without validation rows."""

import dataclasses

from flan_jax.data.registry import register_family
from flan_jax.data.splits import Splits
from flan_jax.data.template import Template
from tasks.quickstart import closed_book_qa

_SYNONYM = next(dataset for dataset in closed_book_qa.DATASETS if dataset.name == 'quickstart_synonym')
MISNAMED = dataclasses.replace(_SYNONYM, name='misnamed', templates=(Template('Is {frist} like {second}?'),))
UNVALIDATED = dataclasses.replace(_SYNONYM, name='unvalidated', splits=Splits(train='train', validation=None))
register_family('broken', (MISNAMED, UNVALIDATED), check=False)  # the first use is to find them
