"""A table of the evaluation rows that were found among the rows that train."""

from typing import TYPE_CHECKING

from flan_jax.evaluation.tables import NOTHING, Table

if TYPE_CHECKING:  # data imports TensorFlow, which a table does not need
  from flan_jax.data.contamination import Contamination


def contamination_table(found: 'Contamination') -> Table:
  """Returns one row per evaluation dataset: its rows, those found, their share, and where they were found."""
  rows = []
  for one in found.datasets:
    share = 100.0 * (one.exact + one.overlapping) / one.rows if one.rows else 0.0
    where = ', '.join(f'{name} {count:,}' for name, count in one.by_training_dataset.items()) or NOTHING
    rows.append((one.dataset, one.cluster, where, f'{one.rows:,}', f'{one.exact:,}', f'{one.overlapping:,}',
                 f'{share:.1f}', f'{one.training_rows:,}'))  # fmt: skip
  columns = ('dataset', 'cluster', 'training rows of', 'rows', 'exact', 'overlapping', '% found', 'training rows')
  done = 'were left out of training' if found.removed else 'train'
  note = (f'Rows of {found.split!r} that equal a training row or one of its long fields, and others that share '
          f'{found.n} words in a row with one. The training rows {done}.')
  optional = ('cluster', 'training rows of', 'training rows', '% found')
  return Table('Evaluation rows among the training rows', columns, rows, note, texts=3, optional=optional)
