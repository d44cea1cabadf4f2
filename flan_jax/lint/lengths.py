"""How many examples would be cut at the feature lengths, under every template of a dataset."""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import seqio
import tensorflow as tf

from flan_jax.data.dataset import Dataset
from flan_jax.data.preprocessors import INPUTS, TARGETS
from flan_jax.data.vocabulary import encode_block
from flan_jax.lint.faults import Fault
from flan_jax.lint.samples import Sample


@dataclasses.dataclass(frozen=True)
class Lengths:
  """What examples are measured by.

  Attributes:
    vocabulary: the run's.
    limits: token limits of `inputs` and `targets`, EOS included.
    most: the share of examples that may be cut before it is a fault.
  """

  vocabulary: seqio.Vocabulary
  limits: Mapping[str, int]
  most: float


def cut_shares(dataset: Dataset, sample: Sample, lengths: Lengths) -> dict[str, float]:
  """Returns the share of examples, over rows and templates, whose inputs and whose targets would be cut."""
  rendered = [template.render(sample.block) for template in dataset.templates]
  shares = {}
  for place, name in enumerate((INPUTS, TARGETS)):
    tokens = encode_block(lengths.vocabulary, tf.concat([texts[place] for texts in rendered], axis=0))
    shares[name] = float(np.mean(tokens.row_lengths().numpy() + 1 > lengths.limits[name]))
  return shares


def check(shares: Mapping[str, float], lengths: Lengths) -> Iterator[Fault]:
  """Judges the shares of a dataset.

  Yields:
    A fault where more is cut than may be.
  """
  for name, share in shares.items():
    if share > lengths.most:
      yield Fault('too-long', f'{share:.0%} of its examples have {name} of more than {lengths.limits[name]} tokens; at '
                  f'most {lengths.most:.0%} should: give --{name}_length, or shorten the fields.')  # fmt: skip
