"""seqio's own Evaluator over our tasks, metrics and models, on real rows: the numbers of our own evaluation."""

import numpy as np
import pytest
import seqio
from flax import nnx

from flan_jax.data import registry
from flan_jax.data.iterator import ProvenanceConverter
from flan_jax.data.rows import rows
from flan_jax.data.task_metrics import Asked, ranked, written
from flan_jax.data.vocabulary import active_vocabulary
from flan_jax.errors import UserError
from flan_jax.evaluation import protocol, seqio_functions
from flan_jax.evaluation.rank import rank
from flan_jax.models import T5, Generator, Scorer, T5Config
from tests.data.conftest import real_tfds, registries  # noqa: F401

CONFIG = T5Config(vocab_size=32128, emb_dim=16, num_heads=2, head_dim=8, mlp_dim=32, num_encoder_layers=1,
                  num_decoder_layers=1, dtype='float32', dropout_rate=0.0)  # fmt: skip
ROWS, SEED = 16, 3
SCORE, PREDICTION = seqio.metrics.ModelOutputType.SCORE, seqio.metrics.ModelOutputType.PREDICTION


@pytest.fixture(scope='module')
def model():
  return T5(CONFIG, rngs=nnx.Rngs(0))


@pytest.fixture(scope='module')
def scorer(model):
  return Scorer(model, batch_size=8)


@pytest.fixture(scope='module')
def generator(model):
  return Generator(model, max_decode_len=5, batch_size=8)


def evaluator(name, **options):
  return seqio.Evaluator(name, seqio_functions.converter(name), eval_split='test', num_examples=ROWS, seed=SEED,
                         **options)  # fmt: skip


def evaluate(name, **functions):
  metrics, outputs = evaluator(name).evaluate(compute_metrics=True, **functions)
  return metrics.result()[name], outputs[name]


@pytest.mark.parametrize('name', [
  'flan2021.cb.template_0.rank', 'flan2021.copa.template_1.rank', 'flan2021.sst2.no_options.rank',
])  # fmt: skip
def test_options_rank_as_in_our_evaluation(name, real_tfds, scorer):  # noqa: F811
  found, outputs = evaluate(name, score_fn=seqio_functions.score_fn(scorer))
  asked = rows(name, 'test', ROWS, SEED)
  for scores, row in zip(outputs[SCORE], rank(asked, scorer), strict=True):
    np.testing.assert_allclose(scores, row.scores, rtol=0, atol=1e-5)
  result = protocol.evaluate_task(asked, scorer)
  assert found == {'accuracy': pytest.approx(result.metrics['accuracy'].value, abs=1e-9)}
  assert 0 < found['accuracy'] < 100


class Answers:
  """In the place of a model: writes the right answer to every second question."""

  eos_id = 1

  def __init__(self, asked):
    vocabulary = active_vocabulary()
    texts = [row.targets_pretokenized if place % 2 else 'nothing' for place, row in enumerate(asked)]
    pairs = zip(asked, texts, strict=True)
    self._answers = {tuple(row.inputs.tolist()): vocabulary.encode(text) for row, text in pairs}

  def __call__(self, inputs):
    return [self._answers[tuple(np.trim_zeros(row, 'b').tolist())] for row in inputs]


@pytest.mark.parametrize('name', [
  'flan2021.cb.template_0', 'flan2021.sst2', 'flan2021.squad_v1.template_0', 'flan2021.multirc.template_0',
])  # fmt: skip
def test_written_answers_are_measured_as_in_our_evaluation(name, real_tfds):  # noqa: F811
  asked = rows(name, 'test', ROWS, SEED)
  writer = Answers(asked)
  found, _ = evaluate(name, predict_fn=seqio_functions.predict_fn(writer))
  result = protocol.evaluate_task(
    asked, generator=writer, decode=active_vocabulary().decode, method='generate',
    metrics=registry.task_info(name).dataset.metrics)  # fmt: skip
  assert found.pop('rows_left_out', 0) == result.inverted
  assert found == {key: pytest.approx(estimate.value, abs=1e-9) for key, estimate in result.metrics.items()}
  assert 20 < next(iter(found.values())) < 80
  assert (result.inverted > 0) == (name == 'flan2021.sst2')


def test_a_model_writes_what_our_generator_does(real_tfds, generator, scorer):  # noqa: F811
  name = 'flan2021.cb.template_0'
  whole = evaluator(name)
  _, outputs = whole.evaluate(compute_metrics=False, predict_fn=seqio_functions.predict_fn(generator))
  outputs = outputs[name]
  expected = list(generator.stream([row.inputs for row in rows(name, 'test', ROWS)]))
  for place, continuation in expected:
    tokens = outputs[PREDICTION][place].tolist()
    assert tokens[: tokens.index(1)] == continuation.tokens
  dataset = whole.cached_model_datasets[name]
  tokens, aux = seqio_functions.predict_with_aux_fn(generator)(dataset)
  assert [(place, row.tolist()) for place, row in tokens] == list(enumerate(np.array(outputs[PREDICTION]).tolist()))
  assert [aux['scores'][place] for place, _ in expected] == [continuation.log_prob for _, continuation in expected]
  scores = dict(seqio_functions.score_fn(scorer)(dataset))
  asked = [(example['inputs'], example['targets']) for example in
           whole.cached_task_datasets[name].as_numpy_iterator()]  # fmt: skip
  expected = scorer.targets(*zip(*asked, strict=True))
  np.testing.assert_allclose([scores[place] for place in range(ROWS)], expected, rtol=1e-5)


def test_rows_may_have_unequal_numbers_of_options(real_tfds, scorer):  # noqa: F811
  dataset = evaluator('flan2021.cb.template_0.rank').cached_model_datasets['flan2021.cb.template_0.rank'].take(3)
  whole = dict(seqio_functions.score_fn(scorer)(dataset))
  targets = seqio_functions.TARGETS
  fewer = dataset.map(lambda place, row: (place, {**row, targets: row[targets][: 3 - place]}))
  found = dict(seqio_functions.score_fn(scorer)(fewer))
  for place in range(3):
    np.testing.assert_allclose(found[place][: 3 - place], whole[place][: 3 - place], rtol=1e-5)
    assert (found[place][3 - place :] == -np.inf).all()


def test_which_tasks_seqio_evaluates(real_tfds):  # noqa: F811
  def of(name):
    return seqio.TaskRegistry.get(f'flan2021.{name}')

  assert [len(of(name).score_metric_fns) for name in ('rte.rank', 'rte', 'rte.fields_only.rank')] == [1, 0, 1]
  assert [len(of(name).predict_metric_fns) for name in ('rte.rank', 'rte', 'aeslc', 'rte.template_9')] == [0, 1, 1, 0]
  assert not of('rte.template_9').metric_objs  # inverted: its target is not the answer
  assert of('rte.fields_only').predict_metric_fns


def test_a_mixture_has_the_converter_of_its_tasks(real_tfds, registries):  # noqa: F811
  for suffix, kind in (('.rank', seqio_functions.RankConverter), ('', ProvenanceConverter)):
    mixture = registry.mixture_of([f'flan2021.{name}.template_0{suffix}' for name in ('cb', 'copa')])
    assert type(seqio_functions.converter(mixture)) is kind
  with pytest.raises(UserError, match="Did you mean 'flan2021.cb.rank'"):
    seqio_functions.converter('flan2021.cb.rnk')


def test_lengths_cut_and_texts_are_needed(real_tfds, generator):  # noqa: F811
  lengths = {'inputs': 32, 'targets': 8}
  found = evaluator('flan2021.cb.template_0', sequence_length=lengths)
  assert found.model_feature_shapes['encoder_input_tokens'] == (32,)
  whole = evaluator('flan2021.cb.template_0', sequence_length={**lengths, 'provenance': 7})
  with pytest.raises(ValueError, match='were read without the texts that metrics need'):
    whole.evaluate(compute_metrics=True, predict_fn=seqio_functions.predict_fn(generator))[0].result()


def test_ranks_and_left_out_rows():
  scores = np.array([[-1.0, -2.0, -np.inf], [-1.0, -1.0, -3.0], [-5.0, -1.0, -2.0]])
  assert ranked([[True, False], [True, False, False], None], scores) == {'accuracy': 75.0, 'rows_left_out': 1.0}
  assert ranked([[False, True], [False, True, True], [False, True, True]], scores)['accuracy'] == pytest.approx(50.0)
  with pytest.raises(UserError, match='No row has its answer'):
    ranked([None], scores[:1])
  with pytest.raises(FloatingPointError, match='3 options need'):
    ranked([[True, False, False]], scores[:1])
  targets = [Asked(['a', 'b'], [], ''), None, Asked(['c'], [], '')]
  assert written(('accuracy', 'edit_distance'))(targets, ['b', 'x', 'd']) == {
    'accuracy': 50.0, 'edit_distance': 0.5, 'rows_left_out': 1.0}
