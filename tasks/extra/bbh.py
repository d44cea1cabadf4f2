"""BIG-Bench-Hard: 27 tasks that language models of 2022 did worse on than people (Suzgun et al. 2022).

Each is asked in three ways: `snarks` under our templates, `snarks_3shot` after its authors' three solved examples with
answers only, `snarks_cot` after the same examples with their reasoning, where what the model says the answer is
counts. Inputs and answers stand as in the files; an input that is to be answered from a list ends in that list.
"""

import dataclasses
import functools
from collections.abc import Callable

from flan_jax.data.bbh_files import STEPS, Shots, read_task
from flan_jax.data.dataset import OPTIONS, Dataset, Fields, Row
from flan_jax.data.splits import Splits
from flan_jax.data.template import ANSWER, Template
from flan_jax.data.upstream import TEST, Upstream

VARIABLE = 'FLAN_JAX_BBH'
FOLDER = 'a copy of github.com/suzgunmirac/BIG-Bench-Hard, the folder that holds bbh and cot-prompts'
ONLY_TEST = Splits(train=None, validation=None, test=TEST)

# Three rows have answers that are no label of their lists, which were made by splitting titles at their commas: row 163
# of movie_recommendation, rows 99 and 144 of ruin_names. An evaluation by rank counts them as unanswerable.
# lint: allow target-not-option
# Where a prompt names no options, its input or the solved examples do.
# lint: allow options-unseen


def _source(name: str, shots: Shots) -> Upstream:
  return Upstream(VARIABLE, FOLDER, f'bbh/{name}.json', functools.partial(read_task, name=name, shots=shots))


def _question(row: Row) -> Fields:
  return {'question': row['input'], ANSWER: row['target']}


def _question_with_labels(row: Row) -> Fields:
  return _question(row) | {OPTIONS: row['options']}


def _after_examples(row: Row) -> Fields:
  return {'solved': row['solved']} | _question(row)


def _after_examples_with_labels(row: Row) -> Fields:
  return _after_examples(row) | {OPTIONS: row['options']}


def _direct(name: str, templates: tuple[Template, ...], fields: Callable[[Row], Fields] = _question,
            options: tuple[str, ...] | None = None) -> Dataset:
  """A task under templates of ours, without solved examples."""
  return Dataset(name=name, cluster='bbh', source=_source(name, 'none'), fields=fields, options=options,
                 splits=ONLY_TEST, templates=templates)


def _choose(name: str, wanted: str) -> Dataset:
  """A task whose inputs list options of their own, and whose answers are their labels."""
  return _direct(name, (
    Template('{question}'),
    Template(f'{wanted}\n\n{{question}}\n\nReply with the letter of your choice in brackets.'),
    Template('{question}\n\nOne of the choices above is right. Name it by its label.\n{options}',
             option_style='inline'),
    Template(f'Multiple choice. {wanted} A label such as (A) is all that should be written down.\n\n'
             'Item: {question}\nLabel:'),
  ), _question_with_labels, options=())  # fmt: skip


def _either(name: str, wanted: str, options: tuple[str, str]) -> Dataset:
  """A task with the same two answers in every row."""
  one, other = options
  return _direct(name, (
    Template('{question}\n\n{options}'),
    Template(f'{wanted} Reply with {one} or {other}.\n\n{{question}}'),
    Template(f'{{question}}\n\nA single word is wanted: "{one}" or "{other}"?'),
    Template(f'Decide the case below.\n\nCase: {{question}}\nDecision ({one} or {other}):'),
  ), options=options)


def _write(name: str, wanted: str) -> Dataset:
  """A task whose answer the model puts together itself; it has to be exactly that of the file."""
  return _direct(name, (
    Template('{question}'),
    Template(f'{wanted}\n\n{{question}}'),
    Template('{question}\n\nWork it out silently and write down nothing but the result.'),
    Template('Exercise: {question}\nSolution, without a word of explanation:'),
  ))


def _three_shot(direct: Dataset) -> Dataset:
  return dataclasses.replace(
    direct,
    name=f'{direct.name}_3shot',
    cluster='bbh_3shot',
    source=_source(direct.name, 'answers'),
    fields=_after_examples_with_labels if direct.options == () else _after_examples,
    templates=(Template('{solved}\n\nQ: {question}\nA:'),),
  )


def _reasoned(direct: Dataset) -> Dataset:
  return dataclasses.replace(
    direct,
    name=f'{direct.name}_cot',
    cluster='bbh_cot',
    source=_source(direct.name, 'reasoning'),
    fields=_after_examples,
    options=None,
    templates=(Template(f'{{solved}}\n\nQ: {{question}}\nA: {STEPS}'),),
    metrics=('stated_answer',),
  )


YES_NO = ('Yes', 'No')

DIRECT = (
  _either('boolean_expressions', 'What is the value of this Boolean expression?', ('True', 'False')),
  _either('causal_judgement', 'Judge cause and intention as most people would.', YES_NO),
  _choose('date_understanding', 'Find the date that is asked for.'),
  _choose('disambiguation_qa', 'Say whom or what the pronoun stands for, unless that is left open.'),
  _write('dyck_languages', 'Close all brackets that are still open, in the right order.'),
  _either('formal_fallacies', 'Does the conclusion follow from the premises by logic alone?', ('valid', 'invalid')),
  _choose('geometric_shapes', 'Recognise the figure that the SVG path draws.'),
  _choose('hyperbaton', 'Find the phrase whose adjectives stand in their natural order.'),
  _choose('logical_deduction_five_objects', 'Put the five things in order by the clues, then pick what is true.'),
  _choose('logical_deduction_seven_objects', 'Put the seven things in order by the clues, then pick what is true.'),
  _choose('logical_deduction_three_objects', 'Put the three things in order by the clues, then pick what is true.'),
  _choose('movie_recommendation', 'Which film would somebody enjoy who liked the ones named?'),
  _write('multistep_arithmetic_two', 'Compute the value of the expression.'),
  _either('navigate', 'Follow the steps and say whether they lead back to where they began.', YES_NO),
  _write('object_counting', 'Count the things of the kind that is asked about and give their number in digits.'),
  _choose('penguins_in_a_table', 'Look the answer up in the table of animals.'),
  _choose('reasoning_about_colored_objects', 'Keep track of the things and their colours.'),
  _choose('ruin_names', 'Spot the small change to the name that makes it funny.'),
  _choose('salient_translation_error_detection', 'Which kind of mistake does the English translation make?'),
  _choose('snarks', 'Find the remark that does not mean what it says.'),
  _either('sports_understanding', 'Could a sports reporter have written this sentence?', ('yes', 'no')),
  _choose('temporal_sequences', 'Find the time of day that nothing else takes up.'),
  _choose('tracking_shuffled_objects_five_objects', 'Follow every swap among the five to the end.'),
  _choose('tracking_shuffled_objects_seven_objects', 'Follow every swap among the seven to the end.'),
  _choose('tracking_shuffled_objects_three_objects', 'Follow every swap among the three to the end.'),
  _either('web_of_lies', 'Work out who is honest, one person after the other.', YES_NO),
  _write('word_sorting', 'Put the words in alphabetical order, with single spaces between them.'),
)
THREE_SHOT = tuple(map(_three_shot, DIRECT))
REASONED = tuple(map(_reasoned, DIRECT))
