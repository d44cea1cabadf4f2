"""The program of docs/adapters.md."""

import pathlib
import re

import numpy as np
import pytest

PAGE = pathlib.Path(__file__).parents[2] / 'docs' / 'adapters.md'


@pytest.mark.slow
def test_the_snippets_of_the_page_run_and_leave_the_base(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  names: dict = {}
  for snippet in re.findall(r'```python\n(.*?)```', PAGE.read_text(), re.DOTALL):
    exec(compile(snippet, str(PAGE), 'exec'), names)
  assert names['adapters'].names == ('nli', 'qa', 'both', 'small', 'unlearned', 'ties', 'dare')
  assert (tmp_path / 'both' / 'adapter.safetensors').exists()
  assert len(names['texts']) == len(names['scores']) == 2
  states = names['encoded'].states
  assert not np.allclose(states[0], states[1]) and not np.allclose(states[0], states[2])
