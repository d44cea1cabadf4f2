"""What a text that reasons answers in the end: its last number, or what it says the answer is.

Who thinks aloud is right where its conclusion is, whatever it wrote before (chain of thought, Wei et al. 2022).
"""

import decimal
import re

# Thousands may be set off by commas. A minus is a sign where no number, word or bracket ends before it: not in "10-5".
_NUMBER = re.compile(r'(?:(?<![\w.)])-)?\$?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<!\w)\.\d+)')
_STATED = re.compile(r'\bthe answer is:?\s*(.*)', re.IGNORECASE)


def final_number(text: str) -> decimal.Decimal | None:
  """Returns the last number of a text; None where it has none."""
  found = _NUMBER.findall(text)
  return decimal.Decimal(found[-1].replace('$', '').replace(',', '')) if found else None


def same_number(target: str, prediction: str) -> float:
  """Returns 1 where two texts end in the same number (18, $18 and 18.00 are the same), else 0.

  A target without a number has to be met word for word: a text that has none either is not right for that.
  """
  expected = final_number(target)
  if expected is None:
    return float(prediction.strip() == target.strip())
  return float(final_number(prediction) == expected)


def stated_answer(text: str) -> str:
  """Returns what follows "the answer is" on its line, without a full stop; the whole text where it says so nowhere.

  The first time counts: after solved examples, a model may go on to a question that it makes up, and answer that.
  """
  found = _STATED.search(text)
  return (found[1] if found else text).strip().removesuffix('.').rstrip()


def same_statement(target: str, prediction: str) -> float:
  """Returns 1 where a text states the answer exactly as the target reads, else 0."""
  return float(stated_answer(prediction) == target.strip())
