"""Our models in SeqIO's own evaluation: feature converters and model functions for `seqio.Evaluator`.

  evaluator = seqio.Evaluator('flan2021.cb.template_0.rank', converter('flan2021.cb.template_0.rank'))
  metrics, outputs = evaluator.evaluate(compute_metrics=True, score_fn=score_fn(Scorer(model)))
  metrics.result()

Tasks bring their metrics (`data.task_metrics`). SeqIO has no format of its own for rank classification: the one of the
package t5 makes an example of each option. Ours keeps the options of a row together, so that the encoder runs once a
row; `RankConverter` hands them to `score_fn` as they are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import seqio
import tensorflow as tf
from jaxtyping import Float

from flan_jax.data import provenance, registry
from flan_jax.data.iterator import ProvenanceConverter
from flan_jax.data.pipeline import IS_CORRECT
from flan_jax.models import Generator, Scorer, bucketing

INPUTS, TARGETS = 'encoder_input_tokens', 'decoder_target_tokens'

Spec = seqio.FeatureConverter.FeatureSpec
Predictions = list[tuple[int, np.ndarray]]
Scores = list[tuple[int, float | Float[np.ndarray, 'options']]]


class RankConverter(seqio.FeatureConverter):
  """Model features of `.rank` tasks: the tokens of the prompt, and those of every option, [options, tokens]."""

  TASK_FEATURES: ClassVar = {
    'inputs': Spec(dtype=tf.int32),
    'targets': Spec(dtype=tf.int32, rank=2, sequence_dim=1),
    provenance.FEATURE: Spec(dtype=tf.int32),
    IS_CORRECT: Spec(dtype=tf.int32),
  }
  MODEL_FEATURES: ClassVar = {INPUTS: Spec(dtype=tf.int32), TARGETS: Spec(dtype=tf.int32, rank=2, sequence_dim=1)}
  PACKING_FEATURE_DTYPES: ClassVar[Mapping[str, tf.DType]] = {}

  def __init__(self) -> None:
    super().__init__(pack=False)

  def _convert_features(self, ds: tf.data.Dataset, task_feature_lengths: Mapping[str, int]) -> tf.data.Dataset:
    def convert(example: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
      return {
        INPUTS: _pad(example['inputs'], task_feature_lengths['inputs']),
        TARGETS: _pad(example['targets'], task_feature_lengths['targets']),
      }

    return ds.map(convert)

  def get_model_feature_lengths(self, task_feature_lengths: Mapping[str, int]) -> Mapping[str, int]:
    """Returns the lengths of tokens; any number of options may come."""
    return {INPUTS: task_feature_lengths['inputs'], TARGETS: task_feature_lengths['targets']}


def _pad(tokens: tf.Tensor, length: int) -> tf.Tensor:
  """Pads the last axis with zeros; a converter was told by then that nothing is longer."""
  missing = length - tf.shape(tokens)[-1]
  padded = tf.pad(tokens, [*[(0, 0)] * (len(tokens.shape) - 1), (0, missing)])
  return tf.ensure_shape(padded, [*tokens.shape[:-1], length])


def converter(name: str) -> seqio.FeatureConverter:
  """Returns the feature converter that `seqio.Evaluator` needs for a task or a mixture of ours.

  Args:
    name: its tasks are all `.rank` ones, or none is: SeqIO mixes no tasks of different features.

  Raises:
    UserError: for an unknown name.
  """
  rank = all(registry.task_info(task).variant.rank for task in registry.tasks_of(name))
  return RankConverter() if rank else ProvenanceConverter(pack=False)


def predict_fn(generator: Generator) -> Callable[..., Predictions]:
  """Returns a function for `Evaluator.evaluate(predict_fn=...)`: the tokens that a model writes, EOS behind them."""

  def predict(dataset: tf.data.Dataset, model_feature_shapes: object = None) -> Predictions:
    del model_feature_shapes
    places, examples = _read(dataset)
    return _enumerated(places, generator([example[INPUTS] for example in examples]), generator)

  return predict


def predict_with_aux_fn(generator: Generator) -> Callable[..., tuple[Predictions, dict[str, list[float]]]]:
  """Returns a function for `evaluate(predict_with_aux_fn=...)`: tokens, and under 'scores' their log-probability."""

  def predict(
    dataset: tf.data.Dataset, model_feature_shapes: object = None
  ) -> tuple[Predictions, dict[str, list[float]]]:
    del model_feature_shapes
    places, examples = _read(dataset)
    written = dict(generator.stream([example[INPUTS] for example in examples]))
    answers = [written[index] for index in range(len(examples))]
    tokens = _enumerated(places, [answer.tokens for answer in answers], generator)
    return tokens, {'scores': [answer.log_prob for answer in answers]}

  return predict


def score_fn(scorer: Scorer) -> Callable[..., Scores]:
  """Returns a function for `evaluate(score_fn=...)`: log-likelihoods of targets, EOS included.

  An ordinary example has one; one of a `.rank` task has one for each option, padded with -inf to the greatest number of
  options.
  """

  def score(dataset: tf.data.Dataset, model_feature_shapes: object = None) -> Scores:
    del model_feature_shapes
    places, examples = _read(dataset)
    inputs, targets = ([example[name] for example in examples] for name in (INPUTS, TARGETS))
    if dataset.element_spec[1][TARGETS].shape.rank == 1:
      return [(place, float(value)) for place, value in zip(places, scorer.targets(inputs, targets), strict=True)]
    return list(zip(places, _option_scores(scorer, inputs, targets), strict=True))

  return score


def _read(dataset: tf.data.Dataset) -> tuple[list[int], list[Mapping[str, np.ndarray]]]:
  """The numbers and the examples of an enumerated dataset."""
  pairs: Iterator[tuple[Any, Mapping[str, np.ndarray]]] = dataset.as_numpy_iterator()
  places, examples = zip(*pairs, strict=True)
  return [int(place) for place in places], list(examples)


def _enumerated(places: Sequence[int], rows: Sequence[Sequence[int]], generator: Generator) -> Predictions:
  """Rows of one length, as SeqIO stacks them: EOS where each ends, or is full, then padding, which nobody decodes."""
  length = max(len(row) for row in rows) + 1
  ended = [np.array([*row, generator.eos_id, *[0] * (length - len(row) - 1)], np.int32) for row in rows]
  return list(zip(places, ended, strict=True))


def _option_scores(scorer: Scorer, inputs: Sequence[np.ndarray], targets: Sequence[np.ndarray]) -> list[np.ndarray]:
  options = [[bucketing.strip(option) for option in row] for row in targets]
  scores = np.full([len(options), max(len(row) for row in options)], -np.inf, np.float32)
  for place, row in enumerate(scorer.options(inputs, options)):
    scores[place, : len(row)] = row
  return list(scores)
