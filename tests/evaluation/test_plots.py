import dataclasses

import numpy as np
import PIL.Image
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from flan_jax.evaluation import plots
from flan_jax.evaluation.statistics import Estimate
from tests.evaluation import judged

WIDTH, HEIGHT = 1152, 672  # 7.2 x 4.2 inches at 160 dots


def _pixels(path) -> np.ndarray:
  with PIL.Image.open(path) as image:
    assert image.format == 'PNG'
    return np.asarray(image.convert('RGB')).astype(int)


def _near(pixels: np.ndarray, color: str) -> np.ndarray:
  return np.abs(pixels - np.round(255 * np.array(to_rgb(color)))).max(axis=-1) <= 2


def _in_plot(pixels: np.ndarray, color: str, legend_rows: int = 1) -> np.ndarray:
  """Where a colour is, but for the legend at the foot."""
  found = _near(pixels, color)
  found[HEIGHT - 10 - 36 * legend_rows :] = False
  return found


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
  rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
  return rows[0], rows[-1], columns[0], columns[-1]


def _estimate(value: float) -> Estimate:
  return Estimate(value, value - 4.0, value + 4.0, 100)


def test_bars_are_as_high_as_their_values(tmp_path):
  series = {'model': [Estimate(80.0, None, None, 9), Estimate(40.0, None, None, 9)]}
  path = plots.grouped_bars(tmp_path / 'deep' / 'bars.png', ['nli', 'qa'], series)
  pixels = _pixels(path)
  assert pixels.shape == (HEIGHT, WIDTH, 3)
  blue = _near(pixels, plots.COLORS[0])
  heights = blue.sum(axis=0)
  left, right = heights[: WIDTH // 2].max(), heights[WIDTH // 2 :].max()
  assert left / right == pytest.approx(2.0, abs=0.02)
  assert 0.5 < left / HEIGHT < 0.8


def test_each_series_has_a_colour_of_its_own_and_a_missing_value_has_no_bar(tmp_path):
  series = {'one': [_estimate(60.0), _estimate(50.0)], 'two': [_estimate(60.0), None]}
  pixels = _pixels(plots.grouped_bars(tmp_path / 'bars.png', ['a', 'b'], series, title='Held out', ylabel='percent'))
  first, second = (_in_plot(pixels, color) for color in plots.COLORS[:2])
  middle = WIDTH // 2 + 40  # between the groups: the axis labels take the first inches
  assert first[:, :middle].any() and first[:, middle:].any()
  assert second[:, :middle].any() and not second[:, middle:].any()
  assert not _in_plot(pixels, plots.COLORS[2]).any()


def test_colours_are_told_apart_by_colour_blind_readers():
  """Every two colours differ in what red-green blindness leaves: lightness and the blue-yellow direction."""
  linear = [np.array(to_rgb(color)) ** 2.2 for color in plots.COLORS]
  # Deuteranopia after Vienot, Brettel and Mollon (1999).
  seen = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
  blind = [(seen @ color).clip(0, 1) ** (1 / 2.2) for color in linear]
  for place, one in enumerate(blind):
    for other in blind[place + 1 :]:
      assert np.abs(one - other).max() > 0.15  # red and green are 0.14 apart, red and olive 0.07


def test_chance_is_a_dashed_line_across_its_group_only(tmp_path):
  series = {'model': [_estimate(90.0), _estimate(90.0)]}
  plain = _pixels(plots.grouped_bars(tmp_path / 'a.png', ['a', 'b'], series, chance=[None, None]))
  marked = _pixels(plots.grouped_bars(tmp_path / 'b.png', ['a', 'b'], series, chance=[30.0, None]))
  bar = _in_plot(marked, plots.COLORS[0])
  top, bottom, *_ = _box(bar)
  level = bottom - round((bottom - top) * 30 / 90)
  ink = _near(marked[level - 3 : level + 4], '#222222').any(axis=0)
  edges = np.flatnonzero(np.diff(ink.astype(int)))
  assert len(edges) > 10  # dashes
  assert edges.max() < WIDTH // 2 + 40  # the second group has no chance level
  assert not _near(plain[level - 3 : level + 4], '#222222').any()


def test_negative_scores_hang_below_nought(tmp_path):
  series = {'model': [Estimate(-30.0, -45.0, -15.0, 9), Estimate(60.0, 50.0, 70.0, 9)]}
  pixels = _pixels(plots.grouped_bars(tmp_path / 'bars.png', ['a', 'b'], series, ylabel='Matthews correlation'))
  blue = _in_plot(pixels, plots.COLORS[0])
  below, above = _box(blue[:, : WIDTH // 2]), _box(blue[:, WIDTH // 2 :])
  assert below[0] == pytest.approx(above[1], abs=4)  # they meet at nought
  assert (above[1] - above[0]) / (below[1] - below[0]) == pytest.approx(2.0, abs=0.05)


def test_many_groups_make_a_wider_picture(tmp_path):
  groups = [f'cluster_{place}' for place in range(8)]
  series = {f'model {place}': [_estimate(50.0)] * 8 for place in range(3)}
  wide = _pixels(plots.grouped_bars(tmp_path / 'wide.png', groups, series))
  assert wide.shape == (HEIGHT, round(0.42 * 8 * 4 * 160), 3)
  many = {f'model {place}': [_estimate(50.0)] * 8 for place in range(9)}
  assert _pixels(plots.grouped_bars(tmp_path / 'widest.png', groups, many)).shape == (HEIGHT, 16 * 160, 3)


def test_cluster_bars_draw_every_cluster_of_every_model(tmp_path):
  evaluations = judged.evaluations()
  pixels = _pixels(plots.cluster_bars(tmp_path / 'clusters.png', evaluations, title='Held out'))
  boxes = [_box(_in_plot(pixels, color, 2)) for color in plots.COLORS[:4]]
  lefts, rights = [box[2] for box in boxes], [box[3] for box in boxes]
  assert lefts == sorted(lefts) and rights == sorted(rights)
  assert all(right - left > WIDTH // 3 for left, right in zip(lefts, rights, strict=True))  # a bar in either cluster
  alone = dataclasses.replace(evaluations[1], clusters=evaluations[1].clusters[:1])
  pixels = _pixels(plots.cluster_bars(tmp_path / 'some.png', [evaluations[0], alone]))
  assert _box(_in_plot(pixels, plots.COLORS[1]))[3] < WIDTH // 2 + 60


def _paired(tmp_path, *halves):
  models = [
    dataclasses.replace(judged.evaluation('untuned'), model=f'model {place}', paired=[judged.paired('nli', *pair)])
    for place, pair in enumerate(halves)
  ]
  return _pixels(plots.paired_bars(tmp_path / 'paired.png', models, title='Held out: nli'))


def test_paired_bars_tell_a_deaf_model_from_a_guessing_one(tmp_path):
  pixels = _paired(tmp_path, (96.0, 4.0), (50.0, 50.0))
  for color, halves in zip(plots.COLORS, [(96.0, 4.0), (50.0, 50.0)], strict=False):
    top, bottom, left, right = _box(_in_plot(pixels, color, 2))
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    scale, column = (bottom - top) / 50.0, left + round((right - left) * 0.695)  # marks stand right of the middle
    plain, opposite = (bottom - round(scale * value) for value in halves)
    ring = pixels[plain - 14 : plain + 15, column - 14 : column + 15]
    assert _near(ring, '#222222').sum() > 30
    assert _near(ring, '#FFFFFF').sum() > 30  # open: its inside is white even over a bar
    disc = pixels[opposite - 2 : opposite + 3, column - 2 : column + 3]
    assert _near(disc, '#222222').all()  # filled
  near = _paired(tmp_path, (52.0, 48.0), (50.0, 50.0))
  assert _near(pixels, '#222222').sum() > _near(near, '#222222').sum() + 200  # a line shows their distance


def test_paired_bars_name_both_halves_in_the_legend(tmp_path, monkeypatch):
  drawn = []
  monkeypatch.setattr(Figure, 'savefig', lambda figure, path, **options: drawn.append(figure))
  plots.paired_bars(tmp_path / 'paired.png', judged.evaluations())
  legend, = drawn[0].legends
  assert {text.get_text() for text in legend.get_texts()} == {*judged.HALVES, 'chance', 'plain', 'opposite'}
  axes, = drawn[0].axes
  assert [text.get_text() for text in axes.texts] == ['82', '90', '50', '50', '50', '51', '50', '50']
  assert [label.get_text() for label in axes.get_xticklabels()] == ['quickstart\nparaphrase', 'quickstart\ninference']


def test_curves_rise_where_their_values_do(tmp_path):
  rising = [(1.0, _estimate(20.0)), (2.0, _estimate(50.0)), (4.0, _estimate(80.0))]
  flat = [(1.0, _estimate(35.0)), (4.0, _estimate(35.0))]
  path = plots.curves(
    tmp_path / 'curves.png', {'tuned': rising, 'contrast': flat}, chance=50.0, title='Clusters', xlabel='clusters'
  )
  pixels = _pixels(path)
  assert pixels.shape == (HEIGHT, WIDTH, 3)
  line = _in_plot(pixels, plots.COLORS[0])
  *_, left, right = _box(line)
  heights = [np.flatnonzero(line[:, column]).mean() for column in (left + 5, (left + right) // 2, right - 5)]
  assert heights[0] > heights[1] > heights[2]  # rows count from the top
  other = _in_plot(pixels, plots.COLORS[1])
  assert np.ptp(np.flatnonzero(other.any(axis=1))) < 30


def test_a_curve_has_a_band_where_it_has_intervals(tmp_path):
  bare = [(x, Estimate(50.0, None, None, 9)) for x in (1.0, 2.0)]
  banded = [(x, Estimate(50.0, 30.0, 70.0, 9)) for x in (1.0, 2.0)]
  colored = []
  for name, points in (('bare', bare), ('banded', banded)):
    pixels = _pixels(plots.curves(tmp_path / f'{name}.png', {'model': points}))
    colored.append((np.ptp(pixels, axis=-1) > 20).sum())  # no shade of grey
  assert colored[1] > 10 * colored[0]


def test_the_same_values_make_the_same_picture(tmp_path):
  one, two = (plots.paired_bars(tmp_path / name, judged.evaluations()) for name in ('one.png', 'two.png'))
  assert one.read_bytes() == two.read_bytes()
  drawn = one.with_suffix('.svg').read_bytes()
  plots.paired_bars(one, judged.evaluations())
  assert one.with_suffix('.svg').read_bytes() == drawn
  for label in (b'instruction-tuned', b'paraphrase', b'mean of plain and opposite (%)'):
    assert b'>' + label + b'</text>' in drawn, 'text is text'


@pytest.mark.parametrize(('groups', 'series', 'options'), [
  ([], {'m': []}, {}),
  (['a'], {}, {}),
  (['a'], {'m': [_estimate(1.0), _estimate(2.0)]}, {}),
  (['a'], {'m': [_estimate(1.0)]}, {'chance': [50.0, 50.0]}),
  (['a'], {'m': [_estimate(1.0)]}, {'marks': {'plain': {'m': [1.0, 2.0]}}}),
])  # fmt: skip
def test_groups_and_values_must_match(tmp_path, groups, series, options):
  with pytest.raises(ValueError, match='groups need at least one series'):
    plots.grouped_bars(tmp_path / 'x.png', groups, series, **options)
  assert not (tmp_path / 'x.png').exists()


def test_marks_must_be_of_the_series_that_are_drawn(tmp_path):
  bars = {'m': [_estimate(50.0)]}
  with pytest.raises(ValueError, match=r"each with the series \['m'\]"):
    plots.grouped_bars(tmp_path / 'x.png', ['a'], bars, marks={'plain': {'other': [1.0]}})
  with pytest.raises(ValueError, match='at most 2 kinds'):
    plots.grouped_bars(tmp_path / 'x.png', ['a'], bars, marks={kind: {'m': [1.0]} for kind in ('x', 'y', 'z')})


def test_what_is_no_number_is_not_drawn(tmp_path):
  with pytest.raises(ValueError, match='it is not a number'):
    plots.grouped_bars(tmp_path / 'x.png', ['a'], {'m': [Estimate(float('nan'), None, None, 3)]})
  with pytest.raises(ValueError, match='it is not a number'):
    plots.curves(tmp_path / 'x.png', {'m': [(1.0, Estimate(50.0, 40.0, float('inf'), 3))]})
  with pytest.raises(ValueError, match='no bar to draw'):
    plots.grouped_bars(tmp_path / 'x.png', ['a'], {'m': [None]})
  assert not (tmp_path / 'x.png').exists()


@pytest.mark.parametrize('series', [{}, {'m': []}, {'m': [(1.0, _estimate(1.0))], 'n': []}])
def test_curves_without_points_are_an_error(tmp_path, series):
  with pytest.raises(ValueError, match='at least one point in each series'):
    plots.curves(tmp_path / 'x.png', series)


def test_an_axis_by_factors_spreads_sizes_evenly(tmp_path):
  points = {'m': [(x, Estimate(50.0, None, None, 9)) for x in (1e6, 1e7, 1e8)]}
  pixels = _pixels(plots.curves(tmp_path / 'log.png', points, log=True))
  line = _in_plot(pixels, plots.COLORS[0])
  tall = np.flatnonzero(line.sum(axis=0) > 8)  # markers
  groups = np.split(tall, np.flatnonzero(np.diff(tall) > 20) + 1)
  one, two, three = (group.mean() for group in groups)
  assert two - one == pytest.approx(three - two, abs=2)
