"""Structures as the datasets write them, and as a prompt shows them."""

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tasks.flan2021.struct_to_text import COMMON_GEN, DART, E2E_NLG, WEB_NLG_EN


def _gem_row(target: str, references: list[str], **structure) -> dict[str, tf.Tensor]:
  return {
    'target': tf.constant(target),
    'references': tf.constant(references, tf.string),
    **{name: tf.constant(value) for name, value in structure.items()},
  }


def _texts(example, name: str) -> list[str]:
  return [text.decode() for text in example[name].numpy()]


def test_dart_loses_the_marks_of_the_table_and_no_other_brackets():
  triples = ['[TABLECONTEXT] [TITLE] 1953 election', '[TABLECONTEXT] PARTY Labor  Party', 'Malay FRIDAY Jumaat [4 ]']
  example = DART.example(_gem_row('A\tlabour\nparty.', [], tripleset=triples))
  assert example['triples'].numpy() == b'1953 election; PARTY Labor Party; Malay FRIDAY Jumaat [4 ]'
  assert example['answer'].numpy() == b'A labour party.'


def test_e2e_attributes_are_equations():
  meaning = 'name[The Mill], eatType[coffee shop], customer rating[3 out of 5], area[riverside]'
  example = E2E_NLG.example(_gem_row('The Mill.', ['The Mill.'], meaning_representation=meaning))
  assert example['attributes'].numpy() == (
    b'name = The Mill, eatType = coffee shop, customer rating = 3 out of 5, area = riverside'
  )


def test_web_nlg_names_are_words():
  triples = ['Aarhus_Airport | cityServed | "Aarhus, Denmark"', 'Aarhus | leader | Jacob_Bundsgaard']
  example = WEB_NLG_EN.example(_gem_row('It is.', [], input=triples))
  assert example['triples'].numpy() == (
    b'Aarhus Airport, cityServed, "Aarhus, Denmark"; Aarhus, leader, Jacob Bundsgaard'
  )


@pytest.mark.parametrize(
  ('references', 'expected'),
  [([], ['The answer.']), (['One.', 'The answer. ', 'One. '], ['The answer.', 'One.'])],
)
@pytest.mark.parametrize('dataset', [COMMON_GEN, DART, E2E_NLG, WEB_NLG_EN], ids=lambda dataset: dataset.name)
def test_every_reference_counts_once_and_the_target_first(dataset, references, expected):
  structure = {'concepts': ['a'], 'tripleset': ['a'], 'meaning_representation': 'a', 'input': ['a']}
  example = dataset.example(_gem_row(' The answer.', references, **structure))
  assert _texts(example, 'references') == expected
  assert example['answer'].numpy() == b'The answer.'


def test_dart_validation_rows_keep_their_references_and_show_no_mark(real_data):
  rows = tfds.builder(DART.source, data_dir=str(real_data / 'tfds')).as_dataset(split='validation')
  count = marked = 0
  for row, example in zip(rows, rows.map(DART.example), strict=True):
    count += 1
    marked += any(b'TABLECONTEXT' in triple for triple in row['tripleset'].numpy())
    assert b'TABLECONTEXT' not in example['triples'].numpy() and b'[TITLE]' not in example['triples'].numpy()
    assert set(_texts(example, 'references')) == {' '.join(text.split()) for text in _texts(row, 'references')}
    assert example['answer'].numpy().strip() and example['triples'].numpy().strip(b'; ')
  assert count == 2768
  assert marked > 50


def test_web_nlg_validation_rows_are_read_whole(real_data):
  rows = tfds.builder(WEB_NLG_EN.source, data_dir=str(real_data / 'tfds_tiny')).as_dataset(split='validation')
  for row, example in zip(rows, rows.map(WEB_NLG_EN.example), strict=True):
    triples = example['triples'].numpy().decode()
    assert '_' not in triples and '|' not in triples
    for part in (part for triple in _texts(row, 'input') for part in triple.split(' | ')):
      assert part.replace('_', ' ') in triples
