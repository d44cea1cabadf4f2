"""Greedy decoding against `transformers.generate` with the same weights: PYTHONPATH=. python benchmarks/generation.py.

8 prompts of 128 tokens are continued by 32 new tokens each; no text ends early. Both programs run on the same threads,
in turn in every round, and must have written the same tokens before anything is timed.
"""

from typing import Any

import numpy as np

from benchmarks import sides
from flan_jax.models import Generator

ROWS, SOURCE, WRITTEN = 8, 128, 32


def ways(shape: str) -> dict[str, Any]:
  """Returns what is timed, checked to write the same."""
  import torch

  ours, theirs = sides.pair(**sides.SHAPES[shape])
  source = np.random.default_rng(0).integers(2, ours.config.vocab_size, (ROWS, SOURCE))
  generator = Generator(ours, max_decode_len=WRITTEN, eos_id=-1, batch_size=ROWS)
  ids = torch.tensor(source)
  settings: dict[str, Any] = {'max_new_tokens': WRITTEN, 'min_new_tokens': WRITTEN, 'do_sample': False,
                              'num_beams': 1, 'eos_token_id': None}

  def transformers() -> np.ndarray:
    with torch.inference_mode():
      return theirs.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **settings)[:, 1:].numpy()

  for found, expected in zip(generator(source), transformers(), strict=True):
    np.testing.assert_array_equal(found, np.trim_zeros(expected, 'b'))
  return {'flan_jax': lambda: generator(source), 'transformers.generate': transformers}


def main() -> None:
  """Measures and prints a table for each shape."""
  args = sides.parser(__doc__).parse_args()
  sides.use_threads(args.threads)
  results = {}
  for shape in args.shapes:
    results[shape] = sides.in_turns(ways(shape), args.rounds)
    title = f'{shape}: {ROWS} x {WRITTEN} new tokens after {SOURCE}, {args.threads} threads'
    sides.show(title, results[shape], ROWS * WRITTEN, 'tokens')
  sides.write(args.json, results)


if __name__ == '__main__':
  main()
