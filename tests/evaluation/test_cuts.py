"""Questions that did not fit are told by dataset, over all templates; nothing is said where all fitted."""

import dataclasses

from flan_jax.evaluation import cuts
from tests.evaluation import judged


def test_cut_questions_are_counted_by_dataset():
  whole = judged.evaluation('trained without instructions')
  assert cuts.lines(whole) == []
  dataset = whole.templates[0].dataset
  mine = [template for template in whole.templates if template.dataset == dataset]
  cut = [dataclasses.replace(template, truncated=2) if template.dataset == dataset else template
         for template in whole.templates]  # fmt: skip
  (line,) = cuts.lines(dataclasses.replace(whole, templates=cut))
  asked, found = sum(template.rows for template in mine), 2 * len(mine)
  assert line.startswith(f'{dataset}: of {asked:,} questions {found:,} were cut to TASK_FEATURE_LENGTHS')
