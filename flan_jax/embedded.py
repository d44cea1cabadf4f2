"""Data inside a page: JSON that no text of a row can break out of."""

import json
from typing import Any


def embedded(data: Any) -> str:
  """Returns data as JSON that may stand inside a script element: nothing in it can end the element."""
  text = json.dumps(data, ensure_ascii=False, separators=(',', ':'))
  for character in '<>&\u2028\u2029':
    text = text.replace(character, f'\\u{ord(character):04x}')
  return text
