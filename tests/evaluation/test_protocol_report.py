"""The page of a run of the held-out protocol, opened in a browser, and what it is made of."""

import dataclasses
import json
import re

import pytest

from flan_jax.errors import UserError
from flan_jax.evaluation import answers_kept, predictions, results_file
from flan_jax.evaluation.protocol_report import write_protocol_report
from tests.evaluation import judged, protocol_folder

CLUSTERS = ('nli', 'coreference')
ROWS, TEMPLATES = 40, 2
EACH = ROWS * TEMPLATES * 2  # answers of an arm about a cluster's two datasets


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  found = protocol_folder.evaluations(CLUSTERS, templates=TEMPLATES, count=ROWS)
  found = [protocol_folder.with_opposites(one) if one.origin.held_out == 'nli' and not one.origin.point else one
           for one in found]  # fmt: skip
  # The other cluster has no training logs.
  found = [dataclasses.replace(one, origin=dataclasses.replace(one.origin, folder=''))
           if one.origin.held_out == 'coreference' else one for one in found]  # fmt: skip
  folder = protocol_folder.write(tmp_path_factory.mktemp('runs') / 'protocol', found)
  assert write_protocol_report(folder, limit=5) == folder / 'report.html'
  return folder


@pytest.fixture
def opened(open_page, folder):
  return open_page(folder / 'report.html')


def articles(page):
  return page.locator('article').count()


def status(page):
  """The numbers of the line over the answers: those that match, all, those on the page, those left out."""
  text = page.locator('#browse .status').inner_text()
  found = re.match(r'(\d+) answers? match(?:es)?\. Of ([\d,]+) answers of this choice ([\d,]+) are on this page, '
                   r'([\d,]+) are left out; all are in (.*)\.$', text)  # fmt: skip
  return (*(int(number.replace(',', '')) for number in found.groups()[:4]), found[5])


def choose(page, **choices):
  for name, value in choices.items():
    page.locator(f'#browse select[name="{name}"]').select_option(value)


def cells(page, title, place, rows='tr'):
  table = page.locator('table', has=page.locator('caption', has_text=re.compile(f'^{title}'))).first
  return table.locator(f'tbody {rows} td:nth-child({place})').all_inner_texts()


def test_it_loads_without_error_and_asks_nobody(opened, folder):
  assert opened.said == []
  assert opened.asked == [(folder / 'report.html').as_uri()]
  assert opened.page.title() == 'Held out: nli, coreference'


def test_all_parts_are_there(opened):
  assert opened.page.locator('h2').all_inner_texts() == [
    'What was found', 'Datasets and templates', 'Curve: training clusters', 'Curve: parameters', 'Learning curves',
    'What training changed elsewhere', 'Contamination', 'Answers', 'Arms and what trained them',
    'How to get these numbers again',
  ]  # fmt: skip
  assert opened.page.locator('nav a').all_inner_texts() == opened.page.locator('h2').all_inner_texts()
  assert 'HELD_OUT = ["nli"]  # <macro>' in opened.page.locator('pre').last.text_content()


def test_numbers_on_the_page_are_those_of_the_results(opened, folder):
  found = [one for one in results_file.read_results(folder / 'results.json') if not one.origin.point]
  assert cells(opened.page, 'By cluster', 3) == [f'{one.clusters[0].mean.value:.1f}' for one in found]
  assert cells(opened.page, 'By cluster', 2) == list(protocol_folder.ARMS) * 2
  listed = sorted(cells(opened.page, 'By dataset', 4))
  assert listed == sorted(f'{dataset.mean.value:.1f}' for one in found for dataset in one.datasets)
  assert len(cells(opened.page, 'By template', 1)) == len(CLUSTERS) * 4 * 2 * TEMPLATES


def test_filters_show_what_they_say(opened):
  page = opened.page
  matching, everything, here, left_out, files = status(page)
  assert everything == len(CLUSTERS) * 4 * EACH == here + left_out
  assert matching == here == len(json.loads(page.locator('#answers').text_content())['examples'])
  assert articles(page) == 10 and files == f'{len(CLUSTERS) * 4 * 2 * TEMPLATES} files under predictions/'
  choose(page, arm='removed', dataset='rte', template='1')
  assert status(page)[1] == ROWS and status(page)[4] == 'predictions/nli/removed/rte.template_1.test.jsonl'
  right = choose(page, verdict='right') or status(page)[0]
  wrong = choose(page, verdict='wrong') or status(page)[0]
  sure = choose(page, verdict='sure') or status(page)[0]
  assert right == sure == 5 and sure <= wrong <= 10 and right + wrong == status(page)[2]
  assert articles(page) == sure
  headings = page.locator('article h3').all_inner_texts()
  assert all(heading.startswith('rte, template 1, removed: wrong, ') for heading in headings)
  shares = [float(re.search(r'([\d.]+) % sure', heading)[1]) for heading in headings]
  assert shares == sorted(shares, reverse=True)
  choose(page, verdict='', arm='', dataset='', template='')
  assert status(page)[0] == matching


def test_the_most_confident_wrong_answers_are_the_files(opened, folder):
  choose(opened.page, arm='removed', dataset='rte', template='1', verdict='sure')
  shown = [row.split(' · ')[1] for row in opened.page.locator('article .from').all_inner_texts()]
  wrong = [one for one in predictions.read_jsonl(folder / 'predictions/nli/removed/rte.template_1.test.jsonl')
           if one.credit == 0]  # fmt: skip
  wrong.sort(key=lambda one: -max(answers_kept.shares(one.scores)))
  assert shown == [one.row_id for one in wrong[:5]]


def test_text_is_found_and_more_is_shown_on_request(opened):
  page = opened.page
  choose(page, dataset='rte')
  asked = re.search(r'statement \d+ of rte', page.locator('article pre').first.inner_text())[0]
  page.locator('#browse input[name="text"]').fill(asked.upper())
  assert 0 < status(page)[0] == page.locator('article', has_text=f'{asked} holds').count() <= 10
  page.locator('#browse input[name="text"]').fill('')
  page.locator('.more').click()
  assert articles(page) == 20
  page.locator('#browse input[name="text"]').fill('no such text')
  assert status(page)[0] == articles(page) == 0 and page.locator('.more').is_hidden()


def test_the_card_of_an_answer_shows_every_option(opened, folder):
  choose(opened.page, arm='tuned', dataset='cb', template='0')
  card = opened.page.locator('article').first
  row = card.locator('.from').inner_text().split(' · ')[1]
  file = folder / 'predictions/nli/tuned/cb.template_0.test.jsonl'
  one = next(one for one in predictions.read_jsonl(file) if one.row_id == row)
  assert card.locator('pre').inner_text() == one.inputs
  lines = card.locator('.options tbody tr').all_inner_texts()
  expected = sorted(zip(one.options, answers_kept.shares(one.scores), strict=True), key=lambda pair: -pair[1])
  assert [line.split()[0] for line in lines] == [option for option, _ in expected]
  assert [re.search(r'[\d.]+ %', line)[0] for line in lines] == [f'{100 * share:.1f} %' for _, share in expected]
  widths = card.locator('.bar').evaluate_all('bars => bars.map(bar => bar.getBoundingClientRect().width)')
  assert widths[0] / widths[1] == pytest.approx(expected[0][1] / expected[1][1], rel=0.15)


def test_hostile_text_is_shown_and_does_nothing(opened):
  page = opened.page
  page.locator('#browse input[name="text"]').fill('onerror=')
  assert status(page)[0] > 0
  assert protocol_folder.HOSTILE in page.locator('article pre').first.inner_text()
  assert page.locator('article img, article script').count() == 0
  assert page.title() == 'Held out: nli, coreference' and opened.said == []


def test_the_policy_lets_no_other_script_run(opened):
  opened.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')")
  opened.page.evaluate("const s = document.createElement('script'); s.textContent = 'document.title=2'; "
                       'document.body.append(s)')  # fmt: skip
  opened.page.wait_for_timeout(100)
  assert opened.page.title() == 'Held out: nli, coreference'
  assert len(opened.said) == 3 and all('Content Security Policy' in said for said in opened.said)


def test_a_click_on_a_heading_sorts_and_dashes_stay_last(opened):
  page = opened.page
  table = page.locator('table', has=page.locator('caption', has_text=re.compile('^By cluster'))).first
  before = cells(page, 'By cluster', 3)
  heading = table.locator('th', has_text='mean')
  heading.locator('button').click()
  falling = [float(cell) for cell in cells(page, 'By cluster', 3)]
  assert heading.get_attribute('aria-sort') == 'descending'
  assert falling == sorted(map(float, before), reverse=True) != [float(cell) for cell in before]
  heading.locator('button').press('Enter')  # by keyboard, too
  assert [float(cell) for cell in cells(page, 'By cluster', 3)] == falling[::-1]
  for _ in range(2):
    table.locator('th', has_text='minus this').locator('button').click()
    differences = cells(page, 'By cluster', 7)
    assert differences[-2:] == ['-', '-']  # tuned less itself
  values = [float(cell.split()[0]) for cell in differences[:-2]]
  assert values == sorted(values)


def test_a_long_table_can_be_searched(opened):
  page = opened.page
  box = page.locator('label.search', has=page.locator('xpath=following-sibling::*[1][@aria-label="By dataset"]'))
  box.locator('input').fill('rte removed')
  assert cells(page, 'By dataset', 2, 'tr:not([hidden])') == ['rte']
  assert box.locator('span').inner_text() == '1 of 16 rows'


def test_a_phone_scrolls_tables_and_not_the_page(open_page, folder):
  page = open_page(folder / 'report.html', 375, has_touch=True, device_scale_factor=2).page
  assert page.evaluate('document.documentElement.scrollWidth') == 375
  wide = page.locator('.scroll').evaluate_all('boxes => boxes.filter(b => b.scrollWidth > b.clientWidth).length')
  assert wide > 5
  outside = page.evaluate("""[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, pre') &&
    e.getBoundingClientRect().right > 376).map(e => e.tagName + e.className)""")
  assert outside == []


def test_it_prints_with_everything_unfolded(opened):
  page = opened.page
  assert page.locator('details:not([open])').count() > 0
  page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
  page.emulate_media(media='print')
  assert page.locator('details:not([open])').count() == 0
  assert page.locator('.filters').is_hidden() and page.locator('nav').is_hidden()
  for width, kind in ((688, '.scroll:not(.wide)'), (1016, '.scroll.wide')):  # A4 upright and across, in pixels
    page.evaluate(f"document.body.style.width = '{width}px'")
    assert page.locator(kind).count() > 0
    assert page.locator(kind).evaluate_all(f'boxes => boxes.filter(b => b.scrollWidth > {width}).length') == 0
    broken = page.locator(f'{kind} td').evaluate_all("""cells => cells.filter(cell => {
      const text = document.createRange();
      text.selectNodeContents(cell);
      return /^[\\d.]+$/.test(cell.textContent) && text.getClientRects().length > 1;
    }).length""")
    assert broken == 0, 'a number stands in one line'
  page.evaluate("document.body.style.width = ''")
  page.emulate_media(media='null')
  page.evaluate("window.dispatchEvent(new Event('afterprint'))")
  assert page.locator('details:not([open])').count() > 0
  printed = page.pdf(format='A4')
  sizes = re.findall(rb'/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]', printed)
  across = sum(float(width) > float(height) for width, height in sizes)
  assert len(sizes) > 5 and 0 < across < len(sizes)


def test_what_can_be_used_has_a_name(opened):
  tree = opened.page.locator('body').aria_snapshot()
  for role in ('combobox', 'searchbox', 'button', 'region', 'img'):
    assert re.search(rf'- {role} "', tree), role
    assert not re.search(rf'- {role}(:|$)', tree, re.MULTILINE), f'{role} without a name'


def test_plots_lie_beside_the_page(folder):
  names = {path.stem for path in (folder / 'plots').glob('*.svg')}
  assert names == {path.stem for path in (folder / 'plots').glob('*.png')}
  assert names >= {'clusters', 'opposites', 'templates_nli', 'templates_coreference', 'parameters_nli',
                   'training_clusters_nli', 'training_clusters_coreference', 'learning_nli',
                   'forgetting_nli'}  # fmt: skip
  spread = (folder / 'plots' / 'templates_nli.svg').read_text()
  assert '>rte</text>' in spread and '>chosen template</text>' in spread  # text is text


def test_ids_are_the_pages_own_and_all_references_are_met(folder):
  text = re.sub(r'<script.*?</script>', '', (folder / 'report.html').read_text(), flags=re.DOTALL)
  ids = re.findall(r'\bid="([^"]+)"', text)
  assert len(ids) == len(set(ids))
  assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) <= set(ids)


def test_without_the_optional_parts_it_says_what_is_missing(tmp_path):
  one = dataclasses.replace(protocol_folder.evaluation('nli', 'tuned', templates=1, count=20),
                            origin=protocol_folder.origin('nli', 'tuned', folder=''))  # fmt: skip
  results_file.write_results(tmp_path / 'results.json', [one])
  page = write_protocol_report(tmp_path).read_text()
  assert 'predictions/nli/tuned/rte.template_0.test.jsonl and others are not in the folder' in page
  assert re.findall('<h2>(.*?)</h2>', page) == [
    'What was found', 'Datasets and templates', 'Arms and what trained them', 'How to get these numbers again'
  ]  # fmt: skip


def test_an_evaluation_outside_of_the_protocol_has_a_page_too(tmp_path, open_page):
  written = protocol_folder.generated('stories')
  results_file.write_results(tmp_path / 'results.json', [written])
  results_file.write_predictions(tmp_path / 'predictions', written)
  opened = open_page(write_protocol_report(tmp_path))
  assert opened.said == [] and opened.page.title() == 'Evaluation'
  choose(opened.page, verdict='wrong')
  assert status(opened.page)[:2] == (15, 30)
  card = opened.page.locator('article').first
  assert card.locator('.said').first.inner_text() == f'Written: {protocol_folder.HOSTILE}'
  assert re.match(r'Right: ending \d+\nend \d+', card.locator('.said').nth(1).inner_text())


def test_results_of_the_old_kind_have_a_page_without_predictions(tmp_path):
  results_file.write_results(tmp_path / 'results.json', judged.evaluations())
  page = write_protocol_report(tmp_path).read_text()
  assert 'paraphrase: instruction-tuned reaches 81.7 [79.5, 83.9], above chance (50.0).' in page
  assert 'Asked plainly and asked the opposite' in page


def test_a_folder_without_results_is_named(tmp_path):
  with pytest.raises(UserError, match=r'results\.json.*No such file'):
    write_protocol_report(tmp_path)
  results_file.write_results(tmp_path / 'results.json', [])
  with pytest.raises(UserError, match='has no evaluation of an ordinary arm'):
    write_protocol_report(tmp_path)
