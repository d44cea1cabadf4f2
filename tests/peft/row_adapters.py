"""Adapters that do something, alone on a model and side by side in one, and rows of tokens for them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from flan_jax import peft
from flan_jax.peft import io
from tests.peft.methods import METHODS, base

ADAPTERS = {
  'lora': METHODS['lora'],
  'everywhere': METHODS['lora_everywhere'],
  'pissa': METHODS['pissa'],
  'ia3': METHODS['ia3'],
  'prompt': METHODS['prompt'],
  'longer': peft.PromptTuning(length=5, init='uniform'),
  'p_tuning': METHODS['p_tuning'],
  'composed': METHODS['lora_and_prompt'],
}


@functools.cache
def adapter(name, kind):
  model = base(kind)
  method = ADAPTERS[name]
  method.attach(model, nnx.Rngs(params=1))
  found = io.saved_variables(model, method)
  for number, variable in enumerate(found.values()):
    if isinstance(variable, nnx.Param):
      variable.set_value(variable.get_value() + 0.3 * jax.random.normal(jax.random.key(number), variable.shape))
  return method, {path: np.asarray(variable.get_value()) for path, variable in found.items()}


def alone(name, kind):
  model = base(kind)
  if name is not None:
    method, arrays = adapter(name, kind)
    method.attach(model, nnx.Rngs(params=0))
    io.put_arrays(model, method, arrays)
  return model


def together(names, kind):
  model = base(kind)
  return model, peft.attach_rows(model, {name: adapter(name, kind) for name in names})


def tokens(seed, count, width=5):
  random = np.random.default_rng(seed)
  rows = random.integers(2, 32, (count, width))
  rows[np.arange(width)[None, :] >= random.integers(2, width + 1, count)[:, None]] = 0
  return jnp.asarray(rows, jnp.int32)


def close(got, wanted):
  np.testing.assert_allclose(got, wanted, atol=1e-5 * max(1.0, float(np.max(np.abs(wanted)))), rtol=1e-5)
