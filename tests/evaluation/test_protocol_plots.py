import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from flan_jax.evaluation import drawing, protocol_plots
from flan_jax.evaluation.protocol_run import Arm
from flan_jax.evaluation.run_logs import Learning
from flan_jax.evaluation.statistics import Estimate
from tests.evaluation import protocol_folder


@pytest.fixture
def drawn(monkeypatch):
  """The axes that are saved."""
  saved = []
  monkeypatch.setattr(Figure, 'savefig', lambda figure, path, **options: saved.append(figure.axes[0]))
  return saved


def lines(axes, marker):
  return [line for line in axes.lines if line.get_marker() == marker and len(line.get_xdata())]


def test_every_template_is_a_dot_in_the_row_of_its_dataset_and_arm(tmp_path, drawn):
  arms = [Arm('nli', name, protocol_folder.evaluation('nli', name, count=20), {}, {}) for name in ('tuned', 'untuned')]
  protocol_plots.template_spread(tmp_path / 'x.png', arms, 'Held out: nli')
  axes = drawn[0]
  assert [label.get_text() for label in axes.get_yticklabels()] == ['rte', 'tuned', 'untuned', 'cb', 'tuned', 'untuned']
  expected = [(row, arm.evaluation.datasets[place]) for place, rows in enumerate([(1, 2), (4, 5)])
              for row, arm in zip(rows, arms, strict=True)]  # fmt: skip
  dots = lines(axes, 'o')
  assert [(line.get_ydata()[0], sorted(line.get_xdata())) for line in dots] == [
    (row, sorted(result.by_template.values())) for row, result in expected
  ]
  assert [to_hex(line.get_color()).upper() for line in dots] == [*drawing.COLORS[:2]] * 2
  assert [line.get_xdata()[0] for line in lines(axes, '|')] == [result.mean.value for _, result in expected]
  assert [line.get_xdata()[0] for line in lines(axes, 'D')] == [result.chosen.score.value for _, result in expected]
  dashed = [line for line in axes.lines if line.get_linestyle() == '--' and len(line.get_xdata())]
  assert [list(line.get_xdata()) for line in dashed] == [[50.0, 50.0]] * 4


def test_losses_of_held_back_rows_are_dashed(tmp_path, drawn):
  runs = {'tuned': Learning([(1.0, 3.0), (2.0, 2.0)], [(2.0, 2.5)], None), 'contrast': Learning([(1.0, 4.0)], [], 0.5)}
  protocol_plots.losses(tmp_path / 'x.png', runs)
  labelled = {line.get_label(): line for line in drawn[0].lines}
  assert set(labelled) == {'tuned', 'tuned, held back', 'contrast'}
  assert labelled['tuned'].get_color() == labelled['tuned, held back'].get_color() != labelled['contrast'].get_color()
  assert labelled['tuned, held back'].get_linestyle() == '--' and drawn[0].get_ylim()[0] == 0.0


def test_changes_have_their_intervals(tmp_path, drawn):
  rows = [('sst2', 'tuned', Estimate(-6.0, -9.0, -3.0, 9)), ('bleu', 'tuned', Estimate(2.0, None, None, 9))]
  protocol_plots.changes(tmp_path / 'x.png', rows, 'points')
  assert [line.get_xdata()[0] for line in lines(drawn[0], 'o')] == [-6.0, 2.0]
  assert [list(line.get_xdata()) for line in drawn[0].lines if line.get_linewidth() == 2.0] == [[-9.0, -3.0]]


@pytest.mark.parametrize('draw', [
  lambda path: protocol_plots.template_spread(path, []), lambda path: protocol_plots.losses(path, {}),
  lambda path: protocol_plots.changes(path, [], ''),
])  # fmt: skip
def test_nothing_to_draw_is_an_error(tmp_path, draw):
  with pytest.raises(ValueError, match='there is no'):
    draw(tmp_path / 'x.png')
  assert not (tmp_path / 'x.png').exists()


def test_the_last_change_of_each_task_is_drawn(tmp_path):
  found = protocol_plots.watched({'tuned': protocol_folder.watched(tmp_path)})
  assert [(task, series, change.value) for task, series, change in found] == [
    ('glue_sst2', 'tuned', -6.5), ('squad', 'tuned', pytest.approx(1.95))
  ]  # fmt: skip
