"""Results as a run makes them, for tables, plots and reports: four models, a plain and an opposite task each of two."""

import dataclasses

from flan_jax.evaluation.results import (
  Chosen,
  ClusterResult,
  DatasetResult,
  Evaluation,
  PairedResult,
  TemplateResult,
)
from flan_jax.evaluation.seeds import OverSeeds
from flan_jax.evaluation.statistics import Estimate

# The plain and the opposite half of paraphrase and of inference, as each model answers them.
HALVES = {
  'instruction-tuned': [(84.3, 79.1), (91.2, 88.4)],
  'same weights, instruction removed': [(96.2, 3.8), (52.7, 47.1)],
  'trained without instructions': [(97.6, 2.4), (71.9, 29.3)],
  'untuned': [(50.0, 50.0), (51.4, 48.9)],
}
CLUSTERS = ('paraphrase', 'inference')


def paired(task: str, plain: float, opposite: float, *, n: int = 300, half_width: float = 2.2) -> PairedResult:
  mean = (plain + opposite) / 2
  return PairedResult(
    dataset=f'quickstart_{task}', opposite_dataset=f'quickstart_{task}_opposite', cluster=task, split='test', mean=mean,
    interval=(mean - half_width, mean + half_width), plain=plain, plain_interval=(plain - 3, plain + 3),
    opposite=opposite, opposite_interval=(opposite - 3, opposite + 3), both=min(plain, opposite), n=n, unpaired=0,
    chance=50.0, seed=0,
  )  # fmt: skip


def dataset(name: str, value: float, *, spread: float = 1.4, unanswerable: int = 0, excluded=()) -> DatasetResult:
  by_template = {f'{name}.template_{place}': value + spread * (place - 1) for place in range(3)}
  return DatasetResult(
    dataset=name, cluster=name.split('_')[1], split='test', metric='accuracy',
    mean=Estimate(value, value - 2.6, value + 2.3, 300), std=spread, best=value + spread, worst=value - spread,
    metrics={'accuracy': value}, by_template=by_template, chance=50.0, majority=51.7, unanswerable=unanswerable,
    excluded=list(excluded), seed=0,
  )  # fmt: skip


def template(task: str, value: float | None, **counts) -> TemplateResult:
  """A task that scored a value, or one that was left out as inverted."""
  score = Estimate(value or 0.0, (value or 0.0) - 4.5, (value or 0.0) + 4.1, 300)
  measured = {'metric': 'accuracy', 'metrics': {'accuracy': score}}
  left_out = {'metric': '', 'metrics': {}}
  return TemplateResult(
    task=task, dataset=task.split('.')[0], cluster='paraphrase', template=0, split='test',
    method='excluded' if value is None else 'rank', chance=None if value is None else 50.0,
    majority=None if value is None else 51.7, rows=0 if value is None else 300,
    **(left_out if value is None else measured), **counts,
  )  # fmt: skip


def evaluation(model: str) -> Evaluation:
  pairs = [paired(task, *halves) for task, halves in zip(CLUSTERS, HALVES[model], strict=True)]
  datasets = [
    dataset(name, value, spread=1.0 + value / 50)
    for pair in pairs
    for name, value in [(pair.dataset, pair.plain), (pair.opposite_dataset, pair.opposite)]
  ]
  clusters = [
    ClusterResult(pair.cluster, 'test', Estimate(pair.mean, *pair.interval, 600), 50.0,
                  {pair.dataset: pair.plain, pair.opposite_dataset: pair.opposite}, 'accuracy', 0)
    for pair in pairs
  ]  # fmt: skip
  templates = [template(f'{result.dataset}.template_{place}', result.mean.value, unanswerable=place)
               for result in datasets for place in range(2)]  # fmt: skip
  return Evaluation(model, f'runs/{model}', templates, datasets, clusters, pairs)


def evaluations() -> list[Evaluation]:
  return [evaluation(model) for model in HALVES]


def several_metrics() -> list[Evaluation]:
  """A model of which one dataset is measured by two metrics."""
  tuned = evaluation('instruction-tuned')
  first, *others = tuned.datasets
  first = dataclasses.replace(first, metrics={'accuracy': first.mean.value, 'binary_f1': 71.04})
  return [dataclasses.replace(tuned, datasets=[first, *others])]


def chosen() -> list[Evaluation]:
  """A model for which a template was chosen for one dataset."""
  tuned = evaluation('instruction-tuned')
  first, *others = tuned.datasets
  best = Chosen(f'{first.dataset}.template_2', 'validation', 88.0, Estimate(83.04, 80.1, 86.2, 300))
  return [dataclasses.replace(tuned, datasets=[dataclasses.replace(first, chosen=best), *others])]


def over_seeds() -> list[OverSeeds]:
  """A dataset and its cluster over three runs."""
  return [
    OverSeeds('tuned', 'paraphrase', level, name, 'test', 'accuracy', {0: 80.0, 1: 84.0, 2: 91.0},
              Estimate(85.0, 79.6, 91.3, 300), 5.57, 80.0, 91.0)
    for level, name in (('dataset', 'quickstart_paraphrase'), ('cluster', 'paraphrase'))
  ]  # fmt: skip
