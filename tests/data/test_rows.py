"""Evaluation rows: in the order of the files, options with EOS, the same questions under every template."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from flan_jax.data import registry
from flan_jax.data.rows import rows
from flan_jax.data.vocabulary import active_vocabulary


@pytest.fixture(scope='module')
def shown(real_tfds):
  return rows('flan2021.sst2.template_0', 'test', 12)


def test_rows_are_those_of_the_files_in_their_order(shown, real_tfds):
  builder = tfds.builder('glue/sst2:2.0.0', data_dir=str(real_tfds))
  raw = list(tfds.as_numpy(builder.as_dataset(split='validation', shuffle_files=False).take(12)))
  for row, source in zip(shown, raw, strict=True):
    assert source['sentence'].decode().strip() in row.inputs_pretokenized
    assert (row.answer, row.answer_index) == (('negative', 'positive')[source['label']], source['label'])
    assert (row.references, row.targets_pretokenized) == ([row.answer], row.answer)


def test_prompts_and_options_are_tokens_with_eos(shown):
  vocabulary = active_vocabulary()
  for row in shown:
    assert row.inputs.tolist() == [*vocabulary.encode(row.inputs_pretokenized), 1]
    assert [tokens.tolist() for tokens in row.option_tokens] == [[*vocabulary.encode(o), 1] for o in row.options]
    assert row.inputs.dtype == np.int32


def test_every_template_is_asked_about_the_same_rows(shown):
  dataset = registry.task_info('flan2021.sst2').dataset
  other = rows('flan2021.sst2.template_8', 'test', 12)
  assert [row.row_id for row in other] == [row.row_id for row in shown]
  assert all(row.inverted and dataset.templates[8].inverted for row in other)
  assert not any(row.inverted for row in shown)
  assert all(row.targets_pretokenized in one.inputs_pretokenized for row, one in zip(other, shown, strict=True))


def test_a_task_of_all_templates_draws_one_for_each_row(real_tfds):
  drawn, again, others = (rows('flan2021.sst2', 'test', 40, seed) for seed in (0, 0, 1))
  assert [row.template for row in drawn] == [row.template for row in again] != [row.template for row in others]
  assert len({row.template for row in drawn}) > 5


def test_without_an_instruction_the_prompt_is_the_fields(shown):
  bare = rows('flan2021.sst2.fields_only', 'test', 12)
  named = rows('flan2021.sst2.dataset_name', 'test', 1)
  assert all(row.template == -1 and row.inputs_pretokenized in one.inputs_pretokenized
             for row, one in zip(bare, shown, strict=True))
  assert named[0].inputs_pretokenized == f'sst2\n{bare[0].inputs_pretokenized}'


def test_cut_prompts_are_marked(shown):
  cut = rows('flan2021.sst2.template_0', 'test', 12, task_feature_lengths={'inputs': 24, 'targets': 8})
  for row, whole in zip(cut, shown, strict=True):
    assert row.truncated == (len(whole.inputs) > 24) and len(row.inputs) <= 24
  assert any(row.truncated for row in cut) and not any(row.truncated for row in shown)


def test_rows_name_their_group_where_the_dataset_has_groups(shown, real_tfds):
  assert {row.group for row in shown} == {''}
  asked = rows('flan2021.multirc.template_0', 'test', 40)
  builder = tfds.builder('super_glue/multirc:1.0.2', data_dir=str(real_tfds))
  raw = tfds.as_numpy(builder.as_dataset(split='validation', shuffle_files=False).take(40))
  assert [row.group for row in asked] == [str(source['idx']['question']) for source in raw]
  bare = rows('flan2021.multirc.fields_only', 'test', 1)[0]
  assert bare.group == asked[0].group and bare.inputs_pretokenized.count('\n') == 2  # paragraph, question, candidate
