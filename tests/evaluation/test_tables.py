import dataclasses
import io
import re

import pytest
import rich.console

from flan_jax.evaluation import tables, terminal
from flan_jax.evaluation.seeds import seed_table
from flan_jax.evaluation.statistics import Estimate
from flan_jax.evaluation.tables import Table
from tests.evaluation import judged

WIDTH = 80
ALL = {
  'paired': tables.paired_table(judged.evaluations()),
  'dataset': tables.dataset_table(judged.evaluations()),
  'cluster': tables.cluster_table(judged.evaluations()),
  'metric': tables.metric_table(judged.several_metrics()),
  'chosen': tables.chosen_table(judged.chosen()),
  'seeds': seed_table(judged.over_seeds()),
  'template': tables.template_table(judged.evaluation('instruction-tuned')),
  'one model': tables.dataset_table([judged.evaluation('untuned')]),
  'one row': tables.paired_table([dataclasses.replace(judged.evaluation('untuned'), paired=[
    judged.paired('paraphrase', 100.0, 100.0, half_width=0.0)])]),
}  # fmt: skip


def _print(table: Table, width: int = WIDTH) -> list[str]:
  file = io.StringIO()
  rich.console.Console(file=file, width=width).print(table)
  return file.getvalue().splitlines()


def _parts(lines: list[str]) -> tuple[list[str], list[str], list[str]]:
  """Headings, cells and notes of a printed table; the rule under the headings divides the first two."""
  rule = next(place for place, line in enumerate(lines) if set(line.strip()) == {'─'})
  note = next(place for place, line in enumerate(lines) if line.startswith('Percent'))
  return lines[1:rule], lines[rule + 1:note], lines[note:]


def _words(lines: list[str]) -> set[str]:
  return set(' '.join(lines).split())


def _pieces(text: str) -> set[str]:
  """The parts of a name or label that must stay whole."""
  return set(re.findall(r'[^ _.]+', text))


def _shown(table: Table, headings: list[str]) -> list[int]:
  """Places of the columns whose headings were printed, every word of them."""
  words = _words(headings)
  return [place for place, column in enumerate(table.columns) if set(column.split()) <= words]


@pytest.mark.parametrize('name', ALL)
def test_at_80_columns_words_and_numbers_are_whole(name):
  table = ALL[name]
  lines = _print(table)
  assert max(map(len, lines)) <= WIDTH
  headings, cells, _ = _parts(lines)
  places = _shown(table, headings)
  assert _words(headings) <= {word for column in table.columns for word in column.split()}  # no fragments
  allowed = {piece for row in table.rows for place in places for piece in _pieces(row[place])}
  assert {piece for word in _words(cells) for piece in _pieces(word)} <= allowed
  for row in table.rows:
    for place in places:
      assert _pieces(row[place]) <= {piece for word in _words(cells) for piece in _pieces(word)}


@pytest.mark.parametrize('name', ALL)
def test_at_80_columns_numbers_and_intervals_stand_on_one_line_with_their_row(name):
  table = ALL[name]
  headings, cells, _ = _parts(_print(table))
  places = [place for place in _shown(table, headings) if place >= table.texts]
  assert len(places) >= 2
  firsts = [line for line in cells if re.search(r'\d\.\d', line)]  # other lines go on with names and labels
  assert len(firsts) == len(table.rows)
  for line, row in zip(firsts, table.rows, strict=True):
    assert line.rstrip().endswith(row[places[-1]])
    assert re.search(r'\s+'.join(re.escape(row[place]) for place in places), line)


@pytest.mark.parametrize('name', ALL)
@pytest.mark.parametrize('width', [60, 80, 100])
def test_what_has_no_room_is_said_below(name, width):
  table = ALL[name]
  headings, _, note = _parts(_print(table, width))
  note = ' '.join(' '.join(note).split())
  for place in set(range(len(table.columns))) - set(_shown(table, headings)):
    column, cells = table.columns[place], {row[place] for row in table.rows}
    if len(cells) == 1 and len(table.rows) > 1:
      assert re.search(rf'In every row: [^.]*.*\b{column} {re.escape(cells.pop())}', note)
    else:
      assert re.search(rf'No room for: .*{column}', note)
  if width == 100 and name == 'cluster':
    assert 'No room' not in note


@pytest.mark.parametrize('name', ALL)
def test_with_room_for_all_no_line_is_broken(name):
  table = ALL[name]
  headings, cells, _ = _parts(_print(table, 240))
  assert len(headings) == 1
  assert len(cells) == len(table.rows)
  assert re.split(r'\s{2,}', headings[0].strip()) == list(table.columns)
  assert [re.split(r'\s{2,}', line.strip()) for line in cells] == [list(row) for row in table.rows]


def test_the_columns_that_tell_the_story_stay_at_80():
  def shown(name: str) -> set[str]:
    table = ALL[name]
    return {table.columns[place] for place in _shown(table, _parts(_print(table))[0])}

  assert {'task', 'model', 'mean of the pair', '95 % interval', 'plain', 'opposite', 'both right'} <= shown('paired')
  assert {'dataset', 'model', 'mean', '95 % interval', 'std', 'worst', 'best'} <= shown('dataset')
  assert {'cluster', 'model', 'mean', '95 % interval', 'chance'} <= shown('cluster')
  assert {'task', 'score', '95 % interval', 'left out'} <= shown('template')


def test_a_long_name_and_a_long_label_can_be_read_in_80_columns():
  headings, cells, _ = _parts(_print(ALL['dataset']))
  model, mean = headings[-1].index('model'), headings[-1].index('mean') - 1  # numbers are set right, '100.0' has five
  starts = [place for place, line in enumerate(cells) if re.search(r'\d\.\d', line)]
  block = cells[starts[5]:starts[6]]  # the opposite of paraphrase, asked without the instruction
  assert ''.join(line[:model].split('  ')[0].strip() for line in block) == 'quickstart_paraphrase_opposite'
  assert ' '.join(line[model:mean].strip() for line in block).strip() == 'same weights, instruction removed'
  assert block[0][mean:].split()[:4] == ['3.8', '1.2', 'to', '6.1']


def test_the_terminal_width_is_that_of_the_console_that_prints(monkeypatch):
  monkeypatch.setenv('COLUMNS', '80')
  table = ALL['dataset']
  assert _print(table, 240) != _print(table, 80)
  assert len(table.to_rich(240).columns) == len(table.columns)
  assert len(table.to_rich(80).columns) < len(table.columns)


def test_text_in_brackets_is_no_markup():
  table = Table('[bold]title[/bold]', ('name [x]', 'mean'), [('[red]a[/red]', '1.0')], 'Percent [of all].')
  text = '\n'.join(_print(table))
  for part in ('[bold]title[/bold]', 'name [x]', '[red]a[/red]', 'Percent [of all].'):
    assert part in text


def test_a_width_without_room_for_the_essentials_still_prints_every_character():
  table = Table('t', ('name', 'mean'), [('quickstart_paraphrase', '12.5'), ('x', '3.0')])
  file = io.StringIO()
  rich.console.Console(file=file, width=11).print(table)
  assert max(map(len, file.getvalue().splitlines())) <= 11
  assert sorted(re.sub(r'[\s─]', '', file.getvalue())) == sorted('tnamemeanquickstart_paraphrase12.5x3.0')


def test_names_break_after_underscores_and_before_template_numbers_but_never_inside_numbers():
  assert terminal.broken('quickstart_paraphrase.template_12', 12) == ['quickstart_', 'paraphrase.', 'template_12']
  assert terminal.broken('same weights, instruction removed', 13) == ['same weights,', 'instruction', 'removed']
  assert terminal.broken('T5 v1.1 12.5', 3) == ['T5', 'v1.1', '12.5']
  assert terminal.broken('unbreakable', 4) == ['unbreakable']
  assert terminal.broken('', 4) == ['']


def test_columns_leave_by_sameness_first_and_then_by_rank():
  columns = [terminal.Column('name', ['a', 'b'], text=True), terminal.Column('model', ['m', 'm'], text=True)]
  numbers = {'xx': ['1', '2'], 'yy': ['3', '3'], 'zz': ['5', '6'], 'ww': ['7', '7']}
  columns += [terminal.Column(name, cells) for name, cells in numbers.items()]
  kept = {width: ''.join(columns[place].heading[0] for place in terminal.fit(columns, ('xx', 'yy', 'zz'), width))
          for width in (27, 26, 20, 19, 16, 15, 12, 11, 8, 7, 1)}  # fmt: skip
  assert kept == {
    27: 'nmxyzw', 26: 'nxyzw', 20: 'nxyzw', 19: 'nxzw', 16: 'nxzw', 15: 'nzw', 12: 'nzw', 11: 'nw', 8: 'nw', 7: 'nw',
    1: 'nw',
  }  # fmt: skip


def test_spare_room_goes_to_the_column_that_fills_most_lines():
  columns = [terminal.Column('name', ['a_b_c_d_e_f', 'g'], text=True), terminal.Column('two words', ['1.0', '2.0'])]
  assert [terminal.fit(columns, (), width) for width in (11, 12, 13, 15, 30)] == [
    {0: 4, 1: 5}, {0: 5, 1: 5}, {0: 6, 1: 5}, {0: 8, 1: 5}, {0: 11, 1: 9},
  ]  # fmt: skip


def test_a_dataset_table_has_one_row_per_model_and_dataset():
  table = tables.dataset_table(judged.evaluations())
  assert len(table.rows) == 4 * 4
  assert dict(zip(table.columns, table.rows[5], strict=True)) == {
    'dataset': 'quickstart_paraphrase_opposite', 'cluster': 'paraphrase', 'model': 'same weights, instruction removed',
    'metric': 'accuracy', 'mean': '3.8', '95 % interval': '1.2 to 6.1', 'std': '1.1', 'worst': '2.7',
    'best': '4.9', 'chance': '50.0', 'majority': '51.7', 'templates': '3', 'rows': '300',
  }  # fmt: skip


def test_a_dataset_table_says_once_what_was_left_out():
  result = judged.dataset('nli_a', 70.0, unanswerable=12, excluded=['nli_a.template_8', 'nli_a.template_9'])
  models = [dataclasses.replace(evaluation, datasets=[result]) for evaluation in judged.evaluations()]
  note = tables.dataset_table(models).note
  assert note.count('Left out of nli_a: 12 answers not among the options, 2 inverted templates.') == 1
  assert 'Left out' not in ALL['dataset'].note


def test_a_template_table_counts_left_out_rows_and_keeps_excluded_tasks():
  results = [
    judged.template('nli.template_0', 71.0), judged.template('nli.template_1', 64.0, unanswerable=7, inverted=2),
    judged.template('nli.template_2', None, inverted=300),
  ]  # fmt: skip
  table = tables.template_table(dataclasses.replace(judged.evaluation('untuned'), templates=results))
  assert table.title == 'untuned: by template'
  assert table.rows == [
    ('nli.template_0', 'accuracy', '71.0', '66.5 to 75.1', '50.0', '51.7', '300', '0'),
    ('nli.template_1', 'accuracy', '64.0', '59.5 to 68.1', '50.0', '51.7', '300', '9'),
    ('nli.template_2', 'excluded (inverted template)', '-', '-', '-', '-', '0', '300'),
  ]


def test_a_paired_table_has_the_mean_first_and_both_halves():
  table = tables.paired_table(judged.evaluations(), title='Held out')
  assert (table.title, len(table.rows)) == ('Held out', 8)
  assert table.rows[2] == (
    'quickstart_paraphrase', 'same weights, instruction removed', '50.0', '47.8 to 52.2', '96.2', '3.8', '3.8', '50.0',
    '300',
  )  # fmt: skip


def test_a_cluster_table_counts_datasets_and_shows_missing_numbers_as_a_dash():
  one = judged.evaluation('untuned').clusters[0]
  bare = dataclasses.replace(one, mean=Estimate(31.4, None, None, 600), chance=None, metric='bleu')
  table = tables.cluster_table([dataclasses.replace(judged.evaluation('untuned'), clusters=[one, bare])])
  assert table.rows[0] == ('paraphrase', 'untuned', 'accuracy', '50.0', '47.8 to 52.2', '50.0', '2')
  assert table.rows[1] == ('paraphrase', 'untuned', 'bleu', '31.4', '-', '-', '2')


def test_html_keeps_all_columns_whatever_a_terminal_shows():
  page = ALL['dataset'].to_html()
  assert re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', page) == list(ALL['dataset'].columns)
  assert page.count('<td') == 13 * 16
  assert page.count('class="text"') == 4 * 17  # names and labels are set left


def test_rows_and_optional_columns_must_fit_the_columns():
  with pytest.raises(ValueError, match=r"table 't': row \('a',\) does not have the 2 columns"):
    Table('t', ('x', 'y'), [('a',)])
  with pytest.raises(ValueError, match=r"optional columns \['z'\]"):
    Table('t', ('x', 'y'), [], optional=('z',))


def test_a_metric_table_has_the_datasets_of_several_metrics_only():
  table = ALL['metric']
  assert [row[0] for row in table.rows] == ['quickstart_paraphrase'] * 2
  assert [row[2:] for row in table.rows] == [('accuracy', '84.3', '3', '300'), ('binary_f1', '71.0', '3', '300')]


def test_a_chosen_table_has_the_datasets_of_which_a_template_was_chosen():
  row, = ALL['chosen'].rows
  assert row == ('quickstart_paraphrase', 'instruction-tuned', 'quickstart_paraphrase.template_2', 'accuracy', '88.0',
                 '83.0', '80.1 to 86.2', '84.3', '87.0', '50.0')  # fmt: skip
