"""`report.html`: one file that can be mailed, with its plots inside, readable on a phone and without a network."""

import base64
import dataclasses
import datetime
import html
import pathlib
from collections.abc import Sequence

from flan_jax.errors import UserError
from flan_jax.evaluation.tables import Table
from flan_jax.versions import package_versions

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; }
body { max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 1rem 0 .2rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .4rem; border-top: 1px solid #ddd; padding-top: 1rem; }
p { max-width: 46rem; }
.lead { color: #555; margin-top: 0; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
caption .note { display: block; font-weight: 400; color: #555; }
th, td { padding: .25rem .8rem .25rem 0; text-align: right; white-space: nowrap; }
th { border-bottom: 2px solid #222; }
td { border-bottom: 1px solid #eee; }
th.text, td.text { text-align: left; }
figure { margin: 1rem 0; }
img { max-width: 100%; height: auto; }
figcaption { color: #555; font-size: .9rem; }
pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; font-size: .8rem; }
footer { margin-top: 3rem; color: #555; font-size: .85rem; border-top: 1px solid #ddd; }
"""


@dataclasses.dataclass(frozen=True)
class Section:
  """A part of a report; what it holds is shown in this order.

  Attributes:
    heading: its title.
    paragraphs: plain text.
    images: (PNG file, caption) pairs; the files are embedded.
    tables: tables of results.
    code: preformatted text such as the configuration, folded away until it is opened.
  """

  heading: str
  paragraphs: Sequence[str] = ()
  images: Sequence[tuple[str | pathlib.Path, str]] = ()
  tables: Sequence[Table] = ()
  code: str = ''


def write_report(
  path: str | pathlib.Path, title: str, sections: Sequence[Section], subtitle: str = ''
) -> pathlib.Path:
  """Writes a self-contained HTML page; no part of it is loaded from elsewhere.

  Args:
    path: the HTML file; its folder is made where it is missing.
    title: the page's title.
    sections: what it shows, in order.
    subtitle: one line under the title.

  Returns:
    The path.

  Raises:
    UserError: where an image is missing.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  created = datetime.datetime.now(datetime.UTC).strftime('%Y-%m-%d %H:%M UTC')
  packages = ', '.join(f'{name} {version}' for name, version in package_versions().items())
  lead = f'<p class="lead">{html.escape(subtitle)}</p>\n' if subtitle else ''
  page = (
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    f'<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n'
    f'<h1>{html.escape(title)}</h1>\n{lead}'
    f'{"".join(_section(section) for section in sections)}'
    f'<footer><p>Written {created} by {html.escape(packages)}.</p></footer>\n</body>\n</html>\n'
  )
  path.write_text(page, encoding='utf-8')
  return path


def _section(section: Section) -> str:
  parts = [f'<section>\n<h2>{html.escape(section.heading)}</h2>']
  parts += [f'<p>{html.escape(paragraph)}</p>' for paragraph in section.paragraphs]
  parts += [_figure(pathlib.Path(image), caption) for image, caption in section.images]
  parts += [table.to_html() for table in section.tables]
  if section.code:
    parts.append(f'<details><summary>Show</summary><pre>{html.escape(section.code)}</pre></details>')
  return '\n'.join([*parts, '</section>\n'])


def _figure(image: pathlib.Path, caption: str) -> str:
  try:
    data = base64.b64encode(image.read_bytes()).decode('ascii')
  except OSError as error:
    raise UserError(f'The report needs the image {str(image)!r}: {error.strerror}.') from error
  text = html.escape(caption)
  return f'<figure><img src="data:image/png;base64,{data}" alt="{text}"><figcaption>{text}</figcaption></figure>'
