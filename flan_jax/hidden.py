"""Optional packages of other packages, kept from being imported where nobody needs them: they slow a start."""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def hidden(*packages: str) -> Iterator[None]:
  """Lets imports of packages fail, as if they were not installed; those that are imported already stay.

  Only for what the importing side declares optional. Afterwards they can be imported as ever.
  """
  absent = [name for name in packages if name not in sys.modules]
  sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None is how Python marks what must not be found
  try:
    yield
  finally:
    for name in absent:
      sys.modules.pop(name, None)
