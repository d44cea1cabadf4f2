"""WiC: answers mean what their labels mean."""

import collections

import tensorflow_datasets as tfds

from tasks.flan2021.word_disambiguation import WIC


def test_wic_answers_mean_what_their_labels_mean(real_data):
  builder = tfds.builder(WIC.source, data_dir=str(real_data / 'tfds'))
  meaning = dict(zip(builder.info.features['label'].names, WIC.options, strict=True))
  assert meaning == {'False': 'different meanings', 'True': 'the same meaning'}
  rows = builder.as_dataset(split='validation', shuffle_files=False).map(WIC.example)
  examples = list(rows.as_numpy_iterator())
  answers = {(example['first'], example['second']): example['answer'] for example in examples}
  street = (b'Be careful crossing the street.', b'The whole street protested the absence of lights.')
  assert answers[street] == b'different meanings'
  counts = collections.Counter(example['answer'] for example in examples)
  assert counts == {b'different meanings': 319, b'the same meaning': 319}
