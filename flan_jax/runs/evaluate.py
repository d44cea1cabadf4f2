"""Evaluation of one checkpoint: every template of every task named, averages, tables, a picture and a report."""

from collections.abc import Mapping, Sequence

import rich
import seqio

from flan_jax.evaluation import cuts, plots, protocol, report, results_file, tables
from flan_jax.evaluation.rank import Normalization
from flan_jax.evaluation.results import Evaluation
from flan_jax.models import T5Config
from flan_jax.runs import parts
from flan_jax.runs.judge import Judge, Questions, folder_for
from flan_jax.training import initial


def evaluate(
  *,
  checkpoint_path: str,
  adapter_path: str | None = None,
  force_adapter: bool = False,
  eval_output_dir: str,
  mixture_or_task_name: str | Sequence[str],
  model: T5Config,
  vocabulary: seqio.Vocabulary,
  mixture_or_task_module: str | Sequence[str] = parts.TASK_MODULES,
  task_feature_lengths: Mapping[str, int] | None = None,
  split: str = 'test',
  examples: int | None = None,
  method: protocol.Method = 'auto',
  normalization: Normalization = 'none',
  batch_size: int = 64,
  max_decode_len: int = 64,
  skip_unavailable: bool = False,
  random_seed: int = 0,
  config_text: str = '',
  dry_run: bool = False,
) -> Evaluation | None:
  """Scores a checkpoint by rank classification where rows have options, by generation elsewhere.

  Args:
    checkpoint_path: see `initial.open_weights`.
    adapter_path: an adapter to put on that model.
    force_adapter: put it on a base that it was not trained on, too.
    eval_output_dir: gets results.json, predictions/, clusters.png and report.html.
    mixture_or_task_name: a task, a dataset, a mixture, or several; a dataset means all its answerable templates.
    model: the network.
    vocabulary: of the model.
    mixture_or_task_module: modules that register tasks.
    task_feature_lengths: token limits; None cuts nothing.
    split: which rows.
    examples: at most this many rows of each task.
    method: 'auto', 'rank' or 'generate'.
    normalization: of the options' log-likelihoods, see `rank`.
    batch_size: rows at once.
    max_decode_len: tokens that generation may write.
    skip_unavailable: leave out tasks without rows on disk, a line for each dataset, rather than fetch them or stop.
    random_seed: of template draws and of the bootstrap.
    config_text: the operative configuration, for the report.
    dry_run: read the checkpoint and the rows, score nothing.

  Returns:
    The evaluation; None for a dry run.
  """
  parts.use_tasks(mixture_or_task_module)
  make_model = parts.model_maker(model, vocabulary)
  named = [mixture_or_task_name] if isinstance(mixture_or_task_name, str) else mixture_or_task_name
  tasks = [task for name in named for task in parts.evaluation_tasks(name)]
  if skip_unavailable:
    tasks, left_out = parts.on_disk(tasks, split)
    for line in left_out:
      print(line)
  parts.check_split(tasks, split)
  network = initial.restore_model(checkpoint_path, make_model, adapter_path, force_adapter=force_adapter)
  asked = Questions(split=split, examples=examples, lengths=task_feature_lengths, batch_size=batch_size, method=method,
                    normalization=normalization, max_decode_len=max_decode_len, seed=random_seed)
  if dry_run:
    list(parts.read_tasks(tasks, split, 1, task_feature_lengths, random_seed))
    return None
  folder = folder_for(eval_output_dir)
  evaluation = Judge(asked).evaluate(network, tasks, 'model', str(checkpoint_path))
  results_file.write_results(folder / 'results.json', [evaluation])
  results_file.write_predictions(folder / 'predictions', evaluation)
  picture = plots.cluster_bars(folder / 'clusters.png', [evaluation], title=f'{split} accuracy by cluster')
  shown = [tables.cluster_table([evaluation]), tables.dataset_table([evaluation]), tables.template_table(evaluation)]
  by_metric = tables.metric_table([evaluation])
  if by_metric.rows:
    shown.insert(2, by_metric)
  report.write_report(folder / 'report.html', f'Evaluation of {checkpoint_path}', [
    report.Section('Results', images=[(picture, 'Means over templates and datasets, 95 % intervals.')], tables=shown),
    report.Section('Configuration', code=config_text),
  ])  # fmt: skip
  for table in shown[:-1]:
    rich.print(table.to_rich())
  for line in cuts.lines(evaluation):
    print(line)
  return evaluation
