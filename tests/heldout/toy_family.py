"""A family of small datasets in four clusters, rows made here: enough to hold clusters out and train for a step."""

from flan_jax.data import registry
from flan_jax.data.dataset import Dataset
from flan_jax.data.files import Rows
from flan_jax.data.template import Template

NAME = 'toys'
MEMBERS = {'red_a': 'red', 'red_opposite': 'red', 'red_hard': 'red', 'green_a': 'green', 'green_b': 'green',
           'blue_a': 'blue', 'grey_a': 'grey'}
EXCLUSIONS = {'red': ('grey',)}


def rows(name, split, count):
  return [{'text': f'{name} {split} {index}', 'label': index % 2} for index in range(count)]


def dataset(name, cluster):
  templates = tuple(Template(f'{word} {{text}}?\n{{options}}') for word in ('Is it', 'Say of'))
  source = Rows({split: rows(name, split, count) for split, count in (('train', 40), ('validation', 6), ('test', 8))})
  return Dataset(name=name, cluster=cluster, source=source, options=('no', 'yes'), templates=templates,
                 fields=lambda row: {'text': row['text'], 'label': row['label']})


def register():
  return registry.register_family(NAME, [dataset(*member) for member in MEMBERS.items()], exclusions=EXCLUSIONS,
                                  shuffle_buffer_size=10)
