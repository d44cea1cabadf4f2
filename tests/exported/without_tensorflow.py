"""Runs a module as a program on a machine that seems to have no TensorFlow, SeqIO or TFDS.

  python tests/exported/without_tensorflow.py scripts.train --gin...
"""

import runpy
import sys
from typing import Any

GONE = ('tensorflow', 'tensorflow_text', 'tensorflow_datasets', 'tensorflow_metadata', 'seqio', 'clu', 't5', 'keras')


class Without:
  """A finder of modules that finds none of some packages."""

  def __init__(self, finder: Any):
    self._finder = finder

  def find_spec(self, name, *arguments, **options):
    """As the finder's."""
    return None if name.partition('.')[0] in GONE else self._finder.find_spec(name, *arguments, **options)

  def __getattr__(self, name):
    return getattr(self._finder, name)


def main() -> None:
  sys.path[0] = ''
  sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
  del sys.argv[0]
  try:
    runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)
  finally:
    loaded = {name.partition('.')[0] for name in sys.modules} & {*GONE}
    if loaded:
      sys.exit(f'{loaded} were imported all the same')


if __name__ == '__main__':
  main()
