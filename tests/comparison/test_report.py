"""What a comparison leaves, from rows that were made by hand."""

import json

import numpy as np
import PIL.Image
import pytest
from matplotlib.colors import to_rgb

from flan_jax.comparison import picture, report
from flan_jax.comparison.lines import BASE, lines, over_seeds, size, table
from flan_jax.evaluation.plots import COLORS
from flan_jax.evaluation.statistics import Estimate
from tests.comparison import made

NAMES = ['full', 'lora', 'prompt']


def cells(found, rows, costs=None):
  shown = table(found, rows[0], costs)
  return {row[0]: dict(zip(shown.columns, row, strict=True)) for row in shown.rows}


def test_a_line_has_its_seeds_mean_and_range():
  rows = [made.row('lora', seed, new, old) for seed, new, old in ((0, 90.0, 70.0), (1, 96.0, 61.0), (2, 93.0, 73.0))]
  (line,) = lines(NAMES, rows, None)
  assert line.seeds == (0, 1, 2)
  assert line.new == Estimate(93.0, 90.0, 96.0, 100)
  assert line.forgetting == Estimate(-12.0, -19.0, -7.0, 100)
  assert line.old_tasks['old_a'] == Estimate(-12.0, -19.0, -7.0, 100)
  assert 'Of several seeds' in table([line], rows[0], None).note


def test_one_seed_keeps_its_bootstrap_interval():
  assert over_seeds([Estimate(1.0, 0.5, 2.0, 9)]) == Estimate(1.0, 0.5, 2.0, 9)


def test_the_table_sets_the_base_first_and_says_what_is_not_known():
  rows = [made.row(name) for name in NAMES]
  shown = cells(lines(NAMES, rows, made.costs(NAMES)), rows, made.costs(NAMES))
  assert list(shown) == [BASE, *NAMES]
  assert (shown[BASE]['new task'], shown[BASE]['old tasks'], shown[BASE]['answer ms']) == ('50.0', '80.0', '1')
  lora = shown['lora']
  assert (lora['trained'], lora['% of base'], lora['kept'], lora['optimizer']) == ('4,000', '4.00', '16 kB', '32 kB')
  assert (lora['ms/step'], lora['range'], lora['tokens/s']) == ('20', '18 to 24', '25,000')
  assert (lora['change'], lora['change interval']) == ('-10.0', '-13.0 to -7.0')
  assert (lora['merged ms'], shown['prompt']['merged ms']) == ('1.25', '-')
  assert cells(lines(NAMES, rows, None), rows)['lora']['ms/step'] == '-'


def test_lines_keep_the_order_of_the_entries_and_leave_out_what_is_not_done():
  assert [line.name for line in lines(NAMES, [made.row('prompt'), made.row('full')], None)] == ['full', 'prompt']


@pytest.mark.parametrize(('count', 'told'), [(7, '7 B'), (16_000, '16 kB'), (2_345_678, '2.35 MB'), (7e10, '70 GB')])
def test_sizes_are_told_in_words(count, told):
  assert size(count) == told


def test_all_three_files_are_written_and_say_what_is_missing(tmp_path):
  rows = [made.row('full'), made.row('lora')]
  report.write(tmp_path, made.SETTING, NAMES, rows, None, ['prompt.seed_0'], {'base': 'abc'})
  record = json.loads((tmp_path / 'comparison.json').read_text())
  assert record['missing'] == ['prompt.seed_0'] and record['base'] == 'abc'
  assert [line['name'] for line in record['lines']] == ['full', 'lora']
  assert record['rows'][1]['old']['change']['value'] == -10.0
  text = (tmp_path / 'comparison.md').read_text()
  assert 'new_task (500 rows), 40 steps' in text and 'Not done yet: prompt.seed_0.' in text
  assert '| lora | -10.0 | -10.0 |' in text
  heads = [line for line in text.splitlines() if line.startswith('|')]
  assert {line.count('|') for line in heads[: 2 + 3]} == {18}
  assert sorted(path.name for path in tmp_path.iterdir()) == ['comparison.json', 'comparison.md', 'comparison.png']


def test_the_picture_shows_forgetting_to_scale(tmp_path):
  found = lines(NAMES, [made.row('full', old=40.0), made.row('lora', old=60.0), made.row('prompt', old=79.0)], None)
  with PIL.Image.open(picture.draw(tmp_path / 'deep' / 'picture.png', found, 'a title')) as image:
    pixels = np.asarray(image.convert('RGB')).astype(int)
  right = pixels[:, pixels.shape[1] * 11 // 20 :]  # the bars; the markers to the left are paler
  lengths = [(np.abs(right - np.round(255 * np.array(to_rgb(color)))).max(axis=-1) <= 2).sum(axis=1).max()
             for color in COLORS[:3]]
  assert lengths[0] / lengths[1] == pytest.approx(2.0, abs=0.1)
  assert 0 < lengths[2] < 0.1 * lengths[0]


def test_numbers_beside_equal_points_do_not_meet():
  taken = [(0.0, 0.0)] * 6
  for _ in range(6):
    shift = next(picture._free(0.0, 0.0, taken))
    taken.append(shift)
  for place, one in enumerate(taken[6:]):
    assert all(np.hypot(one[0] - two[0], one[1] - two[1]) >= picture._APART for two in taken[6:][:place])


def test_a_picture_of_nothing_is_refused(tmp_path):
  with pytest.raises(ValueError, match='no method'):
    picture.draw(tmp_path / 'picture.png', [])
