"""FLAN's splits and ablations: the same datasets and sizes as the official code, drawn once more as it draws them."""

import random

import numpy as np
import pytest
import seqio

from flan_jax.data import registry
from tasks import flan2021
from tasks.flan2021 import mixtures
from tasks.flan2021.clusters import CLUSTERS
from tests.data.conftest import real_tfds  # noqa: F401  a fixture

# The official order, which the official draws depend on, and how many datasets train when a cluster is held out.
ORDER = {
  'summarization': (
    'aeslc cnn_dailymail gigaword multi_news newsroom samsum xsum ag_news_subset opinion_abstracts_rotten_tomatoes '
    'opinion_abstracts_idebate wiki_lingua_english_en', 58),
  'struct_to_text': ('web_nlg_en common_gen e2e_nlg dart', 65),
  'reading_comprehension': ('squad_v1 squad_v2 drop multirc openbookqa bool_q', 61),
  'closed_book_qa': ('trivia_qa natural_questions arc_challenge arc_easy', 65),
  'paraphrase': ('mrpc qqp paws_wiki stsb', 55),
  'sentiment': ('imdb_reviews sentiment140 yelp_polarity_reviews sst2', 65),
  'text_formatting': ('true_case fix_punct word_segment', 66),
  'commonsense': ('copa hellaswag story_cloze piqa', 63),
  'translation': (
    'para_crawl_enes wmt14_enfr wmt16_translate_deen wmt16_translate_tren wmt16_translate_csen wmt16_translate_fien '
    'wmt16_translate_roen wmt16_translate_ruen', 61),
  'coreference': ('definite_pronoun_resolution winogrande wsc', 66),
  'nli': ('anli_r1 anli_r2 anli_r3 cb rte mnli_matched mnli_mismatched qnli wnli snli', 55),
  'math': ('math_dataset', 68),
  'conversational_qa': ('quac coqa', 67),
  'word_disambiguation': ('wic', 68),
  'linguistic_acceptability': ('cola', 68),
  'question_classification': ('trec', 68),
  'reading_comprehension_with_commonsense': ('record cosmos_qa', 57),
}  # fmt: skip
RELATED = (
  'opinion_abstracts_rotten_tomatoes opinion_abstracts_idebate', 'squad_v1 squad_v2', 'arc_challenge arc_easy',
  'anli_r1 anli_r2 anli_r3', 'mnli_matched mnli_mismatched',
)  # fmt: skip
INTRA_SIZES = ((56, 13), (54, 15), (55, 14), (55, 14), (56, 13), (53, 16), (55, 14), (56, 13), (54, 15), (56, 13))
CLUSTER_SIZES = (11, 19, 25, 29, 33, 36, 38)


def names(mixture):
  found = [task.removeprefix('flan2021.') for task in registry.tasks_of(f'flan2021.{mixture}')]
  assert len(set(found)) == len(found)
  return set(found)


def official(cluster):
  return ORDER[cluster][0].split()


def test_the_official_order_has_the_datasets_of_the_clusters():
  assert tuple(ORDER) == CLUSTERS
  for cluster in CLUSTERS:
    assert names(cluster) == set(official(cluster))
  for cluster, inside in mixtures.DIVERSITY_TRAINING.items():
    assert list(inside) == official(cluster)


@pytest.mark.parametrize('cluster', CLUSTERS)
def test_so_many_datasets_train_when_a_cluster_is_held_out(cluster):
  training = names(f'without_{cluster}')
  assert len(training) == ORDER[cluster][1]
  assert not training & names(cluster)
  assert training < names('sentiment') | names('without_sentiment')


@pytest.mark.parametrize('number', range(10))
def test_an_intra_cluster_split_holds_out_one_dataset_of_each_cluster(number):
  train, held_out = names(f'intra_{number}.train'), names(f'intra_{number}.held_out')
  assert (len(train), len(held_out)) == INTRA_SIZES[number]
  assert not train & held_out
  assert len(train | held_out) == 69
  drawn = set()
  for index, cluster in enumerate(CLUSTERS):
    groups = _groups(official(cluster))
    if len(groups) > 1:
      place = np.random.RandomState(index).permutation(len(groups))[number % len(groups)]
      drawn |= set(groups[place])
  assert held_out == drawn


def _groups(cluster):
  """The datasets of a cluster; related ones are one group, and groups come last and by name, as officially."""
  related = [group.split() for group in sorted(RELATED) if group.split()[0] in cluster]
  return [[name] for name in cluster if not any(name in group for group in related)] + related


def test_superglue_is_held_out_from_all_other_datasets():
  assert names('superglue.held_out') == {'bool_q', 'cb', 'copa', 'multirc', 'record', 'rte', 'wic', 'wsc'}
  assert len(names('superglue.train')) == 61
  assert not names('superglue.train') & names('superglue.held_out')
  assert len(names('superglue.train.first_4')) == 61
  assert all(task.endswith('.first_4') for task in names('superglue.train.first_4'))


def test_the_number_of_datasets_grows_in_the_official_shuffled_order():
  shuffled = [name for cluster in ORDER for name in official(cluster)]
  random.Random(42).shuffle(shuffled)
  order = [name for name in shuffled if name not in mixtures.SUPERGLUE]
  assert sorted(order) == sorted(names('superglue.train'))
  for number in (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55):
    assert names(f'superglue.datasets_{number}') == set(order[:number])


@pytest.mark.parametrize('number', range(1, 8))
def test_the_number_of_clusters_grows_with_and_without_a_limit(number):
  added = ['summarization', 'translation', 'reading_comprehension', 'sentiment', 'struct_to_text', 'coreference',
           'conversational_qa'][:number]  # fmt: skip
  found = names(f'diversity.clusters_{number}')
  assert len(found) == CLUSTER_SIZES[number - 1]
  assert found == {name for cluster in added for name in official(cluster)}
  limited = names(f'diversity.clusters_{number}.at_most_15')
  assert len(limited) == min(15, len(found))
  assert limited <= found
  held = [len(limited & set(official(cluster))) for cluster in added]
  assert all(count == min(len(official(c)), max(held)) or count >= max(held) - 1
             for count, c in zip(held, added, strict=True))


def test_the_limit_takes_datasets_in_turn_from_clusters_in_flans_numbering():
  assert mixtures.in_turn(['translation', 'sentiment', 'conversational_qa'])[:7] == (
    'imdb_reviews', 'para_crawl_enes', 'quac', 'sentiment140', 'wmt14_enfr', 'coqa', 'yelp_polarity_reviews',
  )  # fmt: skip
  three = names('diversity.clusters_3.at_most_15')
  assert {name: len(three & set(official(name))) for name in ('summarization', 'reading_comprehension')} == {
    'summarization': 5, 'reading_comprehension': 5}


@pytest.mark.parametrize(('number', 'size'), [(1, 7), (2, 14), (3, 20), (4, 25)])
def test_the_number_of_datasets_per_cluster_grows(number, size):
  found = names(f'diversity.per_cluster_{number}')
  assert len(found) == size
  assert found == {name for cluster in mixtures.DIVERSITY_TRAINING for name in official(cluster)[:number]}


def test_diversity_is_judged_on_three_clusters_that_never_train():
  held_out = names('diversity.held_out')
  assert held_out == names('nli') | names('commonsense') | names('closed_book_qa')
  assert len(held_out) == 18
  assert not held_out & names('diversity.clusters_7')


def test_all_mixtures_come_in_the_variants_of_a_mixture():
  ours = [name for name in seqio.MixtureRegistry.names() if name.startswith('flan2021')]
  stems = {'flan2021', *(f'flan2021.{c}' for c in CLUSTERS), *(f'flan2021.without_{c}' for c in CLUSTERS)}
  stems |= {f'flan2021.{name}' for name in mixtures.by_name({c: official(c) for c in CLUSTERS})}
  assert len(stems) == 35 + 20 + 13 + 19
  variants = ('', '.5shot', '.fewshot', '.first_1', '.first_7.10shot', '.round_robin', '.no_options', '.fields_only')
  assert {f'{stem}{variant}' for stem in stems for variant in variants} <= set(ours)
  assert len(ours) == 45 * len(stems)


def test_the_datasets_of_every_mixture_belong_to_the_family():
  known = {dataset.name for dataset in flan2021.FAMILY.datasets}
  for inside in mixtures.by_name({c: official(c) for c in CLUSTERS}).values():
    assert set(inside) <= known


def test_rates_of_an_ablation_are_those_of_the_family(real_tfds):  # noqa: F811
  mixture = seqio.MixtureRegistry.get('flan2021.superglue.held_out')
  rates = {name: mixture.get_rate(seqio.TaskRegistry.get(f'flan2021.{name}')) for name in ('copa', 'rte', 'cb')}
  assert rates == {'copa': 350, 'rte': 2290, 'cb': 200}
