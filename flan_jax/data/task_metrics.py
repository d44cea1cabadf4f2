"""What SeqIO's `Evaluator` measures on our tasks: the numbers of our own evaluation, as `metric_fns`.

A task that writes text has the metrics its dataset declares; a `.rank` task, whose row holds all options, has the
accuracy of the likeliest one. Rows that our evaluation leaves out (the target of an inverted template is not the
answer; a row whose answer is none of its options cannot be ranked) are left out here too, and counted as
`rows_left_out`.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from flan_jax.data.dataset import GROUP, REFERENCES, Dataset
from flan_jax.data.pipeline import IS_CORRECT
from flan_jax.data.template import ANSWER, OPTIONS
from flan_jax.data.variants import Variant
from flan_jax.errors import UserError

if TYPE_CHECKING:  # jaxtyping reads the files of its package, and importing tasks opens none
  from jaxtyping import Float

LEFT_OUT = 'rows_left_out'


class Asked(NamedTuple):
  """What the metrics of text compare with.

  Attributes:
    references: all acceptable answers.
    options: those of the row; empty for free text.
    group: which rows belong together; '' where none do.
  """

  references: list[str]
  options: list[str]
  group: str


Target = Asked | list[bool] | None  # of text; which options are right; None for a row that is left out


def metrics_of(dataset: Dataset, variant: Variant) -> dict[str, Any]:
  """Returns the arguments of a SeqIO task that say how it is evaluated.

  Args:
    dataset: the declaration.
    variant: the way of asking.

  Returns:
    `metric_fns` and `postprocess_fn`; nothing where no template has the answer as its target, so that SeqIO skips the
    task as our evaluation does.
  """
  inverted = all(dataset.templates[index].inverted for index in variant.indices(dataset))
  if inverted and variant.prompting == 'instructions':
    return {}
  metric = ranked if variant.rank else written(dataset.metrics)
  return {'metric_fns': [metric], 'postprocess_fn': functools.partial(postprocess, dataset, variant.rank)}


def postprocess(
  dataset: Dataset, rank: bool, text: str, *, example: Mapping[str, Any], is_target: bool
) -> str | Target:
  """Turns the target of an example into what metrics compare with; a prediction stays as it is.

  Args:
    dataset: the declaration.
    rank: whether the task is a `.rank` one.
    text: the target or the prediction.
    example: the whole example as numpy.
    is_target: which of both the text is.

  Raises:
    UserError: where the example was read for training, without its texts.
  """
  if not is_target:
    return text
  if REFERENCES not in example:
    raise UserError(f'Rows of {dataset.name!r} were read without the texts that metrics need: give seqio.Evaluator a '
                    "sequence_length of 'inputs' and 'targets' alone, or none.")
  template = int(example['template'])
  if template >= 0 and dataset.templates[template].inverted:
    return None
  if not rank:
    references, options = ([text.decode() for text in example[name]] for name in (REFERENCES, OPTIONS))
    return Asked(references, options, example[GROUP].decode() if dataset.group else '')
  return [bool(right) for right in example[IS_CORRECT]] if example[ANSWER] in list(example[OPTIONS]) else None


@functools.cache
def written(names: tuple[str, ...]) -> Callable[..., dict[str, float]]:
  """Returns metrics of `evaluation.metrics` as one function, as SeqIO calls it."""

  def metric(targets: Sequence[Target], predictions: Sequence[str]) -> dict[str, float]:
    from flan_jax.evaluation import (  # scikit-learn and sacrebleu are behind it, and training needs neither
      answers,
      metrics,
    )

    kept = [(target, text) for target, text in zip(targets, predictions, strict=True) if target is not None]
    asked, texts = [target for target, _ in kept], [text for _, text in kept]
    known = answers.of_rows(asked, texts)  # type: ignore[arg-type]
    found: dict[str, float] = {}
    for name in names:
      found |= metrics.get(name)(known.references, texts, groups=known.groups, classes=known.classes)
    return found | _left_out(targets)

  metric.__name__ = '_'.join(names)
  return metric


def ranked(targets: Sequence[Target], scores: 'Sequence[Float[np.ndarray, "options"]]') -> dict[str, float]:
  """Returns the percentage of rows whose likeliest option is right, as SeqIO calls it; a tie of k is worth 1/k.

  Args:
    targets: which options of each row are right.
    scores: their log-likelihoods; what stands behind those of the row's options is padding.

  Raises:
    UserError: where no row has its answer among its options.
    FloatingPointError: where a score is not a number.
  """
  credits = [_credit(np.array(right), np.asarray(row)) for right, row in zip(targets, scores, strict=True)
             if right is not None]  # fmt: skip
  if not credits:
    raise UserError('No row has its answer among its options.')
  return {'accuracy': 100.0 * float(np.mean(credits)), **_left_out(targets)}


def _credit(right: np.ndarray, scores: np.ndarray) -> float:
  own = scores[: len(right)]
  if len(own) < len(right) or not np.isfinite(own).all():
    raise FloatingPointError(f'{len(right)} options need as many finite scores, not {scores.tolist()}')
  return float(np.mean(right[own == own.max()]))


def _left_out(targets: Sequence[Target]) -> dict[str, float]:
  count = sum(target is None for target in targets)
  return {LEFT_OUT: float(count)} if count else {}
