"""Logits as numbers written down: of weights that are a formula, computed once by transformers in float64.

They hold where transformers is not installed, and they would notice a change that both of our own paths share.
"""

import numpy as np
import pytest

from flan_jax.interop import huggingface
from flan_jax.models import shift_right
from tests.models.conftest import tiny_model

SOURCE = np.array([[5, 9, 14, 3, 22, 1, 0, 0], [7, 7, 28, 11, 2, 19, 6, 1]], np.int32)
TARGET = np.array([[4, 17, 1], [23, 8, 1]], np.int32)
GOLDEN = {
  '1.0': ({'mlp_activations': ('relu',), 'logits_via_embedding': True}, [
    [[0.22621, 0.31081, 0.2466, 0.06433], [0.04711, 0.30185, 0.41208, 0.32503],
     [0.45379, 0.5341, 0.35871, 0.01158]],
    [[0.11797, 0.31278, 0.35785, 0.2316], [-0.1378, 0.14352, 0.35613, 0.39824],
     [0.07552, 0.33309, 0.43119, 0.32286]],
  ]),
  '1.1': ({}, [
    [[-1.07284, -0.35883, 0.5919, 1.15216], [-0.26073, -0.24833, -0.07211, 0.15167],
     [-0.38955, -0.18438, 0.14243, 0.37527]],
    [[-0.84539, -0.27853, 0.47207, 0.91126], [-0.55545, -0.18092, 0.31295, 0.60038],
     [-0.45149, -0.12994, 0.27733, 0.50166]],
  ]),
}  # fmt: skip


def formula_weights(changes):
  """Every parameter a sine of its own frequency, at roughly the scale that training leaves; norms near one."""
  shapes = {name: value.shape for name, value in huggingface.base_parameters(tiny_model(**changes)).items()}
  return {
    name: _sine(number, shape) + (1.0 if name.endswith('scale') else 0.0)
    for number, (name, shape) in enumerate(sorted(shapes.items()))
  }


def _sine(number, shape):
  steps = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
  return (0.5 * np.sin((1.0 + 0.37 * number) * steps + number)).astype(np.float32)


@pytest.mark.parametrize('version', GOLDEN)
def test_logits_are_the_numbers_written_down(version):
  changes, expected = GOLDEN[version]
  model = tiny_model(**changes)
  huggingface.load_parameters(model, formula_weights(changes))
  logits = np.asarray(model.decode(model.encode(SOURCE), shift_right(TARGET)))
  np.testing.assert_allclose(logits[:, :, :4], expected, rtol=1e-4, atol=1e-4)
