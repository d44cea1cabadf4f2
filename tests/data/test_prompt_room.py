"""Packed rows with room for soft prompts hold the same examples, each behind its room."""

import numpy as np
import pytest

from flan_jax.data import iterator, registry

LENGTHS = {'inputs': 96, 'targets': 16}
PROMPTS = {'inputs': 5, 'targets': 2}
BATCHES = 8


def examples(batches):
  """The examples of packed batches in order: (inputs, decoder inputs, targets), and what stood in their room."""
  found, room = [], []
  for batch in batches:
    rows = batch['encoder_input_tokens'].shape[0]
    for row in range(rows):
      one = {name: values[row] for name, values in batch.items()}
      for segment in range(1, one['encoder_segment_ids'].max() + 1):
        sides = []
        for side, names in (('encoder', ('input_tokens',)), ('decoder', ('input_tokens', 'target_tokens'))):
          here = one[f'{side}_segment_ids'] == segment
          prompt = one.get(f'{side}_prompt_positions', np.zeros_like(here, int))[here]
          room.append((side, prompt[prompt > 0].tolist(), prompt[: int(np.sum(prompt > 0))].tolist()))
          sides += [one[f'{side}_{name}'][here][prompt == 0].tolist() for name in names]
          if side == 'decoder':
            assert not one['decoder_loss_weights'][here][prompt > 0].any()
            assert not one['decoder_target_tokens'][here][prompt > 0].any()
            assert one['decoder_loss_weights'][here][prompt == 0].all()
        found.append(tuple(map(tuple, sides)))
  return found, room


@pytest.mark.parametrize('prompts', [PROMPTS, {'inputs': 5}, {'targets': 3}])
def test_examples_are_those_without_room(real_tfds, prompts):
  mixture = registry.mixture_of(('flan2021.copa', 'flan2021.trec'))
  plain = iterator.batches(mixture, LENGTHS, 4, seed=3)
  roomy = iterator.batches(mixture, LENGTHS, 4, seed=3, prompts=prompts)
  first = next(roomy)
  assert first['encoder_input_tokens'].shape == (4, 96 + prompts.get('inputs', 0))
  assert first['decoder_input_tokens'].shape == (4, 16 + prompts.get('targets', 0))
  expected, _ = examples(next(plain) for _ in range(BATCHES))
  found, room = examples([first, *(next(roomy) for _ in range(BATCHES - 1))])
  count = min(len(found), len(expected))
  assert count > 20 and found[:count] == expected[:count]
  counts = {side: list(range(1, prompts.get(feature, 0) + 1))
            for side, feature in (('encoder', 'inputs'), ('decoder', 'targets'))}
  assert all(there == start == counts[side] for side, there, start in room)


def test_unpacked_rows_need_no_room(real_tfds):
  task = 'flan2021.trec'
  plain = next(iterator.batches(task, LENGTHS, 4, pack=False))
  asked = next(iterator.batches(task, LENGTHS, 4, pack=False, prompts=PROMPTS))
  assert plain.keys() == asked.keys() and all(np.array_equal(plain[name], asked[name]) for name in plain)


def test_a_position_with_room_can_be_saved(real_tfds):
  stream = iterator.batches('flan2021.trec', LENGTHS, 4, prompts=PROMPTS)
  next(stream)
  position, after = stream.get_state(), next(stream)
  other = iterator.batches('flan2021.trec', LENGTHS, 4, prompts=PROMPTS)
  other.set_state(position)
  assert all(np.array_equal(value, after[name]) for name, value in next(other).items())
