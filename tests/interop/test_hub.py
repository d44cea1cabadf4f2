"""hf:// against a hub of our own on this machine: fetched once, pinned, read again without it; and what goes wrong."""

import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading

import pytest

from flan_jax.errors import UserError
from flan_jax.interop import hub
from flan_jax.interop.hf_folder import HuggingFaceWeights
from tests.interop.test_hf_folder import saved

pytest.importorskip('huggingface_hub')
REPOSITORY, COMMITS = 'acme/tiny-t5', {'main': 'a' * 40, 'v1': 'b' * 40}


class Hub(http.server.BaseHTTPRequestHandler):
  """Answers the few questions that a download asks; `folders` has the files of each commit, `asked` what it sent."""

  folders: dict
  asked: list

  def do_GET(self):
    kind, *rest = self.path.split('?')[0].strip('/').split('/')
    if kind == 'api':
      self._about(rest)
    else:
      self._file('/'.join([kind, rest[0]]), rest[2], '/'.join(rest[3:]))

  do_HEAD = do_GET

  def _about(self, parts):
    repository, (question, revision, *_) = '/'.join(parts[1:3]), parts[3:]
    commit = COMMITS.get(revision, revision)
    if repository != REPOSITORY:
      return self._send(404, b'{}', {'X-Error-Code': 'RepoNotFound'})
    if commit not in COMMITS.values():
      return self._send(404, b'{}', {'X-Error-Code': 'RevisionNotFound'})
    files = sorted(path for path in self.folders[commit].iterdir())
    if question == 'tree':
      listed = [{'type': 'file', 'path': f.name, 'size': f.stat().st_size, 'oid': f.name} for f in files]
      return self._send(200, json.dumps(listed).encode())
    about = {'id': REPOSITORY, 'modelId': REPOSITORY, 'sha': commit, 'private': False, 'tags': [], 'downloads': 0,
             'likes': 0, 'siblings': [{'rfilename': f.name} for f in files]}
    return self._send(200, json.dumps(about).encode())

  def _file(self, repository, revision, name):
    commit = COMMITS.get(revision, revision)
    path = self.folders[commit] / name if commit in self.folders else None
    if repository != REPOSITORY or path is None or not path.is_file():
      return self._send(404, b'', {'X-Error-Code': 'EntryNotFound'})
    if self.command == 'GET':
      self.asked.append(name)
    return self._send(200, path.read_bytes(), {'ETag': f'"{commit[:8]}-{name}"', 'X-Repo-Commit': commit})

  def _send(self, status, content, headers=None):
    self.send_response(status)
    for key, value in {'Content-Length': str(len(content)), **(headers or {})}.items():
      self.send_header(key, value)
    self.end_headers()
    if self.command == 'GET':
      self.wfile.write(content)

  def log_message(self, *args):
    pass


@pytest.fixture(scope='module')
def served(tmp_path_factory):
  place = tmp_path_factory.mktemp('hub')
  folders = {}
  for kind, commit in (('t5_1_1', COMMITS['main']), ('t5_1_0', COMMITS['v1'])):
    saved(kind, place / commit)
    (place / commit / 'pytorch_model.bin').write_bytes(b'never fetched')
    folders[commit] = place / commit
  handler = type('Handler', (Hub,), {'folders': folders, 'asked': []})
  server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
  threading.Thread(target=server.serve_forever, daemon=True).start()
  yield f'http://127.0.0.1:{server.server_port}', folders, handler.asked
  server.shutdown()
  server.server_close()


def convert(endpoint, cache, *flags, **environment):
  command = [sys.executable, '-m', 'scripts.convert_checkpoint', '--format=huggingface', *map(str, flags)]
  env = {**os.environ, 'HF_ENDPOINT': endpoint, 'HF_HOME': str(cache), 'HF_HUB_DISABLE_XET': '1', 'XLA_FLAGS': '',
         'HF_HUB_DISABLE_TELEMETRY': '1', **environment}
  return subprocess.run(command, env=env, cwd=pathlib.Path(__file__).parents[2], text=True, capture_output=True)


def test_a_model_is_fetched_by_name_and_read_again_without_the_hub(served, tmp_path):
  endpoint, folders, asked = served
  done = convert(endpoint, tmp_path / 'cache', '--from', f'hf://{REPOSITORY}', '--to', tmp_path / 'a')
  assert done.returncode == 0, done.stderr
  assert {'config.json', 'model.safetensors'} <= set(asked) and 'pytorch_model.bin' not in asked
  there, here = HuggingFaceWeights(folders[COMMITS['main']]), HuggingFaceWeights(tmp_path / 'a')
  assert all(there.read(path).tobytes() == here.read(path).tobytes() for path in there.shapes)
  nowhere, name = 'http://127.0.0.1:9', f'hf://{REPOSITORY}'
  done = convert(nowhere, tmp_path / 'cache', '--from', name, '--to', tmp_path / 'b', HF_HUB_OFFLINE='1')
  assert done.returncode == 0, done.stderr
  done = convert(nowhere, tmp_path / 'empty', '--from', name, '--to', tmp_path / 'c', HF_HUB_OFFLINE='1')
  assert done.returncode == 2 and 'cannot be fetched and is not in the cache' in done.stderr


def test_a_revision_is_pinned(served, tmp_path):
  endpoint, folders, _ = served
  done = convert(endpoint, tmp_path / 'cache', '--from', f'hf://{REPOSITORY}@v1', '--to', tmp_path / 'a')
  assert done.returncode == 0, done.stderr
  assert HuggingFaceWeights(tmp_path / 'a').config == HuggingFaceWeights(folders[COMMITS['v1']]).config
  assert HuggingFaceWeights(tmp_path / 'a').config.logits_via_embedding


@pytest.mark.parametrize(('name', 'message'), [
  (f'hf://{REPOSITORY}@v2', "the model has no revision 'v2'"),
  ('hf://acme/tiny-t6', 'the hub has no such model, or it is private'),
])
def test_what_the_hub_lacks_is_told(served, name, message, tmp_path):
  done = convert(served[0], tmp_path / 'cache', '--from', name, '--to', tmp_path / 'a')
  assert (done.returncode, done.stderr.count('\n')) == (2, 1) and message in done.stderr


def test_a_malformed_name_is_told():
  for name in ('hf://', 'hf://a/b/c', 'hf://a b', 'hf://a/b@'):
    with pytest.raises(UserError, match='is no model of the hub: expected hf://OWNER/NAME'):
      hub.fetch(name)
