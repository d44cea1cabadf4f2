import base64
import hashlib
import html.parser
import re

import numpy as np
import PIL.Image
import pytest

from flan_jax.errors import UserError
from flan_jax.evaluation import plots, tables
from flan_jax.evaluation.report import Section, write_report
from flan_jax.evaluation.statistics import Estimate
from flan_jax.evaluation.tables import Table
from flan_jax.versions import package_versions
from tests.evaluation import judged

VOID = {'meta', 'img', 'br'}


class _Page(html.parser.HTMLParser):
  """Parses strictly: every element must be closed in order. Keeps attributes, texts by element, and table cells."""

  def __init__(self, text: str):
    super().__init__(convert_charrefs=True)
    self.open: list[str] = []
    self.attributes: list[tuple[str, str, str | None]] = []
    self.texts: dict[str, list[str]] = {}
    self.rows: list[list[str]] = []
    self.feed(text)
    self.close()
    assert self.open == []

  def handle_starttag(self, tag, attrs):
    self.attributes += [(tag, name, value) for name, value in attrs]
    if tag not in VOID:
      self.open.append(tag)
      self.texts.setdefault(tag, []).append('')
    if tag == 'tr':
      self.rows.append([])
    if tag in ('td', 'th'):
      self.rows[-1].append('')

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    if self.open:
      self.texts[self.open[-1]][-1] += data
    if self.open and self.open[-1] in ('td', 'th'):
      self.rows[-1][-1] += data


@pytest.fixture
def picture(tmp_path):
  return plots.grouped_bars(tmp_path / 'bars.png', ['nli'], {'model': [Estimate(70.0, 60.0, 80.0, 9)]})


@pytest.fixture
def page(tmp_path, picture):
  shown = [tables.paired_table(judged.evaluations()), tables.dataset_table(judged.evaluations())]
  path = write_report(tmp_path / 'run' / 'report.html', 'Zero-shot on <nli> & more', [
    Section('What was "asked"', ['First.', 'Is 1 < 2 & 3 > 2?'], [(picture, 'Accuracy, "95 %" <intervals>')], shown),
    Section('Configuration', code='TRAIN_STEPS = 5  # <macro>\nurl = "https://example.org/x"'),
  ], subtitle='T5 & co')  # fmt: skip
  assert path == tmp_path / 'run' / 'report.html'
  return _Page(path.read_text(encoding='utf-8'))


def test_text_is_escaped_and_complete(page):
  assert page.texts['title'] == page.texts['h1'] == ['Zero-shot on <nli> & more']
  assert page.texts['h2'] == ['What was "asked"', 'Configuration']
  assert page.texts['p'][:3] == ['T5 & co', 'First.', 'Is 1 < 2 & 3 > 2?']
  assert page.texts['figcaption'] == ['Accuracy, "95 %" <intervals>']
  assert page.texts['pre'] == ['TRAIN_STEPS = 5  # <macro>\nurl = "https://example.org/x"']
  assert ('img', 'alt', 'Accuracy, "95 %" <intervals>') in page.attributes


def test_all_cells_of_all_tables_are_there(page):
  paired, datasets = tables.paired_table(judged.evaluations()), tables.dataset_table(judged.evaluations())
  expected = [row for table in (paired, datasets) for row in (table.columns, *table.rows)]
  assert page.rows == [list(row) for row in expected]
  assert page.texts['caption'] == [paired.title, datasets.title]
  assert page.texts['span'] == [paired.note, datasets.note]


def test_nothing_is_loaded_from_elsewhere(page):
  loads = {'src', 'href', 'srcset', 'data', 'action', 'poster', 'background'}
  loaded = [(tag, name) for tag, name, value in page.attributes if name in loads]
  assert loaded == [('img', 'src')]
  assert not {'link', 'iframe', 'object', 'base'} & (page.texts.keys() | {tag for tag, *_ in page.attributes})
  assert not any(re.search(r'https?:|//', value or '') for _, name, value in page.attributes if name != 'src')
  script, = page.texts['script']
  assert 'http' not in script
  policy, = [value for _, name, value in page.attributes if name == 'content' and 'default-src' in value]
  digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
  assert policy.startswith("default-src 'none'; img-src data:;") and policy.endswith(f"script-src 'sha256-{digest}'")
  style, = page.texts['style']
  assert not re.search(r'url\(|@import|http', style)


def test_images_are_embedded_byte_for_byte_and_decode(page, picture, tmp_path):
  source, = [value for tag, name, value in page.attributes if (tag, name) == ('img', 'src')]
  kind, data = source.split(',', 1)
  assert kind == 'data:image/png;base64'
  assert base64.b64decode(data, validate=True) == picture.read_bytes()
  copy = tmp_path / 'copy.png'
  copy.write_bytes(base64.b64decode(data))
  with PIL.Image.open(copy) as image:
    assert image.format == 'PNG'
    assert np.ptp(np.asarray(image.convert('L'))) > 200


def test_it_says_when_and_with_what_it_was_written(page):
  written = page.texts['p'][-1]
  assert re.match(r'Written \d{4}-\d\d-\d\d \d\d:\d\d UTC by ', written)
  assert f'jax {package_versions()["jax"]}' in written
  assert f'python {package_versions()["python"]}' in written


def test_it_is_readable_on_a_phone(page):
  assert ('meta', 'name', 'viewport') in page.attributes
  assert ('meta', 'charset', 'utf-8') in page.attributes
  assert [value for tag, name, value in page.attributes if (tag, name) == ('div', 'class')] == ['scroll', 'scroll']


def test_names_are_set_left_and_numbers_right(page):
  classes = [(tag, value) for tag, name, value in page.attributes if name == 'class' and tag in ('td', 'th')]
  assert classes.count(('th', 'text')) == 2 + 4
  assert classes.count(('td', 'text')) == 8 * 2 + 16 * 4
  assert 'td.text { text-align: left; }' in page.texts['style'][0]


def test_cells_and_headings_are_escaped(tmp_path):
  table = Table('<b>title</b>', ('a & b', 'x<y'), [('<script>alert(1)</script>', '1 < 2')], note='"note" & <i>')
  path = write_report(tmp_path / 'report.html', 'T', [Section('S', tables=[table])])
  page = _Page(path.read_text(encoding='utf-8'))
  assert page.rows == [['a & b', 'x<y'], ['<script>alert(1)</script>', '1 < 2']]
  assert page.texts['caption'] == ['<b>title</b>']
  assert page.texts['span'] == ['"note" & <i>']
  script, = page.texts['script']
  assert 'alert' not in script


def test_letters_of_all_alphabets_survive(tmp_path):
  path = write_report(tmp_path / 'report.html', 'Übersetzung 翻訳', [Section('S', ['naïve – “quoted” 😀'])])
  page = _Page(path.read_text(encoding='utf-8'))
  assert page.texts['h1'] == ['Übersetzung 翻訳']
  assert page.texts['p'][0] == 'naïve – “quoted” 😀'


def test_without_subtitle_and_code_nothing_stands_for_them(tmp_path):
  page = _Page(write_report(tmp_path / 'report.html', 'T', [Section('S', ['text'])]).read_text(encoding='utf-8'))
  assert page.texts['p'][0] == 'text'
  assert not {'details', 'pre', 'table', 'figure'} & page.texts.keys()


def test_a_missing_image_is_named_and_no_half_report_is_left(tmp_path):
  with pytest.raises(UserError, match=r"needs the image '.*none\.png': No such file"):
    write_report(tmp_path / 'report.html', 'T', [Section('S', images=[(tmp_path / 'none.png', 'c')])])
  assert not (tmp_path / 'report.html').exists()
