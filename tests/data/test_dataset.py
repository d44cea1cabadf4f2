"""From a row to its fields: answers found by label or text, options and references always there."""

import numpy as np
import pytest
import tensorflow as tf

from flan_jax.data.dataset import Dataset, text_fields
from flan_jax.data.template import Template
from flan_jax.errors import UserError

TEMPLATES = (Template('{text}'), Template('{answer}?', targets='{text}'), Template('{text} {options}'))


def _dataset(**changes):
  declared = {
    'name': 'mine', 'cluster': 'sentiment', 'source': 'mine:1.0.0', 'fields': dict, 'templates': TEMPLATES,
  }  # fmt: skip
  return Dataset(**(declared | changes))


def _example(dataset, **row):
  fields = dataset.example({name: tf.constant(value) for name, value in row.items()})
  return {name: np.asarray(value.numpy(), object).tolist() for name, value in fields.items()}


def test_a_label_picks_the_answer_among_the_declared_options():
  assert _example(_dataset(options=('bad', 'good')), text='x', label=1) == {
    'text': b'x', 'answer': b'good', 'options': [b'bad', b'good'], 'references': [b'good'],
  }  # fmt: skip


def test_a_row_may_bring_its_own_options():
  example = _example(_dataset(options=('bad', 'good')), text='x', label=0, options=['sun', 'moon', 'sea'])
  assert (example['answer'], example['options']) == (b'sun', [b'sun', b'moon', b'sea'])
  assert 'label' not in example


def test_free_text_has_an_answer_and_no_options():
  assert _example(_dataset(), text='x', answer='long ago') == {
    'text': b'x', 'answer': b'long ago', 'options': [], 'references': [b'long ago'],
  }  # fmt: skip


def test_references_that_a_dataset_gives_are_kept():
  assert _example(_dataset(), text='x', answer='a', references=['a', 'b'])['references'] == [b'a', b'b']


def test_a_label_without_an_option_is_an_error():
  with pytest.raises(tf.errors.InvalidArgumentError):
    _example(_dataset(options=('bad', 'good')), text='x', label=2)


def test_fields_without_label_or_answer_are_refused():
  with pytest.raises(UserError, match="Dataset 'mine': its fields give neither 'answer' nor 'label'"):
    _example(_dataset(), text='x')


def test_the_row_itself_is_left_as_it_was():
  row = {'text': tf.constant('x'), 'label': tf.constant(0)}
  _dataset(fields=lambda given: given, options=('bad',)).example(row)
  assert set(row) == {'text', 'label'}


def test_inverted_templates_are_not_answerable():
  assert _dataset().answerable == (0, 2)


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'templates': ()}, "'mine' has no templates"),
    ({'source': 'glue/sst2'}, '\'glue/sst2\' needs a version, e.g. "glue/sst2:2.0.0"'),
    ({'templates': (*TEMPLATES, Template('{text}', targets='Answer: {answer}'))}, 'templates 0 and 3 have the same'),
  ],
)
def test_a_wrong_declaration_is_refused_by_name(changes, message):
  with pytest.raises(UserError, match='^Dataset ') as raised:
    _dataset(**changes)
  assert message in str(raised.value)


def test_text_fields_are_those_of_the_input_in_declared_order():
  assert text_fields({'text': 1, 'answer': 2, 'title': 3, 'options': 4, 'label': 5, 'references': 6}) == [
    'text', 'title',
  ]  # fmt: skip
