"""Tokenizer files of model folders, read and written, against transformers' own classes."""

import copy
import json
import pickle
import random
import shutil
import sys
import unicodedata

import gin
import pytest
import seqio
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentencepiece import sentencepiece_model_pb2

from flan_jax import configurables, gin_files
from flan_jax.data import iterator, registry
from flan_jax.data.huggingface_vocabulary import HuggingFaceVocabulary
from flan_jax.data.rows import rows
from flan_jax.data.tokenizer_export import save_tokenizer
from flan_jax.data.tokenizer_files import vocabulary_of
from flan_jax.data.vocabulary import ActiveVocabulary, WordVocabulary, encode_block, use_vocabulary
from flan_jax.errors import UserError
from tasks import quickstart
from tasks.quickstart import builder, generators
from tasks.quickstart.vocabulary import quickstart_vocabulary
from tests.data import tokenizer_texts
from tests.data.conftest import data_dir
from tests.data.tokenizer_texts import SPECIAL, gsm8k, may_differ, varied

pytest.importorskip('tokenizers')
transformers = pytest.importorskip('transformers')

SPIECE = 't5_cc_all.32000.model'
SENTINELS = [f'<extra_id_{i}>' for i in range(100)]
T5_CONFIG = {'tokenizer_class': 'T5Tokenizer', 'extra_ids': 100, 'eos_token': '</s>', 'pad_token': '<pad>',
             'unk_token': '<unk>', 'additional_special_tokens': SENTINELS}  # fmt: skip
BYT5_CONFIG = {'tokenizer_class': 'ByT5Tokenizer', 'extra_ids': 125}
WORDS = WordVocabulary(['the', 'cat', 'sat', '.', "'", 's', 'é', '_x1', '?', '²', '猫'])


def folder_of(place, files):
  place.mkdir(parents=True)
  for name, content in files.items():
    (place / name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
  return str(place)


def opened(folder):
  return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)


def ids_of(tokenizer, texts):
  return tokenizer(texts, add_special_tokens=False).input_ids


@pytest.fixture(scope='module')
def spiece(real_data):
  return (real_data / 'vocabs' / SPIECE).read_bytes()


@pytest.fixture(scope='module')
def pieces(real_data):
  return seqio.SentencePieceVocabulary(str(real_data / 'vocabs' / SPIECE), extra_ids=100)


@pytest.fixture(scope='module')
def t5_folder(spiece, tmp_path_factory):
  """What transformers saves of a T5 tokenizer that it made of T5's SentencePiece model."""
  place = tmp_path_factory.mktemp('t5')
  opened(folder_of(place / 'old', {'spiece.model': spiece, 'tokenizer_config.json': T5_CONFIG})).save_pretrained(place)
  return place


@pytest.fixture(scope='module')
def description(t5_folder):
  """T5's tokenizer.json with its first 1,500 pieces only, which is opened sooner."""
  found = json.loads((t5_folder / 'tokenizer.json').read_text())
  found['model']['vocab'][1500:32000] = []
  for token in found['added_tokens'][3:]:
    token['id'] -= 30500
  return found


@pytest.fixture(scope='module')
def small_folder(description, tmp_path_factory):
  files = {'tokenizer.json': description, 'tokenizer_config.json': T5_CONFIG}
  return folder_of(tmp_path_factory.mktemp('small') / 'model', files)


@pytest.fixture(scope='module')
def t5(t5_folder):
  return opened(t5_folder)


@pytest.fixture(scope='module')
def vocabulary(t5_folder):
  return HuggingFaceVocabulary(t5_folder)


# --- the ids of tokenizer.json ---


@pytest.mark.parametrize(('text', 'ids'), [
  ('translate English to German: That is good.', [13959, 1566, 12, 2968, 10, 466, 19, 207, 5]),
  ('translate English to German: Hello world', [13959, 1566, 12, 2968, 10, 8774, 296]),
  ('Das ist gut.', [644, 229, 1806, 5]),
  ('A long paragraph for summarization.', [71, 307, 8986, 21, 4505, 1635, 1707, 5]),
  ('Summary of the text.', [20698, 13, 8, 1499, 5]),
  ("Hi there \n  \t   I'm good\n", [2018, 132, 27, 31, 51, 207]),
  ('The <extra_id_0> walks in <extra_id_1> park', [37, 32099, 10681, 16, 32098, 2447]),
  ('<extra_id_99>', [32000]),
])  # fmt: skip
def test_published_ids_of_t5(vocabulary, pieces, text, ids):
  assert vocabulary.encode(text) == ids
  assert pieces.encode(text) == ids


@pytest.mark.parametrize('name', [*tokenizer_texts.CLASSES, 'gsm8k'])
def test_all_ways_of_encoding_give_the_ids_of_transformers(name, vocabulary, t5, real_data):
  texts = gsm8k(real_data)[:1500] if name == 'gsm8k' else varied(name, 500)
  expected = ids_of(t5, texts)
  assert encode_block(vocabulary, tf.constant(texts)).to_list() == expected
  few = slice(0, 60)
  assert [vocabulary.encode(text) for text in texts[few]] == expected[few]
  assert [vocabulary.encode_tf(tf.constant(text)).numpy().tolist() for text in texts[few]] == expected[few]


@given(text=st.text(st.characters(exclude_categories=['Cs']) | st.sampled_from('<>/s▁ \n\x85éx_0'), max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_has_the_ids_of_transformers(text, vocabulary, t5):
  assert vocabulary.encode(text) == ids_of(t5, text)


@pytest.mark.parametrize('name', [*tokenizer_texts.CLASSES, 'gsm8k'])
def test_sentencepiece_gives_the_ids_of_transformers_but_in_the_stated_places(name, pieces, t5, real_data):
  texts = gsm8k(real_data)[:1500] if name == 'gsm8k' else varied(name, 500)
  same = [text for text in texts if may_differ(text) is None]
  assert len(same) > len(texts) / (6 if name in ('special', 'sentinels') else 3)
  theirs = ids_of(t5, same)
  for ours in (encode_block(pieces, tf.constant(same)).to_list(), [pieces.encode(text) for text in same]):
    unlike = [(one, other) for one, other in zip(ours, theirs, strict=True) if one != other]
    assert all(sorted(one) == sorted(other) for one, other in unlike)  # equally likely: the same pieces, reordered
    assert len(unlike) < len(same) / (1 if name == 'runs' else 50)


@pytest.mark.parametrize(('text', 'sentencepiece', 'huggingface'), [
  ('a</s> b', [3, 9, 2, 87, 7, 3155, 3, 115], [3, 9, 1, 3, 115]),
  ('<pad>', [3, 2, 5612, 3155], [0]),
  ('a <unk>', [3, 9, 3, 2, 6513, 3155], [3, 9, 2]),
  ('a<extra_id_0>', [3, 9, 2, 25666, 834, 23, 26, 834, 632, 3155], [3, 9, 32099]),
  ('<extra_id_0>b', [32099, 115], [32099, 3, 115]),
  ('▁<extra_id_0>', [3, 32099], [32099]),
  ('a\x85b', [3, 9, 2, 115], [3, 9, 3, 115]),
  ('①\u0301', [209, 2], [209]),
])  # fmt: skip
def test_the_stated_places_where_sentencepiece_gives_other_ids(text, sentencepiece, huggingface, pieces, vocabulary):
  assert pieces.encode(text) == sentencepiece
  assert vocabulary.encode(text) == huggingface
  assert may_differ(text)


def test_pieces_of_equal_likelihood_come_in_any_order(pieces, vocabulary):
  found = {tuple(encode(text)) for text in ('x###y',) for encode in (
    vocabulary.encode, pieces.encode, lambda text: pieces.encode_tf(tf.constant(text)).numpy().tolist())}  # fmt: skip
  assert found == {(3, 226, 4663, 30345, 63), (3, 226, 30345, 4663, 63)}


def test_a_block_of_rows_keeps_its_shape(vocabulary):
  rows = tf.ragged.constant([['a', '', 'Das ist gut.'], [], ['<extra_id_0> b']])
  assert encode_block(vocabulary, rows).to_list() == [
    [[3, 9], [], [644, 229, 1806, 5]], [], [[32099, 3, 115]]
  ]  # fmt: skip
  assert encode_block(vocabulary, tf.constant([], tf.string)).to_list() == []


def test_bytes_that_are_not_utf8_become_replacement_characters(vocabulary):
  text = tf.constant(b'good \xff\xfe text \xc3')
  assert vocabulary.encode_tf(text).numpy().tolist() == vocabulary.encode('good \ufffd\ufffd text \ufffd')


# --- decoding ---


def test_decoding_is_that_of_transformers_without_padding_and_end(vocabulary, t5):
  for text in varied('words', 200) + varied('sentinels', 200):
    ids = [i for i in ids_of(t5, text) if i not in (0, 1)]
    assert vocabulary.decode([*ids, 0, 1, 100, 200]) == t5.decode(ids, clean_up_tokenization_spaces=False)


def test_decoding_stops_at_the_end_and_tells_sentinels_and_unknowns(vocabulary):
  assert vocabulary.decode([644, 229, 1806, 5, 1, 100]) == 'Das ist gut.'
  assert vocabulary.decode([32099, 3, 115, 0, 0]) == '<extra_id_0> b'
  assert vocabulary.decode([100, 2, 40000]) == 'This<unk><unk>'
  assert vocabulary.decode([]) == vocabulary.decode([0, 1]) == ''


def test_the_graph_decodes_as_python_does(vocabulary):
  rows = [[644, 229, 1806, 5, 1, 100], [32099, 3, 115, 0, 0, 0], [1, 0, 0, 0, 0, 0]]
  texts = [vocabulary.decode(row) for row in rows]
  decode = tf.function(vocabulary.decode_tf, input_signature=[tf.TensorSpec([None, None], tf.int32)])
  assert [text.decode() for text in decode(tf.constant(rows)).numpy()] == texts
  assert vocabulary.decode_tf(tf.constant(rows[0])).numpy().decode() == texts[0]
  assert decode(tf.zeros([2, 0], tf.int32)).numpy().tolist() == [b'', b'']


# --- a SeqIO vocabulary ---


def test_the_ids_that_seqio_asks_for(vocabulary):
  assert (vocabulary.pad_id, vocabulary.eos_id, vocabulary.unk_id, vocabulary.bos_id) == (0, 1, 2, None)
  assert (vocabulary.vocab_size, vocabulary.extra_ids) == (32100, 0)


def test_nothing_is_opened_before_the_first_use_and_copies_travel_by_name(tmp_path, small_folder):
  later = HuggingFaceVocabulary(tmp_path / 'later')
  shutil.copytree(small_folder, tmp_path / 'later')
  ids = later.encode('a <extra_id_0>')
  assert ids == [3, 9, 1599]
  assert len(pickle.dumps(later)) < 1000
  for twin in (copy.deepcopy(later), pickle.loads(pickle.dumps(later))):
    assert twin._loaded is None
    assert twin == later
    assert twin.encode('a <extra_id_0>') == ids


def test_vocabularies_are_equal_by_content(tmp_path, description, small_folder):
  one = HuggingFaceVocabulary(small_folder)
  shutil.copytree(small_folder, tmp_path / 'copy')
  assert HuggingFaceVocabulary(tmp_path / 'copy') == one
  changed = copy.deepcopy(description)
  changed['model']['vocab'][100][1] -= 1.0
  other = folder_of(tmp_path / 'other', {'tokenizer.json': changed, 'tokenizer_config.json': T5_CONFIG})
  assert HuggingFaceVocabulary(other) != one
  assert one != seqio.ByteVocabulary()
  assert str(one) == f'HuggingFaceVocabulary(folder={small_folder!r}, sha256={one.digest})'


def test_a_training_stream_resumes_at_its_position(real_tfds, no_vocabulary, vocabulary, pieces):
  use_vocabulary(vocabulary)
  mixture, lengths = registry.mixture_of(('flan2021.copa.template_0',)), {'inputs': 96, 'targets': 16}
  stream = iterator.batches(mixture, lengths, 4, seed=3)
  first, position = next(stream)['encoder_input_tokens'], stream.get_state()
  second = next(stream)['encoder_input_tokens'].tolist()
  resumed = iterator.batches(mixture, lengths, 4, seed=3)
  resumed.set_state(position)
  assert next(resumed)['encoder_input_tokens'].tolist() == second
  assert pieces.decode(first[0]) == vocabulary.decode(first[0].tolist()) != ''


@pytest.mark.parametrize('name', ['vocabulary_of', 'HuggingFaceVocabulary'])
def test_gin_takes_the_vocabulary_of_a_folder(name, small_folder):
  bindings = [f'VOCABULARY=@data.{name}()', f'data.{name}.folder={small_folder!r}', 'MODEL_DIR="m"',
              'MIXTURE_OR_TASK_NAME="flan2021.copa"', 'TRAIN_STEPS=1']  # fmt: skip
  try:
    gin_files.load(gin_files.Sources(['runs/finetune.gin', 'models/t5_1_1_tiny.gin'], bindings),
                   configurables.register())
    found = gin.get_bindings('runs.finetune', resolve_references=True)['vocabulary']
  finally:
    gin.clear_config()
  assert isinstance(found, HuggingFaceVocabulary)
  assert found.vocab_size == 1600


def test_without_the_package_the_error_says_what_to_install(small_folder, monkeypatch):
  monkeypatch.setitem(sys.modules, 'tokenizers', None)
  with pytest.raises(UserError, match=r'pip install flan_jax\[hf\]'):
    HuggingFaceVocabulary(small_folder).encode('a')


# --- other files than those that transformers 5 writes ---


def metaspace_only(found):
  """The steps that transformers 4 wrote for umT5: blanks at the ends, newlines and tabs are kept."""
  blanks = {'type': 'Replace', 'pattern': {'Regex': ' {2,}'}, 'content': ' '}
  return found | {
    'normalizer': {'type': 'Sequence', 'normalizers': [found['normalizer'], blanks]},
    'pre_tokenizer': {'type': 'Metaspace', 'replacement': '▁', 'add_prefix_space': True},
    'decoder': {'type': 'Metaspace', 'replacement': '▁', 'add_prefix_space': True},
  }


def cut_and_padded(found):
  return found | {
    'truncation': {'direction': 'Right', 'max_length': 4, 'strategy': 'LongestFirst', 'stride': 0},
    'padding': {'strategy': {'Fixed': 8}, 'direction': 'Right', 'pad_to_multiple_of': None, 'pad_id': 0,
                'pad_type_id': 0, 'pad_token': '<pad>'},
  }  # fmt: skip


FLAGS = dict.fromkeys(('single_word', 'lstrip', 'rstrip', 'normalized', 'special'), False)
NEWLINE = {'content': '\n'} | FLAGS


def with_newline(found):
  return found | {'added_tokens': [*found['added_tokens'], {'id': 1600} | NEWLINE]}


def words_only(config, found):
  """Flags in tokenizer_config.json that tokenizer.json does not have: sentinels inside words are spelled out."""
  flags = {str(token['id']): {key: token[key] for key in token if key != 'id'} | {'single_word': True}
           for token in found['added_tokens']}
  return config | {'added_tokens_decoder': flags}


GENERIC = T5_CONFIG | {'tokenizer_class': 'PreTrainedTokenizerFast'}
FOLDERS = {
  'steps of version 4': lambda found: {'tokenizer.json': metaspace_only(found), 'tokenizer_config.json': T5_CONFIG},
  'fast class': lambda found: {
    'tokenizer.json': metaspace_only(found),
    'tokenizer_config.json': T5_CONFIG | {'tokenizer_class': 'T5TokenizerFast'},
  },
  'generic': lambda found: {'tokenizer.json': metaspace_only(found), 'tokenizer_config.json': GENERIC},
  'generic, of a T5': lambda found: {
    'tokenizer.json': metaspace_only(found), 'tokenizer_config.json': GENERIC, 'config.json': {'model_type': 't5'},
  },
  'class of the model': lambda found: {
    'tokenizer.json': metaspace_only(found), 'config.json': {'model_type': 'mt5'},
  },
  'no class': lambda found: {'tokenizer.json': metaspace_only(found)},
  'truncation': lambda found: {'tokenizer.json': cut_and_padded(found), 'tokenizer_config.json': T5_CONFIG},
  'a token of its own': lambda found: {
    'tokenizer.json': with_newline(found), 'tokenizer_config.json': T5_CONFIG, 'added_tokens.json': {'\n': 1600},
  },
  'special_tokens_map': lambda found: {
    'tokenizer.json': found, 'tokenizer_config.json': {'tokenizer_class': 'T5Tokenizer'},
    'special_tokens_map.json': {'eos_token': NEWLINE | {'content': '</s>'}, 'additional_special_tokens': SENTINELS},
  },
  'flags': lambda found: {'tokenizer.json': found, 'tokenizer_config.json': words_only(T5_CONFIG, found)},
  'flags of generic': lambda found: {'tokenizer.json': found, 'tokenizer_config.json': words_only(GENERIC, found)},
  'special tokens spelled out': lambda found: {
    'tokenizer.json': found, 'tokenizer_config.json': T5_CONFIG | {'split_special_tokens': True},
  },
}  # fmt: skip


@pytest.mark.parametrize('name', FOLDERS)
def test_folders_of_other_times_give_the_ids_that_transformers_gives_them(name, description, tmp_path):
  folder = folder_of(tmp_path / 'model', FOLDERS[name](description))
  reference, found = opened(folder), vocabulary_of(folder)
  texts = [text for part in ('blanks', 'special', 'sentinels') for text in varied(part, 150, seed=1)]
  assert encode_block(found, tf.constant(texts)).to_list() == ids_of(reference, texts)
  assert (found.vocab_size, found.eos_id, found.unk_id) == (len(reference), 1, 2)


def test_the_steps_of_a_file_matter_only_where_no_t5_class_reads_it(description, tmp_path):
  made = {name: vocabulary_of(folder_of(tmp_path / name, FOLDERS[name](description)))
          for name in ('steps of version 4', 'generic')}  # fmt: skip
  assert made['steps of version 4'].encode('a ') == [3, 9]
  assert made['generic'].encode('a ') == [3, 9, 3]


# --- what a folder holds ---


def sentencepiece_with(spiece, change):
  model = sentencepiece_model_pb2.ModelProto.FromString(spiece)
  change(model)
  return model.SerializeToString()


def mt5_pieces(spiece):
  """T5's model with its sentinels among the pieces, as mT5's file has them."""
  def change(model):
    for i in reversed(range(100)):
      model.pieces.add(piece=f'▁<extra_id_{i}>', score=0.0, type=4)
  return sentencepiece_with(spiece, change)


@pytest.mark.parametrize(('name', 'config', 'sentinels'), [
  ('spiece.model', None, 100),
  ('sentencepiece.model', None, 100),
  ('spiece.model', T5_CONFIG, 100),
  ('spiece.model', {'tokenizer_class': 'T5Tokenizer', 'extra_ids': 0, 'additional_special_tokens': None}, 0),
  ('spiece.model', {'tokenizer_class': 'MT5Tokenizer', 'extra_ids': 384}, 384),
  ('spiece.model', {'added_tokens_decoder': {
    str(32000 + i): NEWLINE | {'content': f'<extra_id_{9 - i}>'} for i in range(10)}}, 10),
])  # fmt: skip
def test_a_sentencepiece_model_alone_gets_the_sentinels_that_the_folder_says(name, config, sentinels, spiece, tmp_path):
  files = {name: spiece} | ({'tokenizer_config.json': config} if config else {})
  found = vocabulary_of(folder_of(tmp_path / 'model', files))
  assert isinstance(found, seqio.SentencePieceVocabulary)
  assert (found.vocab_size, found.extra_ids) == (32000 + sentinels, sentinels)


@pytest.mark.parametrize('config', [
  None, {'tokenizer_class': 'T5Tokenizer', 'extra_ids': 0, 'additional_special_tokens': None},
])  # fmt: skip
def test_sentinels_among_the_pieces_are_not_added_again(config, spiece, tmp_path):
  files = {'spiece.model': mt5_pieces(spiece)} | ({'tokenizer_config.json': config} if config else {})
  found = vocabulary_of(folder_of(tmp_path / 'mt5', files))
  assert found.vocab_size == 32100
  assert found.encode('a <extra_id_0>b') == [3, 9, 32099, 115]
  if config:
    texts = [text for text in varied('sentinels', 300)
             if may_differ(SPECIAL.sub('x', text)) is None and '▁<' not in text]  # fmt: skip
    assert encode_block(found, tf.constant(texts)).to_list() == ids_of(opened(tmp_path / 'mt5'), texts)


@pytest.mark.parametrize(('files', 'sentinels'), [
  ({'tokenizer_config.json': {'tokenizer_class': 'ByT5Tokenizer'}}, 125),
  ({'tokenizer_config.json': {'tokenizer_class': 'ByT5Tokenizer', 'extra_ids': 0}}, 0),
  ({'config.json': {'model_type': 't5', 'tokenizer_class': 'ByT5Tokenizer'}}, 125),
  ({'config.json': {'model_type': 'byt5'}}, 125),
])  # fmt: skip
def test_byt5_needs_no_vocabulary_file(files, sentinels, tmp_path):
  assert vocabulary_of(folder_of(tmp_path / 'byt5', files)) == seqio.ByteVocabulary(extra_ids=sentinels)


def test_bytes_have_the_ids_of_transformers_but_for_special_tokens_in_a_text(tmp_path, real_data):
  byt5 = transformers.ByT5Tokenizer()
  byt5.save_pretrained(tmp_path)
  found = vocabulary_of(tmp_path)
  assert found == seqio.ByteVocabulary(extra_ids=125)
  assert len(byt5) == found.vocab_size == 384
  texts = [text for name in tokenizer_texts.CLASSES for text in varied(name, 100)] + gsm8k(real_data)[:300]
  plain = [text for text in texts if not SPECIAL.search(text) and '<extra_id_100>' not in text]
  assert len(plain) > len(texts) / 2
  assert [found.encode(text) for text in plain] == ids_of(byt5, plain)
  assert ids_of(byt5, 'a </s> b<extra_id_0>c') == [100, 1, 101, 259, 102]
  assert found.encode('a </s>') == [100, 35, 63, 50, 118, 65]


@pytest.mark.parametrize(('files', 'message'), [
  ({}, 'holds no vocabulary: .* it holds nothing'),
  ({'tokenizer.pkl': b'', 'config.json': {}}, r'it holds config.json, tokenizer.pkl\.'),
  ({'tokenizer.json': {}, 'tokenizer_config.json': {'tokenizer_class': 'LlamaTokenizerFast'}},
   "class 'LlamaTokenizerFast'; T5Tokenizer, "),
  ({'tokenizer.json': {}, 'tokenizer_config.json': {'auto_map': {'AutoTokenizer': 'mine.Tokenizer'}}}, 'never run'),
  ({'tokenizer_config.json': b'[1]'}, 'not a JSON object'),
  ({'tokenizer_config.json': b'{'}, 'is not JSON'),
  ({'spiece.model': b'', 'tokenizer_config.json': GENERIC}, 'reads tokenizer.json, and holds spiece.model only'),
  ({'spiece.model': b'what'}, 'is no SentencePiece model'),
  ({'tokenizer_config.json': BYT5_CONFIG | {'added_tokens_decoder': {'384': NEWLINE}}}, r"adds the tokens '\\n'"),
])  # fmt: skip
def test_a_folder_without_a_vocabulary_is_refused(files, message, tmp_path):
  with pytest.raises(UserError, match=message):
    vocabulary_of(folder_of(tmp_path / 'model', files))


def test_a_missing_folder_is_refused(tmp_path):
  for use in (vocabulary_of, lambda folder: HuggingFaceVocabulary(folder).vocab_size):
    with pytest.raises(UserError, match='is not a folder'):
      use(tmp_path / 'nowhere')


@pytest.mark.parametrize(('change', 'message'), [
  (lambda model: setattr(model.trainer_spec, 'byte_fallback', True), 'no byte_fallback'),
  (lambda model: setattr(model.trainer_spec, 'pad_id', -1), 'ids of padding'),
  (lambda model: setattr(model.trainer_spec, 'model_type', 2), 'a unigram model'),
  (lambda model: setattr(model.normalizer_spec, 'add_dummy_prefix', False), 'add_dummy_prefix'),
])  # fmt: skip
def test_a_sentencepiece_model_that_t5s_class_cannot_follow_is_refused(change, message, spiece, tmp_path):
  file = sentencepiece_with(spiece, change)
  with pytest.raises(UserError, match=message):
    vocabulary_of(folder_of(tmp_path / 'model', {'spiece.model': file}))
  with pytest.raises(UserError, match=message):
    save_tokenizer(seqio.SentencePieceVocabulary(str(tmp_path / 'model' / 'spiece.model')), tmp_path / 'out')


def test_a_token_that_sentencepiece_has_no_place_for_is_refused(spiece, tmp_path):
  files = {'spiece.model': spiece, 'tokenizer_config.json': T5_CONFIG, 'added_tokens.json': {'\n': 32100}}
  with pytest.raises(UserError, match=r"adds the tokens '\\n'"):
    vocabulary_of(folder_of(tmp_path / 'model', files))


@pytest.mark.parametrize(('change', 'message'), [
  (lambda files: files['tokenizer.json'].update(added_tokens=[]), r'does not list the special tokens <extra_id_0>, '),
  (lambda files: files['tokenizer_config.json'].update(extra_special_tokens=['<new>']), 'special tokens <new>'),
  (lambda files: files['tokenizer_config.json'].update(eos_token='<end>'), 'special tokens <end>'),
  (lambda files: files.update({'added_tokens.json': {'\n': 32100}}), r"added_tokens.json gives '\\n' the id 32100"),
  (lambda files: files['tokenizer_config.json'].update(tokenizer_class='TokenizersBackend', eos_token='<end>'),
   'there is no end of sequence'),
  (lambda files: files['tokenizer_config.json'].update(tokenizer_class='TokenizersBackend', pad_token='</s>'),
   "'</s>' has the id 1"),
  (lambda files: files['tokenizer.json']['model'].update(type='WordLevel'), 'holds a WordLevel model'),
  (lambda files: files['tokenizer.json'].update(model={'type': 'New'}, normalizer=None,), 'holds a New model'),
  (lambda files: files.update({'tokenizer.json': {'model': {}}}), 'is not read by tokenizers'),
])  # fmt: skip
def test_a_folder_that_says_two_things_is_refused(change, message, description, tmp_path):
  files = {'tokenizer.json': copy.deepcopy(description), 'tokenizer_config.json': dict(T5_CONFIG)}
  change(files)
  with pytest.raises(UserError, match=message):
    print(vocabulary_of(folder_of(tmp_path / 'model', files)).vocab_size)


# --- written for transformers ---


def check_round_trip(vocabulary, place, texts, *, size):
  """What is written opens in transformers with the same ids, each followed by EOS, and is read back by us."""
  save_tokenizer(vocabulary, place)
  reference = opened(place)
  expected = [[int(token) for token in vocabulary.encode(text)] for text in texts]
  assert ids_of(reference, texts) == expected
  assert reference(texts[0]).input_ids == [*expected[0], 1]
  assert (reference.pad_token_id, reference.eos_token_id, len(reference)) == (0, 1, size)
  again = vocabulary_of(place)
  assert [[int(token) for token in again.encode(text)] for text in texts] == expected
  return reference


def test_the_files_of_a_folder_are_copied(vocabulary, t5_folder, tmp_path):
  texts = ['Das ist gut.', *(text for name in tokenizer_texts.CLASSES for text in varied(name, 50))]
  check_round_trip(vocabulary, tmp_path / 'out', texts, size=32100)
  for name in ('tokenizer.json', 'tokenizer_config.json'):
    assert (tmp_path / 'out' / name).read_bytes() == (t5_folder / name).read_bytes()


@pytest.mark.parametrize('name', ['class of the model', 'no class'])
def test_a_class_that_only_the_model_names_is_written_down(name, description, tmp_path):
  found = vocabulary_of(folder_of(tmp_path / 'model', FOLDERS[name](description)))
  check_round_trip(found, tmp_path / 'out', ['Das ist gut.', 'a ', ' a\nb', '</s>'], size=1600)


@pytest.mark.parametrize('sentinels', [100, 0])
def test_a_sentencepiece_vocabulary_becomes_what_transformers_makes_of_it(sentinels, spiece, tmp_path, t5_folder):
  content = spiece if sentinels else mt5_pieces(spiece)
  source = folder_of(tmp_path / 'model', {'t5.model': content})
  vocabulary = seqio.SentencePieceVocabulary(f'{source}/t5.model', extra_ids=sentinels)
  texts = [text for name in tokenizer_texts.CLASSES if name != 'runs' for text in varied(name, 50)]
  texts = ['Das ist gut.', *(text for text in texts if may_differ(text) is None)]
  check_round_trip(vocabulary, tmp_path / 'out', texts, size=32100)
  assert (tmp_path / 'out' / 'spiece.model').read_bytes() == content
  (tmp_path / 'out' / 'tokenizer.json').rename(tmp_path / 'ours.json')  # transformers makes its own of spiece.model
  opened(tmp_path / 'out').save_pretrained(tmp_path / 'theirs')
  ours, theirs = (json.loads(path.read_text())
                  for path in (tmp_path / 'ours.json', tmp_path / 'theirs' / 'tokenizer.json'))  # fmt: skip
  assert ours == theirs


@pytest.mark.parametrize('sentinels', [125, 0, 10])
def test_bytes_become_byt5s_class(sentinels, tmp_path):
  texts = [text for name in ('words', 'blanks', 'cjk') for text in varied(name, 50)]
  check_round_trip(seqio.ByteVocabulary(extra_ids=sentinels), tmp_path, texts, size=259 + sentinels)


@pytest.fixture(scope='module')
def saved_words(tmp_path_factory):
  place = tmp_path_factory.mktemp('words')
  save_tokenizer(WORDS, place)
  return opened(place)


# The two programs know different versions of Unicode: what is not assigned in Python's may be a letter in the other.
ASSIGNED = st.characters(exclude_categories=['Cs', 'Cn']) | st.sampled_from("theca .'s?_x1É²猫</>\n\x1c")


@given(text=st.text(ASSIGNED, max_size=40))
@settings(deadline=None)
def test_any_text_has_the_ids_of_a_word_vocabulary(text, saved_words):
  assert ids_of(saved_words, text) == WORDS.encode(text)


def test_every_character_has_the_id_of_a_word_vocabulary(saved_words):
  some = [chr(i) for i in (*range(0x3400), *range(0xA000, 0xAC00), *range(0xF900, 0x1F000, 7))]
  texts = [f'the{c}cat {c}' for c in some if unicodedata.category(c) not in ('Cn', 'Cs')]
  theirs = ids_of(saved_words, texts)
  assert [text for text, ids in zip(texts, theirs, strict=True) if ids != WORDS.encode(text)] == []


def test_the_sentences_of_the_quickstart_have_its_ids(tmp_path, no_vocabulary):
  words = use_vocabulary(quickstart_vocabulary())
  builder.FlanQuickstart(config='boolean_qa', data_dir=tmp_path / 'tfds').download_and_prepare()
  with data_dir(tmp_path / 'tfds'):
    shown = rows(quickstart.DATASETS[0].name, 'test', 60)
  texts = [text for row in shown for text in (row.inputs_pretokenized, row.targets_pretokenized)]
  for generate in generators.GENERATORS.values():
    draws = (generate(random.Random(i)) for i in range(40))
    texts += [text for row in draws for text in row.values() if isinstance(text, str)]
  assert len(texts) > 800
  reference = check_round_trip(ActiveVocabulary(), tmp_path / 'out', texts, size=words.vocab_size)
  for text in texts[:50]:
    ids = words.encode(text)
    assert words.unk_id not in ids
    assert reference.decode([*ids, 1, 0], skip_special_tokens=True) == words.decode(ids)
  (tmp_path / 'out' / 'config.json').write_text('{"model_type": "t5"}')  # beside the weights of a model
  assert ids_of(opened(tmp_path / 'out'), texts) == [words.encode(text) for text in texts]


def test_special_tokens_in_a_text_are_words_to_a_word_vocabulary(saved_words):
  assert saved_words('the </s>').input_ids == [*WORDS.encode('the </s>'), 1] == [3, 2, 2, 8, 2, 1]


def test_files_of_another_tokenizer_are_not_left_beside_it(vocabulary, spiece, tmp_path):
  folder_of(tmp_path / 'out', {'spiece.model': spiece, 'model.safetensors': b''})
  with pytest.raises(UserError, match='holds spiece.model of another tokenizer'):
    save_tokenizer(WORDS, tmp_path / 'out')
  assert not (tmp_path / 'out' / 'tokenizer.json').exists()


@pytest.mark.parametrize(('vocabulary', 'message'), [
  (seqio.PassThroughVocabulary(10), 'no tokenizer like a PassThroughVocabulary'),
  (WordVocabulary(['<pad>', 'a']), 'for itself'),
  (seqio.SentencePieceVocabulary('nowhere', reverse_extra_ids=False), 'count from the end'),
  (seqio.SentencePieceVocabulary('nowhere'), "'nowhere' cannot be read"),
])  # fmt: skip
def test_what_transformers_has_no_tokenizer_for_is_refused(vocabulary, message, tmp_path):
  with pytest.raises(UserError, match=message):
    save_tokenizer(vocabulary, tmp_path)
