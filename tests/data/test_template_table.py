"""Rendering by lookup gives what each template gives by itself."""

import pytest
import tensorflow as tf

from flan_jax.data.template import Template
from flan_jax.data.template_table import render_one_of
from tasks import flan2021, quickstart

TEMPLATES = (
  Template('{a}{{x}}{b}\n{options}'), Template('{options}', targets='{b} {a}', option_style='letters'),
  Template('nothing of it', targets=''), Template('{options} {a}: {options}', option_style='inline'),
)  # fmt: skip
TEXTS = {'a': 'ä {b}', 'b': '', 'answer': 'yes', 'options': ['yes', 'no']}
FIELDS = {name: tf.constant(text) for name, text in TEXTS.items()}


@pytest.mark.parametrize('index', range(len(TEMPLATES)))
def test_any_template_of_a_table(index):
  found = render_one_of(TEMPLATES, tf.constant(index), FIELDS)
  assert [text.numpy() for text in found] == [text.numpy() for text in TEMPLATES[index].render(FIELDS)]


@pytest.mark.parametrize('dataset', [*flan2021.DATASETS, *quickstart.DATASETS], ids=lambda dataset: dataset.name)
def test_all_templates_of_every_dataset(dataset):
  names = {name for template in dataset.templates for name in template.fields}
  fields = {name: tf.constant(f'<{name}>') for name in names} | {'options': tf.constant(['one', 'two', 'three'])}
  render = tf.function(lambda chosen: render_one_of(dataset.templates, chosen, fields))
  for index, template in enumerate(dataset.templates):
    found = render(tf.constant(index))
    assert [text.numpy() for text in found] == [text.numpy() for text in template.render(fields)]
