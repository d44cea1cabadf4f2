"""Rank classification of real rows: of any length, with two to five options of any length, packed together."""

import jax
import numpy as np
import pytest
from flax import nnx

from flan_jax import peft
from flan_jax.data.rows import rows
from flan_jax.evaluation.rank import rank
from flan_jax.models import T5, Scorer, T5Config, bucketing, target_log_likelihood
from tests.data.conftest import real_tfds  # noqa: F401  a fixture

TASKS = ('copa', 'arc_challenge', 'cb')
CONFIG = T5Config(vocab_size=32128, emb_dim=16, num_heads=2, head_dim=8, mlp_dim=32, num_encoder_layers=2,
                  num_decoder_layers=2, dtype='float32')  # fmt: skip


@pytest.fixture(scope='module')
def real_rows(real_tfds):  # noqa: F811
  lengths = {'inputs': 256, 'targets': 64}
  return [row for task in TASKS for row in rows(f'flan2021.{task}.template_0', 'validation', 12, 0, lengths)]


@pytest.mark.parametrize('method', [peft.LoRA(rank=2, init='pissa'), peft.PromptTuning(length=5, where='both')],
                         ids=['lora', 'prompt'])
def test_scores_are_those_of_one_option_at_a_time(method, real_rows):
  model = T5(CONFIG, rngs=nnx.Rngs(0))
  method.attach(model, nnx.Rngs(params=1))
  graphdef, state = nnx.split(model)
  score = jax.jit(lambda state, *pair: target_log_likelihood(nnx.merge(graphdef, state), *pair))
  predictions = rank(real_rows, Scorer(model, batch_size=16))
  assert {len(row.options) for row in real_rows} >= {2, 3, 4}
  for row, prediction in zip(real_rows, predictions, strict=True):
    assert prediction.row_id == row.row_id
    inputs = bucketing.pad_rows([row.inputs], 1, 256)
    alone = [score(state, inputs, bucketing.pad_rows([tokens], 1, 64))[0] for tokens in row.option_tokens]
    np.testing.assert_allclose(prediction.scores, alone, rtol=1e-5)
    assert prediction.prediction == row.options[int(np.argmax(alone))]
    assert prediction.credit == float(prediction.prediction == row.answer)
