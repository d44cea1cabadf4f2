import dataclasses

import numpy as np
import pytest

from flan_jax.evaluation import answers_kept, examples
from flan_jax.evaluation.predictions import Prediction, write_jsonl
from flan_jax.evaluation.protocol_run import Arm
from tests.evaluation import protocol_folder


def prediction(row, credit, scores=(0.0, -1.0), **more) -> Prediction:
  return Prediction(row_id=row, task='t', dataset='d', cluster='c', template=0, inputs=f'prompt {row}', answer='yes',
                    references=['yes'], prediction='no', credit=credit, options=['yes', 'no'], scores=list(scores),
                    answer_index=0, **more)  # fmt: skip


def test_shares_are_a_softmax_whatever_the_scale():
  assert answers_kept.shares([-1000.0, -1000.0 + np.log(3)]) == pytest.approx([0.25, 0.75])


def test_every_answer_is_counted_and_few_are_kept(tmp_path):
  credits = [1.0] * 50 + [0.0] * 30 + [0.5] * 7 + [None] * 2
  made = [prediction(f'r{place}', credit) for place, credit in enumerate(credits)]
  found = answers_kept.read(write_jsonl(tmp_path / 'x.jsonl', made), limit=4)
  assert found.counts == {'right': 50, 'wrong': 30, 'partly': 7, 'unjudged': 2}
  assert found.credits == {one.row_id: one.credit for one in made if one.credit is not None}
  kinds = [pick.verdict for pick in found.picks if not pick.sure]
  assert [kinds.count(kind) for kind in ('right', 'partly', 'unjudged')] == [4, 4, 2] and kinds.count('wrong') <= 4
  assert sum(pick.sure for pick in found.picks) == 4
  assert len({pick.prediction.row_id for pick in found.picks}) == len(found.picks)


def test_the_surest_wrong_answers_are_kept_the_surest_first():
  margins = np.random.default_rng(0).permutation(40)
  made = [prediction(f'r{margin}', 0.0, (0.0, float(margin))) for margin in margins]
  found = answers_kept.collect(made, limit=3)
  assert [pick.prediction.row_id for pick in found.picks if pick.sure] == ['r39', 'r38', 'r37']


def test_models_are_shown_on_the_same_questions():
  rows = [f'r{place}' for place in range(60)]
  one, two = (answers_kept.collect([prediction(row, 1.0) for row in order], limit=6) for order in (rows, rows[::-1]))
  kept = [{pick.prediction.row_id for pick in found.picks} for found in (one, two)]
  assert kept[0] == kept[1] != set(rows[:6])


def arm(limit=20, **options) -> Arm:
  found = protocol_folder.evaluation('nli', 'tuned', **options)
  kept = {result.task: answers_kept.collect(result.predictions, limit) for result in found.templates}
  return Arm('nli', 'tuned', found, kept, {task: f'predictions/{task}' for task in kept})


def test_a_page_is_filled_evenly_and_never_beyond_its_size():
  whole = examples.browse([arm()])
  assert len(whole['examples']) == sum(len(found.picks) for found in arm().answers.values())
  part = examples.browse([arm()], size=12_000)
  assert 0 < len(str(part['examples'])) < 16_000
  right = [sum(one['group'] == group and one['verdict'] == 'right' for one in part['examples'])
           for group in range(len(part['groups']))]  # fmt: skip
  assert max(right) - min(right) <= 1 and min(right) > 0
  assert [sum(group['counts'].values()) for group in part['groups']] == [60] * 6, 'counts are of all answers'


def test_a_long_prompt_says_what_is_left_out_of_it():
  made = arm(templates=1, count=1)
  task, found = next(iter(made.answers.items()))
  text = 'a' * 2000 + 'b' * 3000
  pick = dataclasses.replace(found.picks[0], prediction=dataclasses.replace(found.picks[0].prediction, inputs=text))
  made = dataclasses.replace(made, answers={task: dataclasses.replace(found, picks=[pick])})
  (begin, left_out, end), = examples.browse([made])['prompts']
  assert begin == text[: len(begin)] and end == text[-len(end) :]
  assert len(begin) + left_out + len(end) == len(text)


def test_a_prompt_is_written_once_for_all_arms():
  found = examples.browse([arm(), dataclasses.replace(arm(), name='again')])
  assert len({text for text, in found['prompts']}) == len(found['prompts'])
  assert len(found['prompts']) * 2 == len(found['examples'])
