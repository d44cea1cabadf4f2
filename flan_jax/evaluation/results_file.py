"""`results.json` and `predictions/`: evaluations written down and read back."""

import dataclasses
import datetime
import json
import os
import pathlib
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from flan_jax.errors import UserError
from flan_jax.evaluation.predictions import read_jsonl, write_jsonl
from flan_jax.evaluation.results import (
  Chosen,
  ClusterResult,
  DatasetResult,
  Evaluation,
  Origin,
  PairedResult,
  Point,
  TemplateResult,
)
from flan_jax.evaluation.statistics import Estimate
from flan_jax.versions import package_versions

FORMAT = 2


@dataclasses.dataclass(frozen=True)
class Record:
  """A whole `results.json`.

  Attributes:
    created: when it was written, ISO 8601.
    command: the process's arguments.
    config: what says how the numbers came about; the held-out protocol puts the operative gin text under 'gin'.
    versions: of the packages.
    evaluations: without their predictions, which `with_predictions` reads.
  """

  created: str
  command: list[str]
  config: dict[str, Any]
  versions: dict[str, str]
  evaluations: list[Evaluation]


def write_results(
  path: str | pathlib.Path, evaluations: Sequence[Evaluation], config: Mapping[str, Any] | None = None
) -> pathlib.Path:
  """Writes `results.json`: all numbers, the configuration, the command and the package versions.

  Args:
    path: the file; its folder is made where it is missing. An old one is replaced in one move.
    evaluations: one for each model and way of prompting.
    config: anything JSON that says how the numbers came about.

  Returns:
    The path.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  record = {
    'format': FORMAT,
    'created': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
    'command': sys.argv,
    'config': dict(config or {}),
    'versions': package_versions(),
    'evaluations': [_to_json(evaluation) for evaluation in evaluations],
  }
  partial = path.with_name(f'{path.name}.{os.getpid()}.partial')
  partial.write_text(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + '\n', encoding='utf-8')
  partial.replace(path)
  return path


def read_results(path: str | pathlib.Path) -> list[Evaluation]:
  """Reads the evaluations of a `results.json`; see `read_record`."""
  return read_record(path).evaluations


def read_record(path: str | pathlib.Path) -> Record:
  """Reads a `results.json`; predictions are files of their own and stay empty.

  Raises:
    UserError: where the file is missing, or is not one of ours.
  """
  try:
    record = json.loads(pathlib.Path(path).read_text(encoding='utf-8'))
    if record['format'] != FORMAT:
      raise UserError(f'{str(path)!r} has results of format {record["format"]}; this version reads format {FORMAT}.')
    evaluations = [_from_json(evaluation) for evaluation in record['evaluations']]
    return Record(record['created'], record['command'], record['config'], record['versions'], evaluations)
  except OSError as error:
    raise UserError(f'Cannot read results from {str(path)!r}: {error.strerror}.') from error
  except (ValueError, KeyError, TypeError) as error:
    raise UserError(f'{str(path)!r} is not a results file written by flan_jax.') from error


def write_predictions(folder: str | pathlib.Path, evaluation: Evaluation) -> list[pathlib.Path]:
  """Writes a JSONL file for every task that was answered; returns the paths.

  They lie at `<folder>/<model>/<task>.<split>.jsonl`, in the held-out protocol at
  `<folder>/<held-out cluster>/<arm>/<task>.<split>.jsonl`.
  """
  return [
    write_jsonl(predictions_file(folder, evaluation, result), result.predictions)
    for result in evaluation.templates
    if result.predictions
  ]


def with_predictions(folder: str | pathlib.Path, evaluation: Evaluation) -> Evaluation:
  """Returns an evaluation with the predictions that `write_predictions` put into a folder.

  Raises:
    UserError: where one of the files is missing or is not ours.
  """
  templates = [
    dataclasses.replace(result, predictions=read_jsonl(predictions_file(folder, evaluation, result)))
    if result.method != 'excluded' else result
    for result in evaluation.templates
  ]  # fmt: skip
  return dataclasses.replace(evaluation, templates=templates)


def predictions_file(folder: str | pathlib.Path, evaluation: Evaluation, result: TemplateResult) -> pathlib.Path:
  """Returns where `write_predictions` puts the answers to a task."""
  origin = evaluation.origin
  places = [evaluation.model] if origin is None else [origin.held_out, origin.arm]
  return pathlib.Path(folder, *map(_slug, places), f'{_slug(result.task)}.{_slug(result.split)}.jsonl')


def _slug(name: str) -> str:
  return re.sub(r'[^A-Za-z0-9_.-]+', '_', name).strip('_.')


def _to_json(evaluation: Evaluation) -> dict[str, Any]:
  # Estimates are written with their names: asdict alone would make them bare lists of four numbers.
  record = dataclasses.asdict(dataclasses.replace(evaluation, templates=[
    dataclasses.replace(result, predictions=[]) for result in evaluation.templates
  ]))  # fmt: skip
  for result in record['templates']:
    del result['predictions']
  return _name_estimates(record)


def _name_estimates(value: Any) -> Any:
  if isinstance(value, Estimate):
    return value._asdict()
  if isinstance(value, dict):
    return {key: _name_estimates(item) for key, item in value.items()}
  return [_name_estimates(item) for item in value] if isinstance(value, list | tuple) else value


def _from_json(record: Mapping[str, Any]) -> Evaluation:
  templates = [
    TemplateResult(**{**item, 'metrics': {name: Estimate(**value) for name, value in item['metrics'].items()}})
    for item in record['templates']
  ]
  datasets = [
    DatasetResult(**{**item, 'mean': Estimate(**item['mean']), 'chosen': _chosen(item['chosen'])})
    for item in record['datasets']
  ]
  clusters = [ClusterResult(**{**item, 'mean': Estimate(**item['mean'])}) for item in record['clusters']]
  intervals = ('interval', 'plain_interval', 'opposite_interval')
  paired = [PairedResult(**{**item, **{name: tuple(item[name]) for name in intervals}}) for item in record['paired']]
  origin = record['origin'] and Origin(**{
    **record['origin'], 'point': record['origin']['point'] and Point(**record['origin']['point'])
  })  # fmt: skip
  return Evaluation(record['model'], record['checkpoint'], templates, datasets, clusters, paired, origin)


def _chosen(record: Mapping[str, Any] | None) -> Chosen | None:
  return record and Chosen(**{**record, 'score': Estimate(**record['score'])})  # type: ignore[return-value]
