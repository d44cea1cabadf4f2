"""EleutherAI's lm_eval itself over our models: local tasks, its own Hugging Face model, its command line."""

import json
import logging
import os
import pathlib

import numpy as np
import pytest
from flax import nnx

from flan_jax import peft
from flan_jax.data.tokenizer_export import save_tokenizer
from flan_jax.errors import UserError
from flan_jax.evaluation.rank import rank
from flan_jax.interop.hf_folder import write_huggingface
from flan_jax.interop.huggingface import base_parameters
from flan_jax.interop.lm_eval_generation import read
from flan_jax.interop.weights import Held
from flan_jax.models import Generator, Scorer
from flan_jax.peft import io
from tests.evaluation import synthetic
from tests.runs import answering

pytestmark = pytest.mark.filterwarnings('default')  # other people's program: its warnings are its own

lm_eval = pytest.importorskip('lm_eval')
HERE = pathlib.Path(__file__).parent
TASKS = ('flan_jax_choice', 'flan_jax_write', 'flan_jax_rolling')
ROWS = [json.loads(line) for line in (HERE / 'lm_eval_tasks' / 'rows.jsonl').read_text().splitlines()]


def make_model():
  """A model that writes words only: no unknown ones, which transformers leaves out of a text."""
  model = answering.make_model(nnx.Rngs(0))
  words = answering.vocabulary()
  embedding = model.token_embedder.embedding
  embedding[...] = embedding[...].at[words.unk_id].set(0.0).at[words.vocab_size :].set(0.0)
  return model


@pytest.fixture(scope='module')
def model():
  return make_model()


@pytest.fixture(scope='module')
def folder(model, tmp_path_factory):
  """The model in transformers' files, which both programs read."""
  place = tmp_path_factory.mktemp('model')
  write_huggingface(place, Held('a model', answering.CONFIG, base_parameters(model)))
  save_tokenizer(answering.vocabulary(), place)
  return place


@pytest.fixture(scope='module', autouse=True)
def offline(tmp_path_factory):
  """No network, caches of this module alone, and the tasks' data found beside this file."""
  import datasets
  import huggingface_hub

  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('HF_HUB_OFFLINE', '1')
    patch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', True)
    patch.setattr(datasets.config, 'HF_DATASETS_CACHE', tmp_path_factory.mktemp('datasets'))
    patch.chdir(HERE)
    yield


@pytest.fixture(scope='module')
def tasks():
  from lm_eval.tasks import TaskManager

  return TaskManager(include_path='lm_eval_tasks', include_defaults=False)


def checkpoint(folder, **arguments):
  from flan_jax.runs.lm_eval_checkpoint import CheckpointLM

  return CheckpointLM.create_from_arg_obj({'checkpoint_path': folder, 'dtype': 'float32', 'batch_size': 8, **arguments})


def evaluate(lm, tasks, names=TASKS, **options):
  return lm_eval.simple_evaluate(lm, tasks=list(names), task_manager=tasks, bootstrap_iters=0, **options)


def answers(results, name):
  """What the model answered to each row, in the rows' order."""
  samples = sorted(results['samples'][name], key=lambda sample: sample['doc_id'])
  return [[response[0] for response in sample['resps']] for sample in samples]


def requests(*arguments, kind='loglikelihood'):
  from lm_eval.api.instance import Instance

  return [Instance(kind, {}, given, place) for place, given in enumerate(arguments)]


def tokens(text):
  return [*answering.vocabulary().encode(text), answering.EOS]


def ranked_rows():
  return [
    synthetic.row(f'r{place}', answer=row['options'][row['answer']], options=row['options'],
                  option_tokens=[tokens(option) for option in row['options']], inputs=tokens(row['prompt']))
    for place, row in enumerate(ROWS)
  ]  # fmt: skip


@pytest.fixture(scope='module')
def lm(folder):
  return checkpoint(folder)


@pytest.fixture(scope='module')
def ours(lm, tasks):
  return evaluate(lm, tasks)


@pytest.fixture(scope='module')
def theirs(folder, tasks):
  """lm_eval's own model of transformers, on the same files."""
  from lm_eval.models.huggingface import HFLM

  return evaluate(HFLM(pretrained=str(folder), backend='seq2seq', device='cpu', dtype='float32', batch_size=8), tasks)


def test_scores_are_those_of_lm_evals_own_model(ours, theirs):
  for mine, other in zip(answers(ours, TASKS[0]), answers(theirs, TASKS[0]), strict=True):
    np.testing.assert_allclose([score for score, _ in mine], [score for score, _ in other], rtol=0, atol=1e-5)
    assert [greedy for _, greedy in mine] == [greedy for _, greedy in other]
  mine, other = (np.array(answers(found, TASKS[2]), float) for found in (ours, theirs))
  np.testing.assert_allclose(mine, other, rtol=0, atol=5e-5)
  assert mine.std() > 1
  for name, metric in ((TASKS[0], 'acc,none'), (TASKS[1], 'exact_match,none')):
    assert ours['results'][name][metric] == theirs['results'][name][metric]
  assert 0 < ours['results'][TASKS[0]]['acc,none'] < 1


def test_texts_are_those_of_lm_evals_own_model(ours, theirs):
  mine, other = ([row[0] for row in answers(found, TASKS[1])] for found in (ours, theirs))
  assert len(set(mine)) > len(mine) // 2
  # Its greatest length for encoder-decoders is that of the padded prompts and max_gen_toks together.
  assert all(longer.startswith(text) for text, longer in zip(mine, other, strict=True))


def test_scores_with_eos_are_those_of_our_rank_classification(folder, model, tasks):
  found = evaluate(checkpoint(folder, score_eos=True), tasks, TASKS[:1])
  ranked = rank(ranked_rows(), Scorer(model, batch_size=8))
  for mine, row in zip(answers(found, TASKS[0]), ranked, strict=True):
    np.testing.assert_allclose([score for score, _ in mine], row.scores, rtol=0, atol=1e-5)
  assert found['results'][TASKS[0]]['acc,none'] == np.mean([row.credit for row in ranked])


def test_texts_are_those_of_our_generator_up_to_the_stop(ours, model):
  written = Generator(model, max_decode_len=9, batch_size=8)([tokens(row['prompt']) for row in ROWS])
  texts = [answering.vocabulary().decode(row) for row in written]
  assert [row[0] for row in answers(ours, TASKS[1])] == [text.partition('read')[0] for text in texts]
  assert any('read' in text for text in texts)


def test_what_greedy_decoding_writes_is_greedy(lm, model):
  prompts = [row['prompt'] for row in ROWS]
  texts = [answering.vocabulary().decode(row)
           for row in Generator(model, max_decode_len=9, batch_size=8)([*map(tokens, prompts)])]  # fmt: skip
  asked = [pair for prompt, text in zip(prompts, texts, strict=True) if text
           for pair in ((prompt, text), (prompt, 'zebra ' + text))]  # fmt: skip
  assert len(asked) > 12
  found = lm.loglikelihood(requests(*asked))
  assert [greedy for _, greedy in found] == [True, False] * (len(asked) // 2)


def test_a_context_is_read_once_and_answers_keep_their_order(lm, monkeypatch):
  seen = []
  judge = lm._scorer.judged_options
  monkeypatch.setattr(lm._scorer, 'judged_options', lambda rows, options: seen.extend(rows) or judge(rows, options))
  prompts = ('is the cat', 'a', 'is a dog ?')
  pairs = [(prompt, option) for option in ('yes', 'no', 'a cat . a cat') for prompt in prompts]
  together = lm.loglikelihood(requests(*pairs))
  assert len(seen) == len(set(seen)) == 3
  alone = [lm.loglikelihood(requests(pair))[0] for pair in pairs]
  np.testing.assert_allclose([score for score, _ in together], [score for score, _ in alone], rtol=1e-5)
  assert len({round(score, 3) for score, _ in together}) == len(pairs)


def test_long_contexts_lose_their_beginning_and_are_counted(folder, caplog):
  lm = checkpoint(folder, max_length=4)
  with caplog.at_level(logging.WARNING, 'lm_eval'):
    asked = requests(('is a dog', 'yes'), ('the cat is a dog', 'yes'), ('is a dog', 'no'))
    short, long, again = lm.loglikelihood(asked)
  assert short == long != again
  assert '1 of 2 different contexts were cut to their last 4 tokens' in caplog.text


def test_a_text_longer_than_the_window_is_written_in_pieces(folder, model):
  text, scorer = 'the cat is a dog', Scorer(model)
  whole, pieces = (checkpoint(folder, max_length=length).loglikelihood_rolling(requests((text,)))[0]
                   for length in (None, 4))  # fmt: skip
  ids = tokens(text)
  np.testing.assert_allclose(whole, scorer.targets([[answering.EOS]], [ids])[0], rtol=1e-5)
  by_hand = scorer.targets([[answering.EOS], ids[1:4]], [ids[:4], ids[4:]]).sum()
  np.testing.assert_allclose(pieces, by_hand, rtol=1e-5)
  assert whole != pytest.approx(pieces)


def test_what_is_drawn_hangs_on_seed_and_place(lm, folder):
  def drawn(lm, **changes):
    settings = {'until': [], 'do_sample': True, 'temperature': 1.5, 'max_gen_toks': 8, **changes}
    return lm.generate_until(requests(*[('is a dog', settings)] * 6, kind='generate_until'))

  assert drawn(lm) == drawn(lm) != drawn(checkpoint(folder, seed=1))
  assert len(set(drawn(lm))) > 3
  assert len(set(drawn(lm, top_k=1))) == 1


def test_each_request_has_its_own_settings(lm, model, caplog):
  prompts = [row['prompt'] for row in ROWS[5:9]]
  ways = {'until': 'read', 'max_gen_toks': 9}, {'until': [], 'max_new_tokens': 9}, {'max_tokens': 2}
  asked = [(prompt, settings) for prompt in prompts for settings in ways]
  with caplog.at_level(logging.WARNING, 'lm_eval'):
    texts = lm.generate_until(requests(*asked, kind='generate_until'))
  written = Generator(model, max_decode_len=9, batch_size=8)([tokens(prompt) for prompt in prompts])
  full = 0
  for place, row in enumerate(written):
    text, short = (answering.vocabulary().decode(row[:length]) for length in (9, 2))
    assert texts[3 * place : 3 * place + 3] == [text.partition('read')[0], text, short]
    full += (len(row) == 9) + (len(row) == 9 and 'read' not in text) + (len(row) >= 2)
  assert f'{full} of 12 texts reached their greatest number of tokens before they ended' in caplog.text


def test_settings_become_those_of_the_generator():
  greedy, sampled, beams = (dict(read(given, 256).options) for given in (
    {'until': ['a', '']}, {'temperature': 0.7, 'top_k': 5, 'top_p': None}, {'num_beams': 3, 'length_penalty': 0.5},
  ))  # fmt: skip
  assert greedy == {'method': 'greedy', 'max_decode_len': 256}
  assert sampled == {'method': 'sample', 'max_decode_len': 256, 'temperature': 0.7, 'top_k': 5}
  assert beams == {'method': 'beam', 'max_decode_len': 256, 'num_beams': 3, 'beam_rules': 'huggingface', 'alpha': 0.5,
                   'early_stopping': False}  # fmt: skip
  assert read({'until': ['a', '']}, 1).stops == ('a',) and read({'until': 'a b'}, 1).stops == ('a b',)


@pytest.mark.parametrize(('given', 'said'), [
  ({'repetition_penalty': 1.2}, "flan_jax has no 'repetition_penalty'"),
  ({'temperatur': 0.5}, "Did you mean 'temperature'"),
  ({'max_length': 64}, 'Say max_gen_toks'),
  ({'max_gen_toks': 3, 'max_new_tokens': 4}, 'are different numbers of tokens'),
  ({'do_sample': True, 'num_beams': 2}, 'does not sample beams'),
  ({'until': ['a', 3]}, 'until must be a string'),
])  # fmt: skip
def test_generation_settings_that_we_lack_are_errors(given, said):
  with pytest.raises(UserError, match=said):
    read(given, 256)


def test_settings_without_effect_are_told(caplog):
  with caplog.at_level(logging.WARNING, 'lm_eval'):
    assert dict(read({'do_sample': False, 'temperature': 0.0}, 256).options)['method'] == 'greedy'
    assert not caplog.records
    read({'do_sample': False, 'temperature': 0.7, 'top_p': 0.9}, 256)
  assert 'temperature, top_p without effect, for the method is greedy' in caplog.text


def test_mistakes_in_model_args_are_named(folder):
  from flan_jax.runs.lm_eval_checkpoint import CheckpointLM

  for text, flags, said in (
    ('checkpoint_path=x,adapter=y', {}, r"the model flan_jax has no 'adapter'. Did you mean 'adapter_path'"),
    ('dtype=float32', {}, 'needs checkpoint_path=PATH'),
    ('checkpoint_path=/nowhere', {}, '/nowhere'),
    (f'checkpoint_path={folder}', {'device': 'cuda:1'}, '--device has no meaning'),
    (f'checkpoint_path={folder}', {'batch_size': 'auto'}, "batch_size must be a whole number .*, not 'auto'"),
    (f'checkpoint_path={folder},score_eos=yes', {}, "score_eos must be True or False, not 'yes'"),
    (f'checkpoint_path={folder},max_length=0', {'batch_size': 1}, 'max_length must be a whole number'),
  ):  # fmt: skip
    with pytest.raises(UserError, match=said):
      CheckpointLM.create_from_arg_string(text, flags)
  flags = {'batch_size': 1, 'device': 'cuda:0'}  # what the command line passes on when it is given neither
  lm = CheckpointLM.create_from_arg_string(f'checkpoint_path={folder},batch_size=3', flags)
  assert lm.batch_size == 3 and lm.get_model_info()['model_num_parameters'] == 12528


def test_a_continuation_without_tokens_is_an_error(lm, folder):
  with pytest.raises(UserError, match=r"continuation '' has no tokens, .* its context ends in 'is a'"):
    lm.loglikelihood(requests(('is a', '')))
  (score, _), = checkpoint(folder, score_eos=True).loglikelihood(requests(('is a', '')))
  assert score < 0


def test_an_adapter_is_put_on_the_model(lm, folder, tmp_path):
  adapted, method = make_model(), peft.LoRA(rank=2)
  method.attach(adapted, nnx.Rngs(params=0))
  for variable in io.saved_variables(adapted, method).values():
    variable.set_value(variable.get_value() + 0.2)
  peft.save_adapter(adapted, tmp_path / 'adapter', method)
  adapted_lm = checkpoint(folder, adapter_path=str(tmp_path / 'adapter'))
  (score, _), = adapted_lm.loglikelihood(requests(('is a dog', 'yes')))
  rows = [tokens('is a dog')], [answering.vocabulary().encode('yes')]
  np.testing.assert_allclose(score, Scorer(adapted).targets(*rows)[0], rtol=1e-5)
  assert abs(score - lm.loglikelihood(requests(('is a dog', 'yes')))[0][0]) > 1e-3


@pytest.mark.slow  # it reads all of lm_eval's tasks
def test_the_command_line_is_lm_evals_own(folder, ours, tmp_path, capsys, monkeypatch):
  from scripts import lm_eval as script

  monkeypatch.setattr('sys.argv', ['lm_eval'])
  flags = ['run', '--model', 'flan_jax', '--tasks', 'flan_jax_choice', '--include_path', 'lm_eval_tasks']
  arguments = ['--model_args', f'checkpoint_path={folder},dtype=float32', '--batch_size', '8']
  assert script.main([*flags, *arguments, '--output_path', str(tmp_path)]) == 0
  accuracy = ours['results'][TASKS[0]]['acc,none']
  assert f'|{accuracy:.4g}|' in capsys.readouterr().out
  written, = tmp_path.glob('**/results_*.json')
  found = json.loads(written.read_text())
  assert found['results'][TASKS[0]]['acc,none'] == accuracy and found['config']['model_num_parameters'] == 12528


def test_nothing_of_ours_imports_lm_eval_by_itself():
  import subprocess
  import sys

  program = ('import sys, flan_jax.interop, flan_jax.runs, flan_jax.interop.lm_eval_generation, scripts.lm_eval; '
             'assert not {"lm_eval", "torch", "tensorflow"} & set(sys.modules)')
  environment = {'JAX_PLATFORMS': 'cpu', 'PYTHONPATH': str(HERE.parents[1]), 'PATH': os.environ['PATH']}
  subprocess.run([sys.executable, '-c', program], check=True, timeout=120, env=environment)
