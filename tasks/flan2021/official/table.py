"""Which official patterns belong to which of our datasets, and what their placeholders are called here."""

import dataclasses
from collections.abc import Callable, Mapping

import tensorflow as tf

from flan_jax.data.dataset import LABEL, OPTIONS, REFERENCES, Fields, Row
from flan_jax.data.template import ANSWER
from tasks.flan2021.official import fields
from tasks.flan2021.official.fields import columns
from tasks.flan2021.texts import one_line

Derive = Callable[[Row], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Official:
  """A dataset of ours as the official code knows it.

  Attributes:
    key: of its patterns; several datasets may share them.
    fields: from a row to the official fields, under official names.
    names: official placeholder -> field of our declaration; the main target, called `answer`, included.
    answer: the official name of the main target, where it has another.
    constants: placeholders that are the same text in every row.
    extra: official placeholders that our declaration has no field for, derived from a row and tidied as ours are.
    instead: fields that replace those of our declaration where official templates ask for something else.
    keep: the official filter.
    source: the official source, where it holds other rows than ours.
    baseline: option words of the continuations in `flan/baseline_templates.py`, as the official code orders them.
    baseline_right: the same in the order of the labels, where that differs.
  """

  key: str
  fields: Callable[[Row], Fields]
  names: Mapping[str, str]
  answer: str = ANSWER
  constants: Mapping[str, str] = dataclasses.field(default_factory=dict)
  extra: Mapping[str, Derive] = dataclasses.field(default_factory=dict)
  instead: Callable[[Row], Fields] | None = None
  keep: Callable[[Row], tf.Tensor] | None = None
  source: str | None = None
  baseline: tuple[str, ...] | None = None
  baseline_right: tuple[str, ...] | None = None


def _same(*names: str) -> dict[str, str]:
  return {name: name for name in names}


def _record_continuations(row: Row) -> Fields:
  # The official templates ask for the rest of a sentence, and ours for what fills a gap in it.
  found = fields.record(row)
  return {
    'passage': tf.strings.strip(found['passage']),
    'query': found['query'],
    OPTIONS: one_line(found[OPTIONS]),
    ANSWER: one_line(found[ANSWER]),
    REFERENCES: one_line(found[REFERENCES]),
  }


def _winogrande_continuations(row: Row) -> Fields:
  found = fields.winogrande(row)
  return {'context': one_line(found['context']), OPTIONS: one_line(found[OPTIONS]), LABEL: found[LABEL]}


def _concepts(row: Row) -> tf.Tensor:
  return tf.strings.reduce_join(row['concepts'], separator='\n')


def _triples(row: Row) -> tf.Tensor:
  # As `triples` of our declaration: only the two marks of a table go.
  cells = tf.strings.regex_replace(row['tripleset'], r'\[(TABLECONTEXT|TITLE)\]', '')
  return tf.strings.reduce_join(one_line(cells), separator='\n')


def _background(row: Row) -> tf.Tensor:
  return tf.strings.strip(row['background'])


def _glm_premise(row: Row) -> tf.Tensor:
  stripped = {'question': row['question'], 'premise': tf.strings.strip(row['premise'])}
  return fields.glm_premise(stripped)['glm_premise']


def _translation(key: str, code: str, language: str) -> Official:
  return Official(
    key,
    columns(sent1='en', answer=code),
    {'sent1': 'english', 'sent2': ANSWER},
    answer='sent2',
    constants={'lang1': 'English', 'lang2': language},
  )


def _wmt16(code: str, language: str) -> Official:
  return _translation('wmt16_translate', code, language)


def _arc() -> Official:
  return Official('arc', fields.arc, _same('question', 'answer'), keep=fields.has_four_choices)


def _nli(key: str, text: str, baseline: tuple[str, ...] | None = None, **more: object) -> Official:
  names = _same(text, 'hypothesis', 'answer')
  taken = columns(text, 'hypothesis', 'label')
  return Official(key, taken, names, baseline=baseline, **more)  # type: ignore[arg-type]


def _pair(key: str, answer: str = ANSWER) -> Official:
  return Official(key, columns('sentence1', 'sentence2', 'label'), _same('sentence1', 'sentence2', answer))


def _sentence(key: str) -> Official:
  return Official(key, columns('sentence', 'label'), _same('sentence', 'answer'))


_TRUTH = ('true', 'neither', 'false')

TABLE: Mapping[str, Official] = {
  # nli
  'rte': _nli('rte', 'premise', ('true', 'false')),
  'cb': _nli('cb', 'premise', _TRUTH, baseline_right=('true', 'false', 'neither')),
  'anli_r1': _nli('anli', 'context', _TRUTH),
  'anli_r2': _nli('anli', 'context', _TRUTH),
  'anli_r3': _nli('anli', 'context', _TRUTH),
  'mnli_matched': _nli('mnli', 'premise'),
  'mnli_mismatched': _nli('mnli', 'premise'),
  'snli': _nli('snli', 'premise', keep=fields.has_label),
  'qnli': Official('qnli', columns('sentence', 'question', 'label'), _same('sentence', 'question', 'answer')),
  'wnli': _pair('wnli'),
  # paraphrase
  'mrpc': _pair('glue_mrpc'),
  'paws_wiki': _pair('paws_wiki'),
  'qqp': Official('glue_qqp', fields.qqp, _same('question1', 'question2', 'answer')),
  'stsb': Official('stsb', fields.stsb, {**_same('sentence1', 'sentence2'), 'answer_str': ANSWER}, answer='answer_str'),
  # single texts and their labels
  'cola': _sentence('cola'),
  'sst2': _sentence('sst2'),
  'sentiment140': Official('sentiment140', fields.sentiment140, {'text': 'tweet', 'answer': ANSWER}),
  'imdb_reviews': Official('imdb_reviews', fields.imdb_reviews, {'text': 'review', 'answer': ANSWER}),
  'yelp_polarity_reviews': Official('yelp_polarity_reviews', fields.yelp, {'text': 'review', 'answer': ANSWER}),
  'trec': Official('trec', columns('text', label='label-coarse'), {'text': 'question', 'answer': ANSWER}),
  'ag_news_subset': Official(
    'ag_news_subset',
    columns('title', 'label', text='description'),
    {'title': 'title', 'text': 'description', 'answer': ANSWER},
  ),
  'wic': Official(
    'wic',
    columns('sentence1', 'sentence2', 'word', 'label'),
    {'sentence1': 'first', 'sentence2': 'second', 'word': 'word', 'answer': ANSWER},
  ),
  # coreference
  'wsc': Official(
    'wsc',
    columns('label', context='text', text1='span1_text', text2='span2_text'),
    {'context': 'text', 'text1': 'phrase', 'text2': 'pronoun', 'answer': ANSWER},
    source='super_glue/wsc:1.0.2',
  ),
  'wsc273': Official('wsc273', fields.wsc273, {'context': 'beginning', 'answer': ANSWER}),
  'winogrande': Official(
    'winogrande', fields.winogrande, _same('context', 'answer'), instead=_winogrande_continuations
  ),
  'definite_pronoun_resolution': Official(
    'definite_pronoun_resolution',
    columns('sentence', 'pronoun', 'label', options='candidates'),
    _same('sentence', 'pronoun', 'answer'),
  ),
  # commonsense
  'copa': Official(
    'copa',
    fields.copa,
    {'premise': 'premise', 'question': 'relation', 'glm_premise': 'glm_premise', 'answer': ANSWER},
    extra={'glm_premise': _glm_premise},
  ),
  'story_cloze': Official('story_cloze', fields.story_cloze, {'context': 'story', 'answer': ANSWER}),
  'piqa': Official('piqa', fields.piqa, _same('goal', 'answer')),
  'hellaswag': Official(
    'hellaswag',
    fields.hellaswag,
    {'context': 'context', 'activity_label': 'activity', 'answer': ANSWER},
    keep=fields.has_label,
  ),
  # reading
  'bool_q': Official(
    'bool_q', fields.bool_q, {'title': 'title', 'text': 'passage', 'question': 'question', 'answer': ANSWER}
  ),
  'squad_v1': Official(
    'squad_v1', fields.squad_v1, {'title': 'title', 'context': 'passage', 'question': 'question', 'answer': ANSWER}
  ),
  'squad_v2': Official(
    'squad_v2', fields.squad_v2, {'title': 'title', 'context': 'passage', 'question': 'question', 'answer': ANSWER}
  ),
  'drop': Official(
    'drop',
    columns('question', 'answer', context='passage'),
    {'context': 'passage', 'question': 'question', 'answer': ANSWER},
  ),
  'multirc': Official(
    'multirc',
    columns('paragraph', 'question', 'label', response='answer'),
    {**_same('paragraph', 'question', 'answer'), 'response': 'candidate'},
    baseline=('False', 'True'),
  ),
  'openbookqa': Official('openbookqa', fields.openbookqa, _same('question', 'fact', 'answer')),
  'record': Official('record', fields.record, _same('passage', 'query', 'answer'), instead=_record_continuations),
  'cosmos_qa': Official('cosmos_qa', fields.cosmos_qa, _same('context', 'question', 'answer')),
  'coqa': Official(
    'coqa',
    fields.coqa,
    {'text': 'story', 'numbered_questions': 'questions', 'numbered_answers': ANSWER},
    answer='numbered_answers',
  ),
  'quac': Official(
    'quac',
    fields.quac,
    {**_same('title', 'background', 'question', 'answer'), 'context': 'passage'},
    extra={'background': _background},
  ),
  # closed-book questions, mathematics
  'arc_easy': _arc(),
  'arc_challenge': _arc(),
  'natural_questions': Official('natural_questions', fields.natural_questions, _same('question', 'answer')),
  'trivia_qa': Official('trivia_qa', fields.trivia_qa, _same('question', 'answer')),
  'math_dataset': Official('math_dataset', columns('question', 'answer'), _same('question', 'answer')),
  # summarization
  'aeslc': Official('aeslc', fields.aeslc, {'body': 'body', 'subject': ANSWER}, answer='subject', keep=fields.has_mail),
  'cnn_dailymail': Official(
    'cnn_dailymail', fields.cnn_dailymail, {'text': 'article', 'highlights': ANSWER}, answer='highlights'
  ),
  'gigaword': Official(
    'gigaword',
    columns(text='document', answer='summary'),
    {'text': 'sentence', 'summary': ANSWER},
    answer='summary',
    keep=fields.is_whole,
  ),
  'multi_news': Official(
    'multi_news',
    columns(text='document', answer='summary'),
    {'text': 'articles', 'summary': ANSWER},
    answer='summary',
  ),
  'newsroom': Official(
    'newsroom',
    columns('title', 'text', answer='summary'),
    {**_same('title', 'text'), 'summary': ANSWER},
    answer='summary',
  ),
  'xsum': Official(
    'xsum', columns(text='document', answer='summary'), {'text': 'document', 'summary': ANSWER}, answer='summary'
  ),
  'samsum': Official('samsum', fields.samsum, {'dialogue': 'dialogue', 'summary': ANSWER}, answer='summary'),
  'wiki_lingua_english_en': Official(
    'wiki_lingua_english_en',
    columns('source', answer='target'),
    {'source': 'guide', 'target': ANSWER},
    answer='target',
  ),
  'opinion_abstracts_rotten_tomatoes': Official(
    'opinion_abstracts_rotten_tomatoes',
    fields.rotten_tomatoes,
    {**_same('movie', 'first_review'), 'numbered_reviews': 'reviews', 'critic_consensus': ANSWER},
    answer='critic_consensus',
  ),
  'opinion_abstracts_idebate': Official(
    'opinion_abstracts_idebate',
    fields.idebate,
    {'debate_name': 'debate', 'argument_sentences': 'arguments', 'claim': ANSWER},
    answer='claim',
  ),
  # structure to text
  'common_gen': Official(
    'common_gen',
    fields.common_gen,
    {**_same('concepts', 'concepts_newline'), 'target': ANSWER},
    answer='target',
    extra={'concepts_newline': _concepts},
  ),
  'dart': Official(
    'dart',
    fields.dart,
    {'tripleset': 'triples', 'tripleset_newline': 'tripleset_newline', 'target': ANSWER},
    answer='target',
    extra={'tripleset_newline': _triples},
  ),
  'e2e_nlg': Official(
    'e2e_nlg', fields.e2e_nlg, {'meaning_representation': 'attributes', 'target': ANSWER}, answer='target'
  ),
  'web_nlg_en': Official(
    'web_nlg_en', fields.web_nlg_en, {'input_string': 'triples', 'target': ANSWER}, answer='target'
  ),
  # text formatting
  'true_case': Official(
    'true_case', fields.true_case, {'lower': 'lowercase', 'answer': ANSWER}, keep=fields.differs(fields.true_case)
  ),
  'fix_punct': Official(
    'fix_punct', fields.fix_punct, {'no_punct': 'bare', 'answer': ANSWER}, keep=fields.differs(fields.fix_punct)
  ),
  'word_segment': Official('word_segment', fields.word_segment, {'no_space': 'unspaced', 'answer': ANSWER}),
  # translation
  'para_crawl_enes': _translation('para_crawl', 'es', 'Spanish'),
  'wmt14_enfr': _translation('wmt14_enfr', 'fr', 'French'),
  'wmt16_translate_deen': _wmt16('de', 'German'),
  'wmt16_translate_tren': _wmt16('tr', 'Turkish'),
  'wmt16_translate_csen': _wmt16('cs', 'Czech'),
  'wmt16_translate_fien': _wmt16('fi', 'Finnish'),
  'wmt16_translate_roen': _wmt16('ro', 'Romanian'),
  'wmt16_translate_ruen': _wmt16('ru', 'Russian'),
}
