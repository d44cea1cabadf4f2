"""The rules of the official FLAN 2021 code, told in plain Python: what the TensorFlow ones are compared with.

Derived from the facts about that code (columns, option words, clean-ups, filters), and on purpose not from our
`tasks.flan2021.official`. A row is what TFDS gives as NumPy.
"""

import re
from collections.abc import Mapping
from typing import Any

Fields = dict[str, Any]

_UNSURE = "it is not possible to tell"
_CANNOT = "It's impossible to say"
OPTIONS = {
  'bool_q': ['no', 'yes'], 'rte': ['yes', 'no'], 'wsc': ['no', 'yes'], 'multirc': ['no', 'yes'],
  'wic': ['different meanings', 'the same meaning'], 'ag_news_subset': ['World', 'Sports', 'Business', 'Science/Tech'],
  'anli_r1': ['Yes', _CANNOT, 'No'], 'anli_r2': ['Yes', _CANNOT, 'No'], 'anli_r3': ['Yes', _CANNOT, 'No'],
  'cb': ['Yes', 'No', _CANNOT], 'sentiment140': ['negative', 'positive'], 'imdb_reviews': ['negative', 'positive'],
  'yelp_polarity_reviews': ['negative', 'positive'], 'sst2': ['negative', 'positive'], 'paws_wiki': ['no', 'yes'],
  'mrpc': ['no', 'yes'], 'qqp': ['no', 'yes'], 'wnli': ['no', 'yes'], 'cola': ['unacceptable', 'acceptable'],
  'mnli_matched': ['yes', _UNSURE, 'no'], 'mnli_mismatched': ['yes', _UNSURE, 'no'], 'snli': ['yes', _UNSURE, 'no'],
  'qnli': ['yes', 'no'], 'stsb': ['0', '1', '2', '3', '4', '5'],
  'trec': ['description', 'entity', 'abbreviation', 'human', 'numeric', 'location'],
}  # fmt: skip

# placeholder=column, for all that is taken as it is
COLUMNS = {
  'bool_q': {'title': 'title', 'text': 'passage', 'question': 'question'},
  'rte': {'premise': 'premise', 'hypothesis': 'hypothesis'},
  'cb': {'premise': 'premise', 'hypothesis': 'hypothesis'},
  'mnli_matched': {'premise': 'premise', 'hypothesis': 'hypothesis'},
  'mnli_mismatched': {'premise': 'premise', 'hypothesis': 'hypothesis'},
  'snli': {'premise': 'premise', 'hypothesis': 'hypothesis'},
  'anli_r1': {'context': 'context', 'hypothesis': 'hypothesis'},
  'anli_r2': {'context': 'context', 'hypothesis': 'hypothesis'},
  'anli_r3': {'context': 'context', 'hypothesis': 'hypothesis'},
  'qnli': {'sentence': 'sentence', 'question': 'question'},
  'wnli': {'sentence1': 'sentence1', 'sentence2': 'sentence2'},
  'mrpc': {'sentence1': 'sentence1', 'sentence2': 'sentence2'},
  'paws_wiki': {'sentence1': 'sentence1', 'sentence2': 'sentence2'},
  'stsb': {'sentence1': 'sentence1', 'sentence2': 'sentence2'},
  'cola': {'sentence': 'sentence'},
  'sst2': {'sentence': 'sentence'},
  'trec': {'text': 'text'},
  'sentiment140': {'text': 'text'},
  'ag_news_subset': {'title': 'title', 'text': 'description'},
  'wic': {'sentence1': 'sentence1', 'sentence2': 'sentence2', 'word': 'word'},
  'wsc': {'context': 'text', 'text1': 'span1_text', 'text2': 'span2_text'},
  'definite_pronoun_resolution': {'sentence': 'sentence', 'pronoun': 'pronoun'},
  'copa': {'premise': 'premise', 'question': 'question'},
  'story_cloze': {'context': 'context'},
  'piqa': {'goal': 'goal'},
  'drop': {'context': 'passage', 'question': 'question', 'answer': 'answer'},
  'multirc': {'paragraph': 'paragraph', 'question': 'question', 'response': 'answer'},
  'cosmos_qa': {'context': 'context', 'question': 'question'},
  'quac': {'title': 'title', 'background': 'background', 'context': 'context', 'question': 'question'},
  'arc_easy': {'question': 'question'},
  'arc_challenge': {'question': 'question'},
  'trivia_qa': {'question': 'question'},
  'math_dataset': {'question': 'question', 'answer': 'answer'},
  'cnn_dailymail': {'highlights': 'highlights'},
  'gigaword': {'text': 'document', 'summary': 'summary'},
  'multi_news': {'text': 'document', 'summary': 'summary'},
  'xsum': {'text': 'document', 'summary': 'summary'},
  'newsroom': {'title': 'title', 'text': 'text', 'summary': 'summary'},
  'samsum': {'summary': 'summary'},
  'wiki_lingua_english_en': {'source': 'source', 'target': 'target'},
  'opinion_abstracts_rotten_tomatoes': {'critic_consensus': '_critic_consensus'},
  'opinion_abstracts_idebate': {'debate_name': '_debate_name', 'claim': '_claim'},
  'coqa': {'text': 'story'},
  'common_gen': {'target': 'target'},
  'dart': {'target': 'target'},
  'e2e_nlg': {'target': 'target'},
  'web_nlg_en': {'target': 'target'},
  'true_case': {'answer': 'en'},
  'fix_punct': {'answer': 'en'},
  'word_segment': {'answer': 'en'},
}
LANGUAGES = {
  'para_crawl_enes': ('es', 'Spanish'), 'wmt14_enfr': ('fr', 'French'), 'wmt16_translate_deen': ('de', 'German'),
  'wmt16_translate_tren': ('tr', 'Turkish'), 'wmt16_translate_csen': ('cs', 'Czech'),
  'wmt16_translate_fien': ('fi', 'Finnish'), 'wmt16_translate_roen': ('ro', 'Romanian'),
  'wmt16_translate_ruen': ('ru', 'Russian'),
}  # fmt: skip


def text(value: Any) -> Any:
  """Bytes as str, through every level of a row. TFDS's texts are UTF-8."""
  if isinstance(value, bytes):
    return value.decode()
  if isinstance(value, Mapping):
    return {key: text(inner) for key, inner in value.items()}
  if hasattr(value, 'dtype') and value.dtype == object:
    return [text(inner) for inner in value]
  return value


def _numbered(items: list[str]) -> str:
  return '\n'.join(f'{number}. {item}' for number, item in enumerate(items, 1))


def keeps(name: str, row: Fields) -> bool:
  """The official filters."""
  if name.startswith('arc_'):
    return len(row['choices']['text']) == 4
  if name == 'aeslc':
    return bool(row['email_body'] + row['subject_line'])
  if name == 'gigaword':
    return not re.search('UNK|#', row['document'] + row['summary'])
  if name in ('true_case', 'fix_punct'):
    damaged, sentence = (official(name, row)[key] for key in ({'true_case': 'lower'}.get(name, 'no_punct'), 'answer'))
    return damaged != sentence
  if name in ('snli', 'hellaswag'):
    return row['label'] >= 0
  return True


def official(name: str, row: Fields) -> Fields:
  """The official fields of a row."""
  fields = {placeholder: row[column] for placeholder, column in COLUMNS.get(name, {}).items()}
  fields |= _special(name, row)
  options = fields.get('options', OPTIONS.get(name))
  if options is not None:
    block = 'OPTIONS:\n- ' + '\n- '.join(options)
    fields |= {'options': options, 'options_': block, 'options_str': block}
  if 'answer' not in fields and options is not None and name != 'stsb':
    fields['answer'] = options[int(fields.get('label', row.get('label', -1)))]
  return fields


def _special(name: str, row: Fields) -> Fields:
  if name in LANGUAGES:
    code, language = LANGUAGES[name]
    return {'lang1': 'English', 'lang2': language, 'sent1': row['en'], 'sent2': row[code]}
  rule = globals().get(f'_{name}')
  return rule(row) if rule else {}


def _bool_q(row: Fields) -> Fields:
  return {'label': row['answer']}


def _trec(row: Fields) -> Fields:
  return {'label': row['label-coarse']}


def _wsc273(row: Fields) -> Fields:
  before, after = row['text'][: row['pronoun_start']].strip(), row['text'][row['pronoun_end'] :].strip()
  return {
    'context': before,
    'options': [f'{row[noun]} {after}' for noun in ('option1_normalized', 'option2_normalized')],
  }


def _natural_questions(row: Fields) -> Fields:
  return {'question': row['question'] + '?', 'answer': row['answer'][0]}


def _record(row: Fields) -> Fields:
  left, right = row['query'].split('@placeholder')[:2]
  return {
    'passage': row['passage'].split('\n@highlight')[0],
    'query': left.strip(),
    'options': [entity + right for entity in row['entities']],
    'answer': row['answers'][0] + right,
  }


def _trivia_qa(row: Fields) -> Fields:
  return {'answer': row['answer']['normalized_value']}


def _arc(row: Fields) -> Fields:
  return {'options': row['choices']['text'], 'answer': row['choices']['text'][int(row['answerKey'])]}


_arc_easy = _arc_challenge = _arc


def _aeslc(row: Fields) -> Fields:
  return {'body': row['email_body'].replace('\n', ' '), 'subject': row['subject_line'].replace('\n', '')}


def _cnn_dailymail(row: Fields) -> Fields:
  article = row['article']
  for mark in ('2013 . ', '2014 . ', '2012 . ', ') -- '):
    article = article.partition(mark)[0]
  return {'text': article}


def _opinion_abstracts_rotten_tomatoes(row: Fields) -> Fields:
  reviews = row['_critics']['value']
  return {
    'movie': row['_movie_name'].replace('_', ' '),
    'first_review': reviews[0],
    'numbered_reviews': _numbered(reviews[:10]),
  }


def _opinion_abstracts_idebate(row: Fields) -> Fields:
  return {'argument_sentences': _numbered(row['_argument_sentences']['value'][:10])}


def _coqa(row: Fields) -> Fields:
  return {
    'numbered_questions': _numbered(row['questions']),
    'numbered_answers': _numbered(row['answers']['input_text']),
  }


def _samsum(row: Fields) -> Fields:
  return {'dialogue': re.sub('<.*>', ' ', row['dialogue'].replace('\r\n', '\n'))}


def _squad_v1(row: Fields) -> Fields:
  title = row['title'].replace('_', ' ')
  return {'title': title, 'context': row['context'], 'question': row['question'], 'answer': row['answers']['text'][0]}


def _squad_v2(row: Fields) -> Fields:
  if not row['is_impossible']:
    return _squad_v1(row)
  return _squad_v1({**row, 'answers': {'text': ['unanswerable']}})


def _quac(row: Fields) -> Fields:
  return {'answer': row['orig_answer']['text']}


def _sentiment140(row: Fields) -> Fields:
  return {'label': row['polarity'] in (3, 4)}


def _story_cloze(row: Fields) -> Fields:
  return {'options': row['endings'], 'label': row['label'] - 1}


def _imdb_reviews(row: Fields) -> Fields:
  return {'text': row['text'].replace('<br />', '\n')}


def _qqp(row: Fields) -> Fields:
  return {name: row[name].replace('""', "'") for name in ('question1', 'question2')}


def _copa(row: Fields) -> Fields:
  return {'options': [row['choice1'], row['choice2']]}


def _winogrande(row: Fields) -> Fields:
  left, right = row['sentence'].split('_')[:2]
  return {'context': left, 'options': [row['option1'] + right, row['option2'] + right]}


def _definite_pronoun_resolution(row: Fields) -> Fields:
  return {'options': row['candidates']}


def _yelp_polarity_reviews(row: Fields) -> Fields:
  return {'text': row['text'].replace('\\""', '"').replace('\\n', ' ')}


def _cosmos_qa(row: Fields) -> Fields:
  return {'options': [row[f'answer{number}'] for number in range(4)]}


def _common_gen(row: Fields) -> Fields:
  return {'concepts': ', '.join(row['concepts']), 'concepts_newline': '\n'.join(row['concepts'])}


def _dart(row: Fields) -> Fields:
  triples = row['tripleset']
  return {'tripleset': re.sub(r'\[.*?\]', '', '; '.join(triples)), 'tripleset_newline': '\n'.join(triples)}


def _e2e_nlg(row: Fields) -> Fields:
  return {'meaning_representation': row['meaning_representation'].replace('[', ' = ').replace(']', '')}


def _web_nlg_en(row: Fields) -> Fields:
  return {'input_string': '; '.join(row['input']).replace('_', ' ').replace(' | ', ', ')}


def _true_case(row: Fields) -> Fields:
  return {'lower': ''.join(letter.lower() if letter.isascii() else letter for letter in row['en'])}


def _fix_punct(row: Fields) -> Fields:
  return {'no_punct': re.sub(r'[^A-Za-z0-9_\t\n\f\r ]', '', row['en'])}


def _word_segment(row: Fields) -> Fields:
  return {'no_space': row['en'].replace(' ', '')}


def _stsb(row: Fields) -> Fields:
  return {'answer_str': f'{row["label"]:.0f}'}


def _piqa(row: Fields) -> Fields:
  return {'options': [row['sol1'], row['sol2']]}


def _openbookqa(row: Fields) -> Fields:
  question = row['question']
  options = [question[f'choice_{letter}'] for letter in 'ABCD']
  return {'question': question['stem'], 'fact': row['fact1'], 'options': options, 'answer': options[row['answerKey']]}


def _hellaswag(row: Fields) -> Fields:
  context = re.sub(r'\[header\][\t\n\f\r ]', '', row['context'])
  return {
    'context': re.sub(r'\[.*?\][\t\n\f\r ]', '\n', context),
    'options': [re.sub(r'\[.*?\][\t\n\f\r ]', '', ending) for ending in row['endings']],
  }


def _multirc(row: Fields) -> Fields:
  return {'label': row['label']}


def filled(pattern: str, fields: Fields) -> str:
  """The official formatter: `{name}` is a field, anything else is itself."""
  return re.sub(r'\{(\w*)\}', lambda match: fields[match[1]], pattern)
