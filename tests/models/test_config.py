"""A config refuses what cannot be, and says all of it at once."""

import pytest

from flan_jax.errors import UserError
from tests.models.conftest import tiny_config


@pytest.mark.parametrize(
  ('field', 'value'),
  [
    ('num_heads', 0),
    ('emb_dim', 2.5),
    ('num_decoder_layers', True),
    ('mlp_activations', ('gelo',)),
    ('mlp_activations', ()),
    ('dropout_rate', 1.0),
    ('layer_norm_epsilon', 0.0),
    ('embedding_stddev', -1.0),
    ('relative_attention_num_buckets', 7),
    ('relative_attention_max_distance', 16),
    ('dtype', 'float8'),
    ('attention_init', 'mimic'),
    ('projection_biases', '('),
  ],
)
def test_a_wrong_field_is_named(field, value):
  with pytest.raises(UserError, match=field):
    tiny_config(**{field: value})


def test_all_problems_come_in_one_message_with_a_suggestion():
  with pytest.raises(UserError) as caught:
    tiny_config(num_heads=-1, mlp_activations=('gelo', 'linear'))
  assert 'num_heads' in str(caught.value)
  assert "'gelu'" in str(caught.value)


def test_a_list_from_gin_becomes_hashable():
  assert hash(tiny_config(mlp_activations=['gelu', 'linear'])) == hash(tiny_config())
