"""The page: its data are what was read, and no text of a row can become a part of the page."""

import html.parser
import json
import re
import shutil
import subprocess

import pytest
import seqio

from flan_jax.data import registry
from flan_jax.data.vocabulary import use_vocabulary
from flan_jax.embedded import embedded
from flan_jax.inspection.examples import Example, Measured, read_each
from flan_jax.inspection.page import Shelf, page
from scripts import inspect_tasks

NASTY = '</script><script>document.title="run"</script><!-- & "quoted" \u2028 {answer}\n'
LENGTHS = {'inputs': 64, 'targets': 16}
BROWSER = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
           '--disable-background-networking', '--disable-component-update']  # fmt: skip


class Reader(html.parser.HTMLParser):
  """The tags of a page, and the text of its script elements."""

  def __init__(self, text):
    super().__init__()
    self.tags, self.links, self.scripts = [], [], []
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    self.tags.append(tag)
    self.links += [value for name, value in attrs if name in ('src', 'href')]

  def handle_data(self, data):
    if self.tags[-1:] == ['script']:
      self.scripts.append(data)

  @property
  def data(self):
    return json.loads(self.scripts[0])


def example(text, template=0):
  measured = Measured(text, '', len(text) + 1)
  targets = (Measured('y', 'es', 4),)
  return Example(template, 'row__0', measured, targets, ('yes', 'no'), 'yes', ('yes',), ('row__7',), 1)


@pytest.fixture
def nasty():
  info = registry.task_info('quickstart_synonym')
  shelf = Shelf(info, 'train', [example(NASTY), example('plain'), example('other', 1)])
  return page('<b>title</b>', 'bytes', LENGTHS, [shelf], {'flan2021.samsum': '<i>not here</i>'})


def test_texts_of_rows_cannot_leave_their_place(nasty):
  read = Reader(nasty)
  assert read.tags.count('script') == 2 and 'b' not in read.tags and 'i' not in read.tags
  dataset = read.data['datasets'][0]
  assert dataset['templates'][0]['examples'][0]['inputs']['kept'] == NASTY
  assert '<title>&lt;b&gt;title&lt;/b&gt; - flan_jax</title>' in nasty


def test_embedded_data_are_the_data():
  assert json.loads(embedded({'text': NASTY})) == {'text': NASTY}
  assert not re.search('[<>&\u2028\u2029]', embedded({'text': NASTY}))


def test_the_page_needs_nothing_from_elsewhere(nasty):
  read = Reader(nasty)
  assert not read.links and "default-src 'none'" in nasty
  assert 'innerHTML' not in nasty and not re.search(r'https?:|url\(|@import', nasty)


def test_data_say_where_every_example_is_from_and_what_is_cut(nasty):
  data = Reader(nasty).data
  assert data['limits'] == LENGTHS and data['leftOut'] == [{'name': 'flan2021.samsum', 'why': '<i>not here</i>'}]
  (dataset,) = data['datasets']
  assert (dataset['name'], dataset['split'], dataset['cluster']) == ('quickstart_synonym', 'train', 'closed_book_qa')
  assert [(template['index'], len(template['examples'])) for template in dataset['templates']] == [(0, 2), (1, 1)]
  first = dataset['templates'][0]['examples'][0]
  assert first['targets'] == [{'kept': 'y', 'cut': 'es', 'tokens': 4}]
  assert (first['row'], first['exemplars'], first['exemplarsLeftOut']) == ('row__0', ['row__7'], 1)


def test_the_script_writes_a_page_of_what_is_here_and_names_the_rest(untouched, tmp_path, capfd):
  out = tmp_path / 'out.html'
  assert inspect_tasks.main(['show', 'quickstart', '--html', str(out), '--n=2', f'--tfds_data_dir={untouched}']) == 0
  printed = capfd.readouterr().out
  data = Reader(out.read_text()).data
  assert [dataset['name'] for dataset in data['datasets']] == [
    'quickstart_reading', 'quickstart_synonym', 'quickstart_synonym_opposite']  # fmt: skip
  assert f'{2 * (10 + 6 + 5)} examples of 3 datasets' in printed and len(data['leftOut']) == 18
  assert 'left out, no rows here: quickstart_boolean_qa' in printed


@pytest.mark.slow
@pytest.mark.parametrize('scheme', [0, 1])  # dark, light
def test_a_browser_shows_the_chosen_example(untouched, tmp_path, scheme):
  browser = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
  if not browser:
    pytest.skip('no Chromium here: the page is not tried in a browser')
  use_vocabulary(seqio.ByteVocabulary())
  info = registry.task_info('quickstart_synonym')
  examples = [*read_each(info, 'test', 2, 0, {'inputs': 30, 'targets': 16}), example(NASTY, 5)]
  out = tmp_path / 'out.html'
  out.write_text(page('quickstart', 'bytes', {'inputs': 30, 'targets': 16}, [Shelf(info, 'test', examples)], {}))
  command = [browser, *BROWSER, f'--user-data-dir={tmp_path / "profile"}',
             f'--blink-settings=preferredColorScheme={scheme}', '--dump-dom',
             f'{out.as_uri()}#quickstart_synonym/5/2']  # fmt: skip
  shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
  assert '<title>quickstart - flan_jax</title>' in shown  # the row's script did not run
  assert '<pre id="inputs">&lt;/script&gt;&lt;script&gt;' in shown
  assert '<span class="cut">es</span>' in shown and '>4 tokens, limit 16, cut<' in shown
  assert '3: ' in shown and 'row__0' in shown and '<span class="placeholder">{first}</span>' in shown
