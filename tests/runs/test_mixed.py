"""Lines that each name their adapter: answered in their order, as each adapter alone answers them."""

import numpy as np
import pytest
from flax import nnx

from flan_jax import peft
from flan_jax.errors import UserError
from flan_jax.models import Generator
from flan_jax.runs.mixed import MixedGenerator
from tests.peft.methods import METHODS, base, stirred

LINES = [np.array(row, np.int32) for row in ([5, 6], [7, 8, 9], [5, 6], [4], [7, 8, 9])]


@pytest.mark.parametrize(('second', 'by_row'), [('ia3', True), ('norms', False)])
def test_each_row_is_answered_by_its_adapter_and_in_its_place(second, by_row, tmp_path):
  directories = {name: str(tmp_path / name) for name in ('lora', second)}
  for name, directory in directories.items():
    peft.save_adapter(stirred(name), directory, METHODS[name])
  model = base()
  mixed = MixedGenerator(Generator(model, max_decode_len=4, batch_size=4), model, directories)
  assert mixed.by_row == by_row
  names = ['lora', None, second, second, 'lora']
  answers = mixed(LINES, names)
  for name in (None, 'lora', second):
    alone = Generator(base() if name is None else stirred(name), max_decode_len=4)(LINES)
    for row, other in enumerate(names):
      assert other != name or answers[row] == alone[row]
  assert mixed(LINES[::-1], names[::-1]) == answers[::-1]


@pytest.mark.parametrize('second', ['ia3', 'norms'])
def test_draws_hang_on_row_ids_and_not_on_the_way_adapters_share_batches(second, tmp_path):
  directories = {name: str(tmp_path / name) for name in ('lora', second)}
  for name, directory in directories.items():
    peft.save_adapter(stirred(name), directory, METHODS[name])
  model = base()
  sampling = {'method': 'sample', 'max_decode_len': 4, 'batch_size': 4}
  mixed = MixedGenerator(Generator(model, **sampling), model, directories)
  names = ['lora', None, second, None, 'lora']
  found = dict(mixed.stream(LINES, names, row_ids=[10, 11, 12, 13, 14]))
  (alone,) = (answer for _, answer in Generator(stirred('lora'), **sampling).stream([LINES[4]], row_ids=[14]))
  assert found[4].tokens == alone.tokens and found[4].ended == alone.ended
  np.testing.assert_allclose(found[4].log_prob, alone.log_prob, rtol=1e-5)
  assert list(mixed.identity) == ['lora', second] and mixed.identity['lora'] != mixed.identity[second]


def test_adapters_of_another_base_are_refused(tmp_path):
  model = base(seed=7)
  METHODS['lora'].attach(model, nnx.Rngs(params=1))
  peft.save_adapter(model, tmp_path / 'lora', METHODS['lora'])
  with pytest.raises(UserError, match='trained on base weights'):
    MixedGenerator(Generator(base()), base(), {'lora': str(tmp_path / 'lora')})
