"""The declared metrics are those of the official FLAN 2021 code (flan/tasks.py at e9e4ec6), and can be computed."""

import collections

import pytest
import tensorflow_datasets as tfds

from flan_jax.data.dataset import GROUP
from flan_jax.data.rows import rows
from flan_jax.evaluation import metrics
from flan_jax.evaluation.protocol import evaluate_task
from tasks.flan2021 import DATASETS
from tasks.flan2021.reading_comprehension import MULTIRC
from tasks.flan2021.reading_comprehension_with_commonsense import RECORD
from tests.data.conftest import real_tfds  # noqa: F401  a fixture
from tests.evaluation.synthetic import RuleScorer

BY_NAME = {dataset.name: dataset for dataset in DATASETS}
# What T5 calls a metric, and which of ours it is.
OURS = {
  't5.accuracy': 'accuracy',
  't5.trivia_qa': 'trivia_qa',
  't5.squad': 'squad',
  't5.deduplicate_metric(squad)': 'record',
  't5.rouge': 'rouge',
  'flan.metrics.rouge_fn': 'rouge',
  't5.bleu': 'bleu',
  't5.edit_distance': 'edit_distance',
  't5.multirc_f1_over_all_answers': 'multirc',
  't5.mean_group_metric(all_match)': 'multirc',
  't5.f1_score_with_invalid': 'binary_f1',
  't5.mean_multiclass_f1(num_classes=3)': 'macro_f1',
  't5.pearson_corrcoef': 'pearson_corrcoef',
  't5.spearman_corrcoef': 'spearman_corrcoef',
}
OFFICIAL = {
  't5.trivia_qa': 'natural_questions trivia_qa quac',
  't5.deduplicate_metric(squad)': 'record',
  't5.rouge': """
    aeslc cnn_dailymail gigaword multi_news newsroom opinion_abstracts_rotten_tomatoes opinion_abstracts_idebate samsum
    xsum wiki_lingua_english_en""",
  't5.squad': 'coqa squad_v1 squad_v2 drop',
  't5.multirc_f1_over_all_answers; t5.mean_group_metric(all_match)': 'multirc',
  't5.f1_score_with_invalid; t5.accuracy': 'mrpc qqp',
  't5.bleu': """
    para_crawl_enes wmt14_enfr wmt16_translate_deen wmt16_translate_tren wmt16_translate_csen wmt16_translate_fien
    wmt16_translate_roen wmt16_translate_ruen""",
  'flan.metrics.rouge_fn': 'common_gen dart e2e_nlg web_nlg_en',
  't5.edit_distance': 'true_case fix_punct word_segment',
  't5.mean_multiclass_f1(num_classes=3); t5.accuracy': 'cb',
  't5.pearson_corrcoef; t5.spearman_corrcoef': 'stsb',
  't5.accuracy': """
    bool_q rte wsc wsc273 wic arc_challenge arc_easy math_dataset ag_news_subset anli_r1 anli_r2 anli_r3 sentiment140
    story_cloze imdb_reviews paws_wiki definite_pronoun_resolution copa winogrande yelp_polarity_reviews cosmos_qa cola
    sst2 mnli_matched mnli_mismatched qnli wnli snli trec piqa openbookqa hellaswag""",
}
# What FLAN has not: GLUE's metric of CoLA, which the official code leaves for later, BLEU of short texts, and accuracy,
# which is the first of what is ranked.
MORE = {
  'cola': {'matthews_correlation'},
  **{name: {'bleu'} for name in ('common_gen', 'dart', 'e2e_nlg', 'web_nlg_en')},
  **{name: {'accuracy'} for name in ('true_case', 'fix_punct', 'word_segment', 'multirc', 'stsb')},
}


def test_every_dataset_is_measured_as_in_flan():
  official = {
    name: {OURS[metric.strip()] for metric in told.split(';')} for told, names in OFFICIAL.items()
    for name in names.split()
  }  # fmt: skip
  assert official.keys() == BY_NAME.keys()
  for name, expected in official.items():
    assert set(BY_NAME[name].metrics) == expected | MORE.get(name, set()), name
    assert len(set(BY_NAME[name].metrics)) == len(BY_NAME[name].metrics)


def test_accuracy_heads_what_is_ranked_and_the_metrics_of_all_can_be_computed():
  for dataset in DATASETS:
    shared = list(dataset.options or ())
    metrics.check(dataset.metrics, ['q'] if dataset.group else [], shared)
    if shared:
      assert dataset.metrics[0] == 'accuracy', dataset.name


@pytest.mark.parametrize(('dataset', 'folder', 'texts'), [
  (MULTIRC, 'tfds', ('paragraph', 'question')), (RECORD, 'tfds_tiny', ('passage', 'query')),
], ids=['multirc', 'record'])  # fmt: skip
def test_a_group_is_a_question(dataset, folder, texts, real_data):
  builder = tfds.builder(dataset.source, data_dir=str(real_data / folder))
  found = collections.defaultdict(set)
  examples = builder.as_dataset(split='validation').map(dataset.example)
  count = 0
  for example in examples.as_numpy_iterator():
    count += 1
    found[example[GROUP]].add(tuple(example[name] for name in texts))
  assert all(len(questions) == 1 for questions in found.values())
  if dataset is MULTIRC:
    assert (len(found), count) == (953, 4848)  # of the development set as it is published


def test_real_rows_are_ranked_and_measured_by_question(real_tfds):  # noqa: F811
  asked = rows('flan2021.multirc.template_0', 'test', 1500, task_feature_lengths={'inputs': 64, 'targets': 8})
  by_question = collections.defaultdict(list)
  for row in asked:
    by_question[row.group].append(row.answer == 'yes')
  assert max(map(len, by_question.values())) > 3  # the files have them shuffled: 1500 rows tear most questions apart
  yes = asked[0].option_tokens[1].tolist()
  result = evaluate_task(asked, RuleScorer(lambda source, option: float(option == yes)), metrics=MULTIRC.metrics)
  share = sum(map(sum, by_question.values())) / 1500
  assert list(result.metrics) == ['accuracy', 'f1a', 'em']
  assert result.score.value == pytest.approx(100 * share)
  assert result.metrics['f1a'].value == pytest.approx(100 * 2 * share / (1 + share))
  assert result.metrics['em'].value == pytest.approx(100 * sum(map(all, by_question.values())) / len(by_question))
  assert (result.metrics['em'].n, result.chance) == (len(by_question), 50.0)
