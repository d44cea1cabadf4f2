"""What did not fit: a prompt that is cut loses its end, and with solved examples before it that is the question."""

from flan_jax.evaluation.results import Evaluation


def lines(evaluation: Evaluation) -> list[str]:
  """Returns a line for each dataset with rows whose prompt or target was cut; none where all fitted."""
  asked: dict[str, list[int]] = {}
  for result in evaluation.templates:
    counts = asked.setdefault(result.dataset, [0, 0])
    counts[0] += result.rows
    counts[1] += result.truncated
  return [f'{dataset}: of {rows:,} questions {cut:,} were cut to TASK_FEATURE_LENGTHS; greater lengths keep them whole'
          for dataset, (rows, cut) in asked.items() if cut]  # fmt: skip
