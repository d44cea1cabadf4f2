"""Slices turned into rows that exist: clamped, capped, and never shared between training and judging."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flan_jax.data.splits import TRAIN_CAP, RowRange, Splits, resolve
from flan_jax.errors import UserError

BOUNDS = st.one_of(st.none(), st.integers(-40_000, 80_000), st.integers(-300, 300))
SIZES = st.one_of(st.integers(0, 100_000), st.integers(0, 500))


@st.composite
def slices(draw):
  split = draw(st.sampled_from(['train', 'validation', 'test']))
  start, stop = draw(BOUNDS), draw(BOUNDS)
  if draw(st.booleans()):
    return split
  return f'{split}[{"" if start is None else start}:{"" if stop is None else stop}]'


ROLES = st.builds(Splits, *[st.one_of(st.none(), slices())] * 3)
HELD = st.dictionaries(st.sampled_from(['train', 'validation', 'test']), SIZES)



def _overlap(one, other):
  return one.split == other.split and max(one.start, other.start) < min(one.stop, other.stop)


@given(ROLES, HELD)
def test_training_never_meets_the_rows_that_judge_it(splits, sizes):
  found = resolve(splits, sizes, 'mine')
  for role in ('validation', 'test'):
    if role in found and 'train' in found:
      assert not _overlap(found['train'], found[role])


@given(ROLES, HELD)
def test_every_range_lies_within_its_split_and_training_within_its_cap(splits, sizes):
  found = resolve(splits, sizes, 'mine')
  assert set(found) == {role for role, text in splits.items() if text.split('[')[0] in sizes}
  for rows in found.values():
    assert 0 <= rows.start <= rows.stop <= sizes[rows.split]
  assert len(found.get('train', ())) <= TRAIN_CAP


@given(SIZES)
def test_the_standard_slices_use_every_row_of_a_split_once(size):
  found = resolve(Splits(), {'train': size}, 'mine')
  assert found['train'].start == 0
  assert found['train'].stop == min(found['validation'].start, TRAIN_CAP)
  assert found['validation'].stop == size
  assert len(found['validation']) == min(size, 200 if size >= 400 else max(size // 10, 1))


@pytest.mark.parametrize(
  ('size', 'train', 'validation'),
  [(67349, (0, 30000), (67149, 67349)), (8551, (0, 8351), (8351, 8551)), (400, (0, 200), (200, 400)),
   (399, (0, 360), (360, 399)), (250, (0, 225), (225, 250)), (5, (0, 4), (4, 5)), (1, (0, 0), (0, 1)),
   (0, (0, 0), (0, 0))],
)  # fmt: skip
def test_a_small_split_holds_back_a_tenth(size, train, validation):
  found = resolve(Splits(), {'train': size}, 'mine')
  assert found == {'train': RowRange('train', *train), 'validation': RowRange('train', *validation)}


def test_two_roles_held_back_from_a_small_split_stay_next_to_each_other():
  splits = Splits(train='train[:-200]', validation='train[-200:-100]', test='train[-100:]')
  found = resolve(splits, {'train': 100}, 'mine')
  assert [(r.start, r.stop) for r in found.values()] == [(0, 90), (90, 95), (95, 100)]


@pytest.mark.parametrize(
  ('text', 'size', 'rows'),
  [('train', 10, (0, 10)), ('train[:5]', 10, (0, 5)), ('train[5:]', 10, (5, 10)), ('train[:50]', 10, (0, 10)),
   ('train[20:50]', 10, (10, 10)), ('train[-3:]', 10, (7, 10)), ('train[2:-3]', 10, (2, 7)), ('train[7:3]', 10, (7, 7)),
   ('train[:0]', 10, (0, 0))],
)  # fmt: skip
def test_a_slice_gives_the_rows_that_there_are(text, size, rows):
  assert resolve(Splits(None, text, None), {'train': size}, 'mine') == {'validation': RowRange('train', *rows)}


@pytest.mark.parametrize(
  ('train', 'held', 'left'),
  [('train', 'train[:100]', (100, 1000)), ('train[100:]', 'train[:100]', (100, 1000)),
   ('train', 'train[900:]', (0, 900)), ('train', 'train', (1000, 1000)),
   ('train[:500]', 'train[600:700]', (0, 500)), ('train', 'train[0:0]', (0, 1000))],
)  # fmt: skip
def test_training_keeps_what_others_leave(train, held, left):
  found = resolve(Splits(train, held, None), {'train': 1000}, 'mine')
  assert found['train'] == RowRange('train', *left)
  assert resolve(Splits(train, None, held), {'train': 1000}, 'mine')['train'] == found['train']


def test_the_cap_counts_from_the_first_row_that_trains():
  found = resolve(Splits('train', 'train[:100]', None), {'train': 50_000}, 'mine')
  assert found['train'] == RowRange('train', 100, 30_100)


def test_equal_row_numbers_of_other_splits_do_not_matter():
  found = resolve(Splits('train', None, 'test'), {'train': 50, 'test': 50}, 'mine')
  assert len(found['train']) == len(found['test']) == 50


@pytest.mark.parametrize('text', ['train[:10%]', 'train[', 'train[:-200', 'train+test', 'train[1:2:3]', '', 'train[5]'])
def test_a_malformed_slice_is_named(text):
  splits = Splits(train=text or ' ')
  with pytest.raises(UserError, match="Dataset 'mine': .* is not a TFDS slice such as") as raised:
    resolve(splits, {'train': 10}, 'mine')
  assert repr(splits.train) in str(raised.value)


def test_ranges_print_as_slices():
  assert str(RowRange('train', 3, 8)) == 'train[3:8]'


def test_a_cap_of_ones_own_keeps_the_first_rows():
  assert resolve(Splits(train_cap=50), {'train': 1000}, 'mine')['train'] == RowRange('train', 0, 50)
  assert resolve(Splits('train[300:]', 'train[:300]', train_cap=50), {'train': 1000}, 'mine')['train'] == RowRange(
    'train', 300, 350)
  assert resolve(Splits(train_cap=5000), {'train': 1000}, 'mine')['train'] == RowRange('train', 0, 800)
