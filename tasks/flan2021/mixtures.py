"""FLAN's splits and ablations beyond holding out one cluster: which datasets train, and which are asked afterwards.

Plain data: the lists that the official code arrives at rather than the seeds that it draws them from, so that a reader
sees who trains and who is held out. `tests/tasks/flan2021/test_mixtures.py` draws them again and compares.
"""

from collections.abc import Mapping, Sequence

from tasks.flan2021.clusters import (
  CLOSED_BOOK_QA,
  CLUSTERS,
  COMMONSENSE,
  CONVERSATIONAL_QA,
  COREFERENCE,
  NLI,
  READING_COMPREHENSION,
  SENTIMENT,
  STRUCT_TO_TEXT,
  SUMMARIZATION,
  TRANSLATION,
)

# Ten ways to hold out one dataset of every cluster that has two or more, while the others of its cluster train. What
# shares format and templates leaves together: both SQuADs, both ARCs, three ANLI rounds, both MNLIs, both opinion
# abstracts.
INTRA_CLUSTER: tuple[tuple[str, ...], ...] = (
  (
    'gigaword', 'dart', 'openbookqa', 'natural_questions', 'mrpc', 'imdb_reviews', 'true_case', 'story_cloze',
    'wmt16_translate_ruen', 'winogrande', 'qnli', 'quac', 'record',
  ),
  (
    'wiki_lingua_english_en', 'e2e_nlg', 'squad_v1', 'squad_v2', 'trivia_qa', 'qqp', 'sentiment140', 'fix_punct',
    'hellaswag', 'para_crawl_enes', 'definite_pronoun_resolution', 'mnli_matched', 'mnli_mismatched', 'coqa',
    'cosmos_qa',
  ),
  (
    'newsroom', 'web_nlg_en', 'multirc', 'arc_challenge', 'arc_easy', 'stsb', 'yelp_polarity_reviews', 'word_segment',
    'copa', 'wmt16_translate_deen', 'wsc', 'cb', 'quac', 'record',
  ),
  (
    'opinion_abstracts_rotten_tomatoes', 'opinion_abstracts_idebate', 'common_gen', 'bool_q', 'natural_questions',
    'paws_wiki', 'sst2', 'true_case', 'piqa', 'wmt16_translate_roen', 'winogrande', 'wnli', 'coqa', 'cosmos_qa',
  ),
  (
    'cnn_dailymail', 'dart', 'drop', 'trivia_qa', 'mrpc', 'imdb_reviews', 'fix_punct', 'story_cloze',
    'wmt16_translate_fien', 'definite_pronoun_resolution', 'snli', 'quac', 'record',
  ),
  (
    'xsum', 'e2e_nlg', 'openbookqa', 'arc_challenge', 'arc_easy', 'qqp', 'sentiment140', 'word_segment', 'hellaswag',
    'wmt14_enfr', 'wsc', 'anli_r1', 'anli_r2', 'anli_r3', 'coqa', 'cosmos_qa',
  ),
  (
    'ag_news_subset', 'web_nlg_en', 'squad_v1', 'squad_v2', 'natural_questions', 'stsb', 'yelp_polarity_reviews',
    'true_case', 'copa', 'wmt16_translate_csen', 'winogrande', 'rte', 'quac', 'record',
  ),
  (
    'multi_news', 'common_gen', 'multirc', 'trivia_qa', 'paws_wiki', 'sst2', 'fix_punct', 'piqa',
    'wmt16_translate_tren', 'definite_pronoun_resolution', 'qnli', 'coqa', 'cosmos_qa',
  ),
  (
    'aeslc', 'dart', 'bool_q', 'arc_challenge', 'arc_easy', 'mrpc', 'imdb_reviews', 'word_segment', 'story_cloze',
    'wmt16_translate_ruen', 'wsc', 'mnli_matched', 'mnli_mismatched', 'quac', 'record',
  ),
  (
    'samsum', 'e2e_nlg', 'drop', 'natural_questions', 'qqp', 'sentiment140', 'true_case', 'hellaswag',
    'para_crawl_enes', 'winogrande', 'cb', 'coqa', 'cosmos_qa',
  ),
)  # fmt: skip

SUPERGLUE = ('bool_q', 'cb', 'copa', 'multirc', 'record', 'rte', 'wic', 'wsc')

# All others, in the shuffled order in which the ablation on the number of datasets takes them.
OUTSIDE_SUPERGLUE = (
  'squad_v1', 'sentiment140', 'snli', 'ag_news_subset', 'natural_questions', 'squad_v2', 'anli_r1', 'cola', 'piqa',
  'newsroom', 'true_case', 'mrpc', 'imdb_reviews', 'definite_pronoun_resolution', 'para_crawl_enes',
  'wmt16_translate_roen', 'opinion_abstracts_rotten_tomatoes', 'openbookqa', 'arc_challenge', 'web_nlg_en',
  'wmt16_translate_deen', 'wmt16_translate_csen', 'anli_r3', 'wmt16_translate_fien', 'arc_easy', 'math_dataset',
  'opinion_abstracts_idebate', 'wnli', 'trivia_qa', 'wiki_lingua_english_en', 'aeslc', 'coqa', 'winogrande', 'qqp',
  'qnli', 'wmt14_enfr', 'common_gen', 'trec', 'anli_r2', 'story_cloze', 'sst2', 'cosmos_qa', 'e2e_nlg', 'mnli_matched',
  'cnn_dailymail', 'gigaword', 'paws_wiki', 'hellaswag', 'samsum', 'fix_punct', 'mnli_mismatched', 'quac',
  'wmt16_translate_tren', 'xsum', 'wmt16_translate_ruen', 'drop', 'stsb', 'yelp_polarity_reviews', 'word_segment',
  'multi_news', 'dart',
)  # fmt: skip
NUMBERS_OF_DATASETS = range(5, 56, 5)

# The clusters that are asked about when the diversity of training is varied, and those that train, in the order in
# which they are added; within a cluster the order says which datasets come first where there is a limit.
DIVERSITY_HELD_OUT = (NLI, COMMONSENSE, CLOSED_BOOK_QA)
DIVERSITY_TRAINING: dict[str, tuple[str, ...]] = {
  SUMMARIZATION: (
    'aeslc', 'cnn_dailymail', 'gigaword', 'multi_news', 'newsroom', 'samsum', 'xsum', 'ag_news_subset',
    'opinion_abstracts_rotten_tomatoes', 'opinion_abstracts_idebate', 'wiki_lingua_english_en',
  ),
  TRANSLATION: (
    'para_crawl_enes', 'wmt14_enfr', 'wmt16_translate_deen', 'wmt16_translate_tren', 'wmt16_translate_csen',
    'wmt16_translate_fien', 'wmt16_translate_roen', 'wmt16_translate_ruen',
  ),
  READING_COMPREHENSION: ('squad_v1', 'squad_v2', 'drop', 'multirc', 'openbookqa', 'bool_q'),
  SENTIMENT: ('imdb_reviews', 'sentiment140', 'yelp_polarity_reviews', 'sst2'),
  STRUCT_TO_TEXT: ('web_nlg_en', 'common_gen', 'e2e_nlg', 'dart'),
  COREFERENCE: ('definite_pronoun_resolution', 'winogrande', 'wsc'),
  CONVERSATIONAL_QA: ('quac', 'coqa'),
}  # fmt: skip
AT_MOST = 15  # datasets, in the ablation that adds clusters while the number of datasets stays
PER_CLUSTER = (1, 2, 3, 4)


def by_name(clusters: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
  """The datasets of every mixture of this module.

  Args:
    clusters: the names of all datasets that may train, by cluster.

  Returns:
    Datasets by what follows the family's name in the mixture's: `intra_3.train`, `superglue.datasets_25`, ...
  """
  everything = [name for names in clusters.values() for name in names]
  return {
    **_intra_cluster(everything),
    **_superglue(everything),
    **_diversity(),
    'diversity.held_out': tuple(name for cluster in DIVERSITY_HELD_OUT for name in clusters[cluster]),
  }


def _intra_cluster(everything: Sequence[str]) -> dict[str, tuple[str, ...]]:
  found = {}
  for number, held_out in enumerate(INTRA_CLUSTER):
    found[f'intra_{number}.train'] = tuple(name for name in everything if name not in held_out)
    found[f'intra_{number}.held_out'] = held_out
  return found


def _superglue(everything: Sequence[str]) -> dict[str, tuple[str, ...]]:
  return {
    'superglue.train': tuple(name for name in everything if name not in SUPERGLUE),
    'superglue.held_out': SUPERGLUE,
    **{f'superglue.datasets_{number}': OUTSIDE_SUPERGLUE[:number] for number in NUMBERS_OF_DATASETS},
  }


def _diversity() -> dict[str, tuple[str, ...]]:
  found = {}
  added = list(DIVERSITY_TRAINING)
  for number in range(1, len(added) + 1):
    chosen = in_turn(added[:number])
    found[f'diversity.clusters_{number}'] = chosen
    found[f'diversity.clusters_{number}.at_most_{AT_MOST}'] = chosen[:AT_MOST]
  for number in PER_CLUSTER:
    found[f'diversity.per_cluster_{number}'] = tuple(n for names in DIVERSITY_TRAINING.values() for n in names[:number])
  return found


def in_turn(clusters: Sequence[str]) -> tuple[str, ...]:
  """Some training clusters' datasets: the first of each, the second of each, ...; clusters in FLAN's numbering."""
  lists = [DIVERSITY_TRAINING[cluster] for cluster in sorted(clusters, key=CLUSTERS.index)]
  return tuple(names[place] for place in range(max(map(len, lists))) for names in lists if place < len(names))
