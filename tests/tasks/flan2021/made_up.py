"""Rows for datasets of which none are at hand, drawn from the features of the true TFDS builder.

What they say is nonsense; that a field has another name or type than its declaration believes is what they find.
"""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

WORDS = ('amber', 'brook', 'candle', 'delta', 'ember', 'forest', 'garnet', 'harbor', 'island', 'jungle')
# Values that a dataset's features allow and its rows never have: an index of nothing, the wrong number of choices.
LEGAL: Mapping[str, Mapping[str, Any]] = {
  'story_cloze': {'label': (1, 2), 'endings': 2},
  'hellaswag': {'label': (0, 1, 2, 3), 'endings': 4},
  'cosmos_qa': {'label': (0, 1, 2, 3)},
}


def rows(name: str, source: str, count: int) -> tf.data.Dataset:
  """Returns so many rows of a TFDS dataset, as its own reader would give them."""
  features = tfds.builder(source, data_dir='/nonexistent').info.features
  drawn = values(name, features, count)
  serialized = [features.serialize_example(features.encode_example(row)) for row in drawn]
  return tf.data.Dataset.from_tensor_slices(serialized).map(features.deserialize_example)


def values(name: str, features: Any, count: int, longest: int = 6) -> list[Any]:
  """Returns so many rows as a TFDS builder would generate them; texts have up to so many words."""
  draw = random.Random(name)
  return [_value(features, '', draw, LEGAL.get(name, {}), longest) for _ in range(count)]


def _value(feature: Any, name: str, draw: random.Random, legal: Mapping[str, Any], longest: int) -> Any:
  if isinstance(feature, tfds.features.FeaturesDict):  # a translation is one of these, by language
    return {key: _value(inner, key, draw, legal, longest) for key, inner in feature.items()}
  if isinstance(feature, tfds.features.Sequence):
    fixed = feature.get_tensor_info().shape[0] if not isinstance(feature.feature, tfds.features.FeaturesDict) else None
    count = legal.get(name, fixed or draw.randint(2, 4))
    return [_value(feature.feature, f'{name}[]', draw, legal, longest) for _ in range(count)]
  if name in legal:
    return draw.choice(legal[name])
  if isinstance(feature, tfds.features.ClassLabel):
    return draw.randrange(feature.num_classes)
  kind = np.dtype(feature.np_dtype).kind
  if kind in 'biu':
    return draw.randrange(2)
  if kind == 'f':
    return round(5.0 * draw.random(), 1)
  return ' '.join(draw.choices(WORDS, k=draw.randint(2, longest))).capitalize() + '.'
