"""A real browser, where there is one."""

import pathlib
import shutil

import pytest

FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
         '--disable-background-networking', '--disable-component-update']  # fmt: skip


@pytest.fixture(scope='session')
def browser():
  path = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
  if path is None:
    pytest.skip('no chromium on the PATH: the page is not opened')
  playwright = pytest.importorskip('playwright.sync_api', reason='playwright is not installed: the page is not opened')
  with playwright.sync_playwright() as driver:
    opened = driver.chromium.launch(executable_path=path, args=FLAGS)
    yield opened
    opened.close()


class Opened:
  """A page with what it has said and asked for."""

  def __init__(self, browser, path: pathlib.Path, width: int, **options):
    self.said: list[str] = []
    self.asked: list[str] = []
    self.page = browser.new_page(viewport={'width': width, 'height': 800}, **options)
    self.page.on('console', lambda message: self.said.append(message.text))
    self.page.on('pageerror', lambda error: self.said.append(str(error)))
    self.page.on('request', lambda request: self.asked.append(request.url))
    self.page.goto(path.as_uri())


@pytest.fixture
def open_page(browser):
  opened = []

  def opening(path, width=1280, **options):
    opened.append(Opened(browser, path, width, **options))
    return opened[-1]

  yield opening
  for one in opened:
    one.page.close()
