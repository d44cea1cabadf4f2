"""Translation between English and eight other languages, mainly out of English.

Spanish from ParaCrawl (Bañón et al. 2020), French from WMT 2014 (Bojar et al. 2014), and German, Turkish, Czech,
Finnish, Romanian and Russian from WMT 2016 (Bojar et al. 2016).
"""

import functools

import tensorflow as tf

from flan_jax.data.dataset import Dataset, Fields, Row
from flan_jax.data.splits import HELD_BACK, OWN_TEST, Splits
from flan_jax.data.template import ANSWER, Template
from tasks.flan2021.clusters import TRANSLATION
from tasks.flan2021.texts import filled

# ParaCrawl has training rows only.
_PARA_CRAWL_SPLITS = Splits(train='train', validation=f'train[-{HELD_BACK + 1000}:-1000]', test='train[-1000:]')


def _english_and_translation(row: Row, code: str) -> Fields:
  # Lines of Europarl may end in white space or a carriage return.
  return {'english': tf.strings.strip(row['en']), ANSWER: tf.strings.strip(row[code])}


def _templates(language: str) -> tuple[Template, ...]:
  """Returns the templates of a language: seven translate into it, three (inverted) from it into English."""
  return (
    Template(f'Translate into {language}.\n\n{{english}}'),
    Template(f'{{english}}\n\nHow would you say this in {language}?'),
    Template(f'English: {{english}}\n{language}:'),
    Template(
      f'A bilingual edition prints its text twice, in English on the left and in {language} on the right. On one of '
      f'its left-hand pages we read:\n\n{{english}}\n\nSupply what belongs on the page facing it.'
    ),
    Template(
      f'My cousin speaks fluent {language} but hardly any English, and I want to forward this to her: "{{english}}"\n'
      'Could you put it so that she understands?'
    ),
    Template(
      f'Language examination, final paper. Give an accurate {language} version of the passage; leave nothing out and '
      f'add nothing of your own.\n\nPassage: {{english}}\n\nVersion:'
    ),
    Template(
      f'You sit in an interpreting booth. The delegates who have tuned in to your channel listen in {language}, and '
      f'from the floor comes:\n"{{english}}"\nWhat do you say into the microphone?'
    ),
    Template(f'{{answer}}\n\nThat was {language}. What does it mean in English?', targets='{english}'),
    Template(f'Render the following {language} text in idiomatic English: {{answer}}', targets='{english}'),
    Template(
      f'An editor in London comes across a quotation that the correspondent left in {language}:\n\n"{{answer}}"\n\n'
      'Print it in English for the readers at home.',
      targets='{english}',
    ),
  )


def _dataset(name: str, source: str, code: str, language: str, splits: Splits = OWN_TEST) -> Dataset:
  """Declares a pair of English and the language that rows have under `code`."""
  fields = functools.partial(_english_and_translation, code=code)
  return Dataset(
    name=name,
    cluster=TRANSLATION,
    source=source,
    fields=fields,
    keep=filled(fields),  # TFDS leaves out rows with an empty side, but lets a side of white space alone pass
    splits=splits,
    metrics=('bleu',),
    templates=_templates(language),
  )


DATASETS: tuple[Dataset, ...] = (
  _dataset('para_crawl_enes', 'para_crawl/enes:1.2.0', 'es', 'Spanish', _PARA_CRAWL_SPLITS),
  _dataset('wmt14_enfr', 'wmt14_translate/fr-en:1.0.0', 'fr', 'French'),
  _dataset('wmt16_translate_deen', 'wmt16_translate/de-en:1.0.0', 'de', 'German'),
  _dataset('wmt16_translate_tren', 'wmt16_translate/tr-en:1.0.0', 'tr', 'Turkish'),
  _dataset('wmt16_translate_csen', 'wmt16_translate/cs-en:1.0.0', 'cs', 'Czech'),
  _dataset('wmt16_translate_fien', 'wmt16_translate/fi-en:1.0.0', 'fi', 'Finnish'),
  _dataset('wmt16_translate_roen', 'wmt16_translate/ro-en:1.0.0', 'ro', 'Romanian'),
  _dataset('wmt16_translate_ruen', 'wmt16_translate/ru-en:1.0.0', 'ru', 'Russian'),
)
