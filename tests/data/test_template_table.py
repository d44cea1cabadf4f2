"""Rendering by lookup gives what each template gives by itself."""

import pytest
import tensorflow as tf

from flan_jax.data.template import Template
from flan_jax.data.template_table import render_each
from tasks import flan2021, quickstart

TEMPLATES = (
  Template('{a}{{x}}{b}\n{options}'), Template('{options}', targets='{b} {a}', option_style='letters'),
  Template('nothing of it', targets=''), Template('{options} {a}: {options}', option_style='inline'),
)  # fmt: skip
TEXTS = {'a': 'ä {b}', 'b': '', 'answer': 'yes', 'options': ['yes', 'no']}
FIELDS = {name: tf.constant(text) for name, text in TEXTS.items()}


def filled(templates, fields):
  """Every template of a table, each for a row of its own, all rows alike."""
  count = len(templates)
  rows = {name: tf.fill([count], value) for name, value in fields.items() if name != 'options'}
  rows['options'] = tf.ragged.constant([fields['options'].numpy().tolist()] * count)
  found = tf.function(lambda chosen: render_each(templates, chosen, rows))(tf.range(count))
  return list(zip(*(side.numpy().tolist() for side in found), strict=True))


def alone(template, fields):
  return tuple(text.numpy() for text in template.render(fields))


def test_any_template_of_a_table():
  assert filled(TEMPLATES, FIELDS) == [alone(template, FIELDS) for template in TEMPLATES]


@pytest.mark.parametrize('template', TEMPLATES)
def test_a_table_of_one(template):
  assert filled([template], FIELDS) == [alone(template, FIELDS)]


def test_each_row_has_its_own_fields_options_and_style():
  template = Template('{a}: {options}', targets='{letter}', option_style='letters')
  other = Template('{options} / {a}', option_style='random')
  rows = {
    'a': tf.constant(['x', 'y', 'z', 'w']), 'answer': tf.constant(['no', 'c', 'up', 'd']),
    'options': tf.ragged.constant([['yes', 'no'], ['a', 'b', 'c'], ['up'], ['a']]),
    'option_style': tf.constant([0, 2, 3, 1]),
  }  # fmt: skip
  inputs, targets = render_each([template, other], tf.constant([0, 0, 1, 1]), rows)
  assert [text.decode() for text in inputs.numpy()] == [
    'x: OPTIONS:\n(A) yes\n(B) no', 'y: OPTIONS:\n(A) a\n(B) b\n(C) c', 'Options: up / z', 'OPTIONS:\n(A) a / w',
  ]  # fmt: skip
  assert [text.decode() for text in targets.numpy()] == ['B', 'C', 'up', 'd']


@pytest.mark.parametrize('dataset', [*flan2021.DATASETS, *quickstart.DATASETS], ids=lambda dataset: dataset.name)
def test_all_templates_of_every_dataset(dataset):
  names = {name for template in dataset.templates for name in template.fields}
  fields = {name: tf.constant(f'<{name}>') for name in names} | {'options': tf.constant(['one', 'two', 'three'])}
  assert filled(dataset.templates, fields) == [alone(template, fields) for template in dataset.templates]
