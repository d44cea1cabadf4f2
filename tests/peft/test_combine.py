"""Combinations of adapters against their definitions, against small examples done by hand, and against PEFT."""

import warnings

import jax
import numpy as np
import pytest
from flax import nnx

from flan_jax import peft
from flan_jax.errors import UserError
from flan_jax.peft import combine, io, lora_algebra, merging
from flan_jax.peft.partition import named_variables
from tests.peft.methods import METHODS, base

LORAS = {
  'plain': METHODS['lora'],
  'stabilized': peft.LoRA(rank=4, alpha=6.0, rank_stabilized=True),
  'patterns': peft.LoRA(rank=2, alpha=3.0, rank_pattern={'encoder/.*query': 3, '.*value': 1},
                        alpha_pattern={'decoder/.*': 5.0}),
  'pissa': METHODS['pissa'],
}
PATH = 'encoder/layers/0/attention/query'


def moved(method, seed=0):
  """An adapter that has moved from its start."""
  model = base()
  method.attach(model, nnx.Rngs(params=seed))
  found = io.saved_variables(model, method)
  for number, variable in enumerate(found.values()):
    if isinstance(variable, nnx.Param):
      noise = 0.1 * jax.random.normal(jax.random.key(100 * seed + number), variable.shape)
      variable.set_value(variable.get_value() + noise)
  return method, {name: np.asarray(variable.get_value()) for name, variable in found.items()}


def with_adapter(adapter):
  adapters = peft.AdapterSet(base())
  adapters.add('new', *adapter)
  adapters.switch('new')
  return adapters


def kernel_changes(adapter):
  """What merging an adapter adds to each kernel, by the model itself."""
  adapters = with_adapter(adapter)
  adapters.merge()
  plain = dict(named_variables(base()).items())
  return {name.removesuffix('/kernel'): np.asarray(v.get_value() - plain[name][1].get_value())
          for name, (_, v) in named_variables(adapters.model).items() if name.endswith('/kernel')}


def assert_changes(adapter, wanted):
  got = kernel_changes(adapter)
  for path, change in wanted.items():
    np.testing.assert_allclose(got[path], change, atol=1e-6, err_msg=path)


@pytest.mark.parametrize('name', LORAS)
def test_deltas_are_what_merging_adds(name):
  adapter = moved(LORAS[name])
  assert_changes(adapter, lora_algebra.deltas(adapter))


def test_concatenated_loras_add_the_exact_weighted_sum():
  adapters, weights = [moved(method, seed) for seed, method in enumerate(LORAS.values())], [1.0, -0.5, 2.0, 0.7]
  changes = [kernel_changes(adapter) for adapter in adapters]
  wanted = {path: sum(w * change[path] for w, change in zip(weights, changes, strict=True)) for path in changes[0]}
  method, arrays = combine.concatenate(adapters, weights)
  assert_changes((method, arrays), wanted)
  assert method.init == 'kaiming' and not method.rank_stabilized
  assert method.rank_and_scale(PATH) == (2 + 4 + 3 + 2 * 2, 1.0)
  assert method.rank_and_scale('decoder/layers/0/self_attention/value') == (2 + 4 + 1 + 2 * 2, 1.0)
  assert peft.from_config(method.config) == method
  total = combine.average(adapters, [2.0, 1.0, 1.0, 0.0])
  assert_changes(total, {p: 0.5 * changes[0][p] + 0.25 * changes[1][p] + 0.25 * changes[2][p] for p in wanted})
  difference = combine.subtract(adapters[1], adapters[3], 0.5)
  assert_changes(difference, {p: changes[1][p] - 0.5 * changes[3][p] for p in wanted})


def test_a_sum_of_more_ranks_than_a_kernel_has_still_attaches():
  adapters = [moved(peft.LoRA(rank=6, targets='.*(query|wo)'), seed) for seed in range(4)]
  method, arrays = combine.add(adapters)
  assert method.rank_and_scale(PATH) == (16, 1.0) and arrays[f'{PATH}/adapters/lora/a'].shape == (16, 16)
  changes = [kernel_changes(adapter) for adapter in adapters]
  assert_changes((method, arrays), {path: sum(change[path] for change in changes) for path in changes[0]})


def test_compressing_is_exact_at_the_full_rank_and_the_best_below():
  adapter = combine.add([moved(LORAS['plain'], 0), moved(LORAS['patterns'], 1)])
  wanted = lora_algebra.deltas(adapter)
  assert_changes(combine.compress(adapter, 5), wanted)
  method, arrays = combine.compress(adapter, 2)
  assert method.rank == 2 and arrays[f'{PATH}/adapters/lora/a'].shape == (16, 2)
  rest = np.linalg.svd(wanted[PATH], compute_uv=False)[2:]
  error = np.linalg.norm(lora_algebra.deltas((method, arrays))[PATH] - wanted[PATH])
  np.testing.assert_allclose(error, np.linalg.norm(rest), rtol=1e-4)


@pytest.mark.parametrize('kind', ['int8', 'nf4'])
def test_loras_of_one_quantised_base_keep_it(kind):
  adapters = [moved(peft.Quantized(LORAS[name], kind), seed) for seed, name in enumerate(('plain', 'patterns'))]
  method, arrays = combine.add(adapters, [1.0, 0.5])
  assert method.kind == kind and method.inner.rank_and_scale(PATH) == (5, 1.0)
  logits = [with_adapter(adapter).model for adapter in (*adapters, (method, arrays))]
  kernels = [model.encoder.layers[0].attention.query for model in logits]
  wanted = kernels[0].adapters['lora'].delta() + 0.5 * kernels[1].adapters['lora'].delta()
  np.testing.assert_allclose(kernels[2].adapters['lora'].delta(), wanted, atol=1e-6)
  np.testing.assert_array_equal(kernels[2].weight(), kernels[0].weight())
  assert combine.compress((method, arrays), 2)[0].inner.rank == 2
  scaled = {name: value * (2 if 'scales' in name else 1) for name, value in adapters[1][1].items()}
  with pytest.raises(UserError, match='differently quantised bases'):
    combine.add([adapters[0], (adapters[1][0], scaled)])


@pytest.mark.parametrize('name', ['ia3', 'bitfit', 'norms', 'layers', 'prompt', 'prefix', 'houlsby', 'full'])
def test_other_methods_average_their_arrays_and_add_what_moved(name):
  one, other = moved(METHODS[name], 0), moved(METHODS[name], 1)
  method, arrays = combine.average([one, other], [1.0, 3.0])
  assert method == METHODS[name] and arrays.keys() == one[1].keys()
  for path, value in arrays.items():
    np.testing.assert_allclose(value, 0.25 * one[1][path] + 0.75 * other[1][path], atol=1e-6)
  start = peft.AdapterSet(base()).start(method)
  _, same = combine.subtract(one, other, 0.0, start=start)
  _, added = combine.add([one, other], [0.5, -1.0], start=start)
  for path, value in added.items():
    np.testing.assert_allclose(same[path], one[1][path], atol=1e-6)
    origin = np.asarray(start[path])
    np.testing.assert_allclose(value, origin + 0.5 * (one[1][path] - origin) - (other[1][path] - origin), atol=1e-6)
  assert with_adapter((method, added)).active == 'new'
  if name in ('ia3', 'bitfit'):
    known = combine.add([one, other], [0.5, -1.0])[1]
    assert all(np.array_equal(known[path], value) for path, value in added.items())
  else:
    with pytest.raises(UserError, match='give start'):
      combine.add([one, other])


def test_ties_by_hand():
  vectors = np.array([[3.0, -1.0, 2.0, 0.5], [-2.0, -3.0, 1.0, 0.1], [-2.0, 0.2, 4.0, -0.3]], np.float32)
  trimmed = [merging.trimmed(vector, 0.5) for vector in vectors]
  np.testing.assert_array_equal(trimmed, [[3, 0, 2, 0], [-2, -3, 0, 0], [-2, 0, 4, 0]])
  # Signs by sum: 3 - 2 - 2 < 0, -3 < 0, 6 > 0, 0. The mean is over those that agree.
  np.testing.assert_array_equal(merging.disjoint_mean(np.stack(trimmed), [1.0, 1.0, 1.0]), [-2, -3, 3, 0])
  np.testing.assert_array_equal(merging.disjoint_mean(np.stack(trimmed), [1.0, 2.0, 0.5]), [-2.5, -6, 2, 0])
  adapters = [(peft.BitFit(), {'bias': vector}) for vector in vectors]
  np.testing.assert_array_equal(combine.ties(adapters, density=0.5)[1]['bias'], [-2, -3, 3, 0])
  moved_by = [(peft.IA3(), {'factors': 1 + vector}) for vector in vectors]
  np.testing.assert_array_equal(combine.ties(moved_by, density=0.5)[1]['factors'], [-1, -2, 4, 1])


def test_dare_drops_at_random_and_keeps_the_expectation():
  vectors = [np.full(4000, value, np.float32) for value in (1.0, -3.0)]
  adapters = [(peft.BitFit(), {'bias': vector}) for vector in vectors]
  (_, one), (_, again), (_, other) = (combine.dare(adapters, density=0.25, seed=seed) for seed in (0, 0, 1))
  assert np.array_equal(one['bias'], again['bias']) and not np.array_equal(one['bias'], other['bias'])
  assert set(np.unique(one['bias'])) == {0.0, 4.0, -12.0, -8.0}  # each entry is 0 or four times what it was
  np.testing.assert_allclose(np.mean(one['bias'] == -8.0), 0.25**2, atol=0.02)
  np.testing.assert_allclose(np.mean(one['bias']), -2.0, atol=0.25)
  _, elected = combine.dare(adapters, density=0.25, elect_signs=True)
  assert set(np.unique(elected['bias'])) == {0.0, 4.0, -12.0}
  np.testing.assert_array_equal(combine.dare(adapters, [1.0, 2.0], density=1.0)[1]['bias'], vectors[0] + 2 * vectors[1])


def test_with_a_rank_loras_are_merged_by_what_they_add():
  adapters = [moved(LORAS[name], seed) for seed, name in enumerate(('plain', 'stabilized', 'pissa'))]
  changes = [lora_algebra.deltas(adapter) for adapter in adapters]
  for merged, by_hand in (
    (combine.ties(adapters, density=0.3, rank=16), lambda path: merging.disjoint_mean(
      np.stack([merging.trimmed(change[path], 0.3) for change in changes]), [1.0, 1.0, 1.0])),
    (combine.dare(adapters, density=1.0, rank=16), lambda path: sum(change[path] for change in changes)),
  ):
    assert_changes(merged, {path: by_hand(path) for path in changes[0]})
  assert combine.ties(adapters, rank=2)[0].rank == 2


@pytest.fixture(scope='module')
def theirs():
  """PEFT's model of one linear layer with two of our LoRAs, and those."""
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    import peft as huggingface
    import torch
  ours = [(peft.LoRA(rank=3, alpha=6.0, targets='.*'), 2.0), (peft.LoRA(rank=3, alpha=1.5, targets='.*'), 0.5)]
  random = np.random.default_rng(0)
  adapters = []
  model = torch.nn.Sequential(torch.nn.Linear(5, 4, bias=False))
  for number, (method, _) in enumerate(ours):
    config = huggingface.LoraConfig(r=3, lora_alpha=method.alpha, target_modules=['0'])
    if number:
      model.add_adapter(str(number), config)
    else:
      model = huggingface.get_peft_model(model, config, adapter_name='0')
    a, b = (random.normal(size=shape).astype(np.float32) for shape in ((5, 3), (3, 4)))
    layer = model.base_model.model[0]
    layer.lora_A[str(number)].weight.data = torch.tensor(a.T.copy())
    layer.lora_B[str(number)].weight.data = torch.tensor(b.T.copy())
    adapters.append((method, {'q/adapters/lora/a': a, 'q/adapters/lora/b': b}))

  def combined(kind, weights, **options):
    name = f'{kind}{len(model.peft_config)}'
    model.add_weighted_adapter(['0', '1'], weights, name, combination_type=kind, **options)
    return model.base_model.model[0].get_delta_weight(name).detach().numpy().T

  return adapters, combined


@pytest.mark.parametrize('weights', [[1.0, 1.0], [0.7, -1.3]])
def test_peft_combines_the_same_way(theirs, weights):
  adapters, combined = theirs
  for result, wanted in (
    (combine.concatenate(adapters, weights), combined('cat', weights)),
    (combine.compress(combine.add(adapters, weights), 3), combined('svd', weights, svd_rank=3)),
    (combine.ties(adapters, weights, density=0.5), combined('ties', weights, density=0.5)),
    (combine.ties(adapters, weights, density=0.5, rank=2), combined('ties_svd', weights, density=0.5, svd_rank=2)),
    (combine.dare(adapters, weights, density=1.0), combined('linear', weights)),
  ):
    np.testing.assert_allclose(lora_algebra.deltas(result)['q'], wanted, atol=1e-5)


def test_what_does_not_go_together_is_one_sentence():
  lora, wider = moved(LORAS['plain']), moved(LORAS['stabilized'], 1)
  elsewhere = moved(peft.LoRA(rank=2, targets='.*mlp/wo'))
  cases = [
    (lambda: combine.add([]), 'no adapters'),
    (lambda: combine.add([lora], [1.0, 2.0]), '1 adapters need as many weights, not 2'),
    (lambda: combine.average([lora, wider], [1.0, -1.0]), 'must not sum to 0'),
    (lambda: combine.average([lora, moved(METHODS['ia3'])]), "different methods cannot be combined: 'lora' and 'ia3'"),
    (lambda: combine.add([lora, elsewhere]), 'different targets or sizes: 16 arrays differ'),
    (lambda: combine.ties([lora, wider]), 'different shapes: .*lora/a is 16x2 and 16x4; give a rank'),
    (lambda: combine.ties([moved(LORAS['pissa'])]), 'PiSSA .* give a rank'),
    (lambda: combine.ties([lora], density=0.0), r'density must lie in \(0, 1\], not 0.0'),
    (lambda: combine.dare([lora], rank=0), 'rank of a combined LoRA must be at least 1'),
    (lambda: combine.compress(lora, 0), 'rank of a combined LoRA must be at least 1'),
    (lambda: combine.dare([moved(METHODS['ia3'])], rank=2), "rank is for LoRA, and these adapters are 'ia3'"),
    (lambda: combine.concatenate([moved(METHODS['ia3'])]), "only LoRAs .* not 'ia3'"),
    (lambda: combine.add([moved(METHODS['dora'])] * 2), "'dora' cannot be combined"),
    (lambda: combine.average([moved(METHODS['lora_and_prompt'])]), "'compose' cannot be combined"),
    (lambda: combine.average([moved(METHODS['houlsby']), moved(peft.Bottleneck(width=3, scale=2.0))]),
     'differ in scale: 1.0 and 2.0'),
    (lambda: combine.average([moved(peft.PromptTuning(length=n, init='uniform')) for n in (2, 3)]), 'differ in length'),
    (lambda: combine.add([moved(METHODS['norms'])], start={}), 'start does not fit'),
    (lambda: combine.add([moved(METHODS['int8_lora']), moved(METHODS['nf4_lora'])]), 'differently quantised'),
    (lambda: lora_algebra.deltas(moved(METHODS['ia3'])), "only a LoRA has a delta for each kernel, not 'ia3'"),
  ]  # fmt: skip
  for attempt, told in cases:
    with pytest.raises(UserError, match=told):
      attempt()
