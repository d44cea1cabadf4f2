"""Summarization: what is cut from a text, what is kept of it, and which rows are left out."""

import collections
import re

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tasks.flan2021.summarization import DATASETS

BY_NAME = {dataset.name: dataset for dataset in DATASETS}


def _row(**fields):
  return {name: tf.constant(value) for name, value in fields.items()}


def _example(name, row):
  return {key: value.numpy() for key, value in BY_NAME[name].example(row).items()}


def _opinions(field, *texts):
  return {field: {'key': tf.constant([str(i) for i in range(len(texts))]), 'value': tf.constant(texts, tf.string)}}


@pytest.mark.parametrize(
  'heading',
  [
    '(CNN) -- ',
    'LONDON, England (CNN) -- ',
    'New York (CNNMoney) -- ',
    '(CNN)',
    'By. Sara Malm. PUBLISHED:. 07:03 EST, 2 March 2013. |. UPDATED:. 08:07 EST, 2 March 2013. ',
    'By . Sara Malm . PUBLISHED: . 14:11 EST, 25 October 2015 . | . UPDATED: . 15:36 EST, 25 October 2015 . ',
    'By. Daily Mail Reporter. Last updated at 12:41 PM on 15th September 2011. ',
    '',
  ],
)
def test_cnn_dailymail_keeps_the_article_and_not_its_heading(heading):
  article = (
    'Three of them (all named Smith) -- nobody knows why -- came in 2013. They left in 2014 . It was late (CNN) -- so.'
  )
  row = _row(article=heading + article, highlights='Three came in 2013.\nThey left.', publisher='cnn', id='0')
  example = _example('cnn_dailymail', row)
  assert example['article'].decode() == article
  assert example['answer'] == b'Three came in 2013. They left.'


@pytest.mark.parametrize(
  ('document', 'summary', 'kept'),
  [
    ('shares rose on friday .', 'shares up', True),
    ('shares rose #.# percent .', 'shares up', False),
    ('shares of UNK rose .', 'shares up', False),
    ('shares of <unk> rose .', 'shares up', False),
    ('shares rose on friday .', 'UNK up', False),
    ('chunk of shares sold .', 'shares down', True),
    ('', 'shares up', False),
  ],
)
def test_gigaword_leaves_out_rows_with_missing_words(document, summary, kept):
  assert bool(BY_NAME['gigaword'].keep(_row(document=document, summary=summary))) is kept


def test_multi_news_numbers_its_articles_and_drops_the_dash_of_newser():
  row = _row(
    document='One\n \n event. ||||| \n ||||| Same | event.  |||||', summary='\u2013 It happened \u2013 twice. '
  )
  example = _example('multi_news', row)
  assert example['articles'] == b'1. One event.\n2. Same | event.'
  assert example['answer'].decode() == 'It happened \u2013 twice.'


def test_rotten_tomatoes_lists_ten_reviews():
  reviews = ['', 'Good  fun.', *(f'Review {number}.' for number in range(20))]
  row = _row(_movie_name='the_third_man', _critic_consensus='A classic.\n') | _opinions('_critics', *reviews)
  example = _example('opinion_abstracts_rotten_tomatoes', row)
  lines = example['reviews'].decode().split('\n')
  assert (example['movie'], example['answer']) == (b'the third man', b'A classic.')
  assert example['first_review'] == b'Good fun.'
  assert (lines[0], lines[1], lines[-1], len(lines)) == ('1. Good fun.', '2. Review 0.', '10. Review 8.', 10)


def test_idebate_lists_ten_arguments():
  row = _row(_debate_name='Zoos', _claim='Zoos harm.') | _opinions('_argument_sentences', *(['They do.'] * 12))
  example = _example('opinion_abstracts_idebate', row)
  assert example['arguments'].decode() == '\n'.join(f'{number}. They do.' for number in range(1, 11))
  assert (example['debate'], example['answer']) == (b'Zoos', b'Zoos harm.')


def test_samsum_loses_attachments_and_nothing_between_them():
  dialogue = 'Ann: <file_photo> I <3 it <file_gif> a lot\r\nBob: <link>\r\nAnn: 2 > 1, and 1 < 2 :>\r\n'
  example = _example('samsum', _row(dialogue=dialogue, summary='Ann likes it.', id='0'))
  assert example['dialogue'] == b'Ann: I <3 it a lot\nBob:\nAnn: 2 > 1, and 1 < 2 :>'


@pytest.mark.parametrize(
  ('name', 'row'),
  [
    ('cnn_dailymail', _row(article='(CNN) -- ', highlights='Nothing.')),
    ('multi_news', _row(document=' ||||| \n', summary='Nothing.')),
    ('newsroom', _row(title='A title', text=' \n', summary='Nothing.')),
    ('xsum', _row(document='Something.', summary=' ')),
    ('wiki_lingua_english_en', _row(source='Something.', target='')),
    ('samsum', _row(dialogue='', summary='Nothing.')),
    ('opinion_abstracts_rotten_tomatoes', _row(_movie_name='x', _critic_consensus='x') | _opinions('_critics')),
    ('opinion_abstracts_idebate', _row(_debate_name='x', _claim='x') | _opinions('_argument_sentences', ' ')),
  ],
)
def test_rows_with_nothing_to_read_or_to_write_are_left_out(name, row):
  assert not BY_NAME[name].keep(row)


def test_ag_news_repairs_lost_ampersands_and_backslashes():
  title, description = (
    ' #39;Situational Ethics #39; at Merck  amp; Co.',
    'Up a\\record \\$220M; he said  quot;US #36;5 quot;.',
  )
  example = _example('ag_news_subset', _row(title=title, description=description, label=2))
  assert example['title'] == b"'Situational Ethics' at Merck & Co."
  assert example['description'] == b'Up a record $220M; he said "US$5".'
  assert example['answer'] == b'Business'


def test_ag_news_answers_mean_what_their_labels_mean(real_data):
  dataset = BY_NAME['ag_news_subset']
  builder = tfds.builder(dataset.source, data_dir=str(real_data / 'tfds'))
  meaning = dict(zip(builder.info.features['label'].names, dataset.options, strict=True))
  assert meaning == {'World': 'World', 'Sports': 'Sports', 'Business': 'Business', 'Sci/Tech': 'Science/Tech'}
  examples = list(builder.as_dataset(split='test', shuffle_files=False).map(dataset.example).as_numpy_iterator())
  assert set(collections.Counter(example['answer'] for example in examples).values()) == {1900}
  assert not [text for e in examples for text in (e['title'], e['description']) if re.search(rb'\\| #39;| quot;', text)]


def test_wiki_lingua_reads_real_guides(real_data):
  dataset = BY_NAME['wiki_lingua_english_en']
  rows = tfds.builder(dataset.source, data_dir=str(real_data / 'tfds_tiny')).as_dataset(split='test')
  for row, example in zip(rows, rows.filter(dataset.keep).map(dataset.example), strict=True):
    assert example['answer'] == row['target'] == row['references'][0]
    assert len(example['guide'].numpy()) > len(example['answer'].numpy())
