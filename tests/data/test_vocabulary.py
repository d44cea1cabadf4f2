"""Vocabularies: the words of an embedded suite, and the one that stands for whatever the run chooses."""

import json
import os
import subprocess
import sys

import pytest
import seqio
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from flan_jax.data.vocabulary import (
  ActiveVocabulary,
  WordVocabulary,
  active_vocabulary,
  padded_size,
  use_vocabulary,
)
from flan_jax.errors import UserError

WORDS = WordVocabulary(['the', 'cat', 'sat', '.', "'", 's', 'é', '_x1', '?'])


def test_words_and_marks_get_the_ids_of_their_order():
  assert WORDS.encode('The cat sat.') == [3, 4, 5, 6]
  assert WORDS.encode("the cat's É _x1??") == [3, 4, 7, 8, 9, 10, 11, 11]
  assert (WORDS.pad_id, WORDS.eos_id, WORDS.unk_id, WORDS.bos_id) == (0, 1, 2, None)
  assert WORDS.vocab_size == 3 + 9


def test_an_unknown_word_gets_the_unknown_id():
  assert WORDS.encode('the dog sat') == [3, 2, 5]
  assert WORDS.encode_tf(tf.constant('the dog sat')).numpy().tolist() == [3, 2, 5]


@pytest.mark.parametrize(
  'text', ['The cat sat.', '', '   ', "the cat's  É\n_X1?!", '(the):cat,"sat"', 'Ünknown—the', '12 a1']
)
def test_the_graph_encodes_as_python_does(text):
  assert WORDS.encode_tf(tf.constant(text)).numpy().tolist() == WORDS.encode(text)


@given(st.text(st.characters(max_codepoint=126, min_codepoint=32) | st.sampled_from('éÉ\n\t'), max_size=40))
def test_any_text_is_encoded_alike_in_both_ways(text):
  assert WORDS.encode_tf(tf.constant(text)).numpy().tolist() == WORDS.encode(text)


def test_decoding_gives_the_words_and_stops_at_the_end_of_sequence():
  assert WORDS.decode([3, 4, 2, 5, 6, 1, 4, 4]) == 'the cat sat .'
  assert WORDS.decode([0, 1]) == ''


def test_the_graph_decodes_as_python_does():
  rows = [[3, 4, 2, 5, 6, 1, 4], [4, 1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0]]
  decoded = [text.decode() for text in WORDS.decode_tf(tf.constant(rows)).numpy()]
  assert decoded == [WORDS.decode(row) for row in rows] == ['the cat sat .', 'cat', '']


def test_what_was_decoded_encodes_to_the_same_ids():
  ids = WORDS.encode("the cat's é _x1?")
  assert WORDS.encode(WORDS.decode(ids)) == ids


def test_a_word_twice_is_refused():
  with pytest.raises(UserError, match='each word once'):
    WordVocabulary(['the', 'the'])


def test_vocabularies_are_equal_by_their_words():
  assert WordVocabulary(['a', 'b']) == WordVocabulary(['a', 'b'])
  assert WordVocabulary(['a', 'b']) != WordVocabulary(['b', 'a'])
  assert ActiveVocabulary() == ActiveVocabulary()
  assert ActiveVocabulary() != WordVocabulary([])


@pytest.mark.parametrize(('words', 'rows'), [(0, 128), (125, 128), (126, 256), (32097, 32128)])
def test_embeddings_are_padded_to_a_multiple_of_128(words, rows):
  assert padded_size(WordVocabulary(map(str, range(words)))) == rows


def test_the_active_vocabulary_is_the_one_in_force(no_vocabulary):
  assert use_vocabulary(WORDS) is WORDS
  active = ActiveVocabulary()
  assert active_vocabulary() is WORDS
  assert (active.vocab_size, active.eos_id, active.unk_id, active.bos_id) == (WORDS.vocab_size, 1, 2, None)
  assert active.encode('the cat') == [3, 4]
  assert active.decode([3, 4, 1]) == 'the cat'
  assert active.encode_tf(tf.constant('the dog')).numpy().tolist() == [3, 2]
  assert active.decode_tf(tf.constant([3, 4, 1])).numpy() == b'the cat'


def test_a_later_choice_replaces_an_earlier_one(no_vocabulary):
  use_vocabulary(WordVocabulary(['one']))
  use_vocabulary(WORDS)
  assert ActiveVocabulary().encode('cat') == [4]


@pytest.mark.parametrize('use', [
  lambda v: v.vocab_size, lambda v: v.eos_id, lambda v: v.encode('a'), lambda v: v.decode([3]),
  lambda v: v.encode_tf(tf.constant('a')),
])  # fmt: skip
def test_without_a_choice_the_error_says_what_to_bind(use, no_vocabulary):
  with pytest.raises(UserError, match='No vocabulary is chosen: bind VOCABULARY'):
    use(ActiveVocabulary())


def test_t5s_pieces_pass_through_unchanged(real_data, no_vocabulary):
  file = str(real_data / 'vocabs' / 't5_cc_all.32000.model')
  pieces = use_vocabulary(seqio.SentencePieceVocabulary(file, extra_ids=100))
  text = 'Is it true? OPTIONS:\n- yes'
  assert ActiveVocabulary().encode(text) == pieces.encode(text)
  assert ActiveVocabulary().encode_tf(tf.constant(text)).numpy().tolist() == pieces.encode(text)
  assert ActiveVocabulary().vocab_size == 32100


IMPORT = """
import json, sys
import seqio, tensorflow, tensorflow_datasets
tensorflow.constant('TensorFlow and TFDS have opened what they open')
touched = []
def audit(event, arguments):
  if event == 'open' and not str(arguments[0]).endswith(('.py', '.pyc')) or event.startswith('socket.'):
    touched.append([event, str(arguments[0])])
sys.addaudithook(audit)
import tasks.flan2021, tasks.quickstart
seen = list(touched)
from flan_jax.data import registry, vocabulary
print(json.dumps({'touched': seen, 'chosen': len(vocabulary._ACTIVE), 'names': registry.known_names()}))
"""


def test_importing_the_tasks_opens_no_file_no_network_and_no_vocabulary(tmp_path):
  missing = tmp_path / 'missing'
  output = subprocess.run(
    [sys.executable, '-c', IMPORT], env={**os.environ, 'TFDS_DATA_DIR': str(missing)}, check=True, capture_output=True,
    text=True,
  ).stdout  # fmt: skip
  found = json.loads(output.splitlines()[-1])
  assert found['touched'] == []
  assert found['chosen'] == 0
  assert not missing.exists()
  assert set(found['names']) >= {
    'flan2021.sst2', 'flan2021.sst2.template_9', 'flan2021.without_nli', 'quickstart_nli_opposite', 'quickstart',
  }  # fmt: skip
