"""A family of small datasets in four clusters, rows made here: enough to hold clusters out and train for a step."""

from flan_jax.data import registry
from flan_jax.data.dataset import Dataset
from flan_jax.data.files import Rows
from flan_jax.data.template import Template

NAME = 'toys'
MEMBERS = {'red_a': 'red', 'red_opposite': 'red', 'red_hard': 'red', 'green_a': 'green', 'green_b': 'green',
           'blue_a': 'blue', 'grey_a': 'grey'}
EXCLUSIONS = {'red': ('grey',)}


PLANTED = 3  # test rows of blue_a that are among the training rows of green_b


def rows(name, split, count):
  found = [{'text': f'{name} {split} {index}', 'label': index % 2} for index in range(count)]
  if (name, split) == ('green_b', 'train'):
    found[:PLANTED] = [{'text': f'Blue_a: test {index}!', 'label': 0} for index in range(PLANTED)]
  return found


def dataset(name, cluster):
  templates = tuple(Template(f'{word} {{text}}?\n{{options}}') for word in ('Is it', 'Say of'))
  source = Rows({split: rows(name, split, count) for split, count in (('train', 40), ('validation', 6), ('test', 8))})
  return Dataset(name=name, cluster=cluster, source=source, options=('no', 'yes'), templates=templates,
                 fields=lambda row: {'text': row['text'], 'label': row['label']})


def register():
  return registry.register_family(NAME, [dataset(*member) for member in MEMBERS.items()], exclusions=EXCLUSIONS,
                                  shuffle_buffer_size=10)
