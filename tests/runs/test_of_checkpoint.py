"""The model and the vocabulary that a checkpoint brings with it."""

import dataclasses

import pytest
import seqio
from flax import nnx

from flan_jax.data.tokenizer_export import kept_files, save_tokenizer
from flan_jax.errors import UserError
from flan_jax.interop.hf_folder import write_huggingface
from flan_jax.interop.huggingface import base_parameters
from flan_jax.interop.weights import Held
from flan_jax.models import T5
from flan_jax.runs.of_checkpoint import model_of_checkpoint
from flan_jax.runs.vocabulary_of import vocabulary_of_checkpoint
from tests.training import toy

FILES = {f'tokenizer/{name}': content for name, content in kept_files(seqio.ByteVocabulary(extra_ids=125)).items()}


def test_a_folder_of_transformers_brings_both(tmp_path):
  write_huggingface(tmp_path, Held('a model', toy.CONFIG, base_parameters(T5(toy.CONFIG, rngs=nnx.Rngs(0)))))
  with pytest.raises(UserError, match='has no tokenizer beside it: bind VOCABULARY'):
    vocabulary_of_checkpoint(str(tmp_path))
  save_tokenizer(seqio.ByteVocabulary(extra_ids=125), tmp_path)
  assert model_of_checkpoint(str(tmp_path), dtype='float32') == toy.CONFIG
  assert model_of_checkpoint(str(tmp_path), dropout_rate=0.3).dropout_rate == 0.3
  assert vocabulary_of_checkpoint(str(tmp_path)) == seqio.ByteVocabulary(extra_ids=125)


def test_a_run_keeps_both(tmp_path):
  toy.run(tmp_path, 5, metadata={'model': dataclasses.asdict(toy.CONFIG)}, files=FILES)
  for path in (tmp_path, tmp_path / 'checkpoint_5'):
    assert model_of_checkpoint(str(path)) == toy.CONFIG
    assert vocabulary_of_checkpoint(str(path)) == seqio.ByteVocabulary(extra_ids=125)


def test_a_run_keeps_sentencepiece_as_sentencepiece(real_data, tmp_path):
  # Special tokens in a text, marks and equal pieces: what a tokenizer.json of the same pieces gives other ids.
  vocabulary = seqio.SentencePieceVocabulary(str(real_data / 'vocabs' / 't5_cc_all.32000.model'), extra_ids=100)
  (tmp_path / 'tokenizer').mkdir()
  for name, content in kept_files(vocabulary).items():
    (tmp_path / 'tokenizer' / name).write_bytes(content)
  kept = vocabulary_of_checkpoint(str(tmp_path))
  assert type(kept) is seqio.SentencePieceVocabulary and kept.vocab_size == vocabulary.vocab_size == 32100
  for text in ('That is good.', 'a </s> <extra_id_0> b<extra_id_1>', ' \u2460\u0301 !!!!!'):
    assert kept.encode(text) == vocabulary.encode(text)
