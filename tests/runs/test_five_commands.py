"""The five commands of docs/checkpoints.md as they stand there: Flan-T5's files, LoRA on own data, and back."""

import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from flan_jax.interop.hf_folder import HuggingFaceWeights
from flan_jax.training import initial

transformers = pytest.importorskip('transformers')
torch = pytest.importorskip('torch')
ROOT = pathlib.Path(__file__).parents[2]
EXAMPLE = ROOT / 'docs' / 'examples' / 'own_data'
PROMPTS = ('I was charged twice. Which department can help?', 'The screen stays black.', 'My parcel is not here.')
pytestmark = pytest.mark.slow


def commands():
  page = (ROOT / 'docs' / 'checkpoints.md').read_text()
  found = re.search(r'## Five commands.*?```\n(.*?)```', page, re.DOTALL)[1].strip().split('\n\n')
  assert len(found) == 5
  return found


def flan_t5(folder, spiece):
  """A random model in the files of google/flan-t5-small: its config, its head apart, its tokenizer."""
  torch.manual_seed(0)
  config = transformers.T5Config(
    vocab_size=32128, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, feed_forward_proj='gated-gelu',
    tie_word_embeddings=False, decoder_start_token_id=0)  # fmt: skip
  model = transformers.T5ForConditionalGeneration(config)
  model.lm_head.weight = torch.nn.Parameter(torch.randn(32128, 32) * 0.2)
  model.config.tie_word_embeddings = False
  model.save_pretrained(folder)
  transformers.T5Tokenizer.from_pretrained(spiece).save_pretrained(folder)


@pytest.fixture(scope='module')
def walked(real_data, tmp_path_factory):
  """The folder after all five commands, and what each of them printed."""
  place = tmp_path_factory.mktemp('walk')
  (place / 'spiece').mkdir()
  (place / 'spiece' / 'spiece.model').write_bytes((real_data / 'vocabs' / 't5_cc_all.32000.model').read_bytes())
  flan_t5(place / 'flan-t5-small', place / 'spiece')
  for name in ('tickets.py', 'tickets.jsonl'):
    (place / name).write_text((EXAMPLE / name).read_text())
  (place / 'tickets.txt').write_text('\n'.join(PROMPTS) + '\n')
  environment = {**os.environ, 'PYTHONPATH': f'{ROOT}:{place}', 'XLA_FLAGS': '', 'HF_HUB_OFFLINE': '1',
                 'PATH': f'{pathlib.Path(sys.executable).parent}:{os.environ["PATH"]}'}  # fmt: skip
  printed = []
  for command in commands():
    done = subprocess.run(['bash', '-ec', command], cwd=place, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, f'{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}'
    printed.append(done.stdout + done.stderr)
  return place, printed


def test_what_transformers_loads_is_the_base_and_the_adapter(walked):
  place, printed = walked
  assert 'starting from flan-t5-small (Hugging Face)' in printed[0] and 'the adapter alone is in' in printed[0]
  assert 'note: the adapter of the run (lora) is merged' in printed[3] and 'read back and equal' in printed[3]
  base, merged = HuggingFaceWeights(place / 'flan-t5-small'), HuggingFaceWeights(place / 'flan-t5-tickets')
  run = initial.open_weights(place / 'runs' / 'tickets')
  scale = run.method.alpha / run.method.rank
  changed = 0
  for path in base.shapes:
    factors = [f'{path.removesuffix("/kernel")}/adapters/lora/{name}' for name in 'ab']
    delta = scale * run.read(factors[0]) @ run.read(factors[1]) if factors[0] in run.shapes else 0
    np.testing.assert_allclose(merged.read(path), base.read(path) + delta, atol=1e-6, err_msg=path)
    changed += np.abs(delta).max() > 1e-4
  assert changed == 12  # query and value of two encoder layers and of both attentions of two decoder layers
  assert base.config == merged.config


def test_tokens_are_the_same_on_both_sides(walked):
  place, _ = walked
  there, back = (transformers.AutoTokenizer.from_pretrained(place / name)
                 for name in ('flan-t5-small', 'flan-t5-tickets'))  # fmt: skip
  texts = [*PROMPTS, *(json.loads(line)['text'] for line in (EXAMPLE / 'tickets.jsonl').read_text().splitlines())]
  assert [there(text)['input_ids'] for text in texts] == [back(text)['input_ids'] for text in texts]


def test_every_prompt_is_answered_and_the_task_is_scored(walked):
  place, printed = walked
  answers = next((place / 'runs' / 'tickets' / 'answers').glob('*-predict.jsonl-*'))
  assert [json.loads(line)['inputs'] for line in answers.read_text().splitlines()] == list(PROMPTS)
  assert (place / 'runs' / 'tickets' / 'eval' / 'results.json').is_file()
  assert '<pad>' in printed[4]  # transformers answered, whatever a random model says
