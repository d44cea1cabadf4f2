"""Pages of results: one file that can be mailed, readable on a phone and in print, with nothing loaded from elsewhere.

Every report of the project is made here out of sections. Tables can be sorted and searched by `report.js`, answers are
browsed by `examples.js`; a page without JavaScript shows everything but the answers. The page's policy lets only these
two scripts run, by their digests, so that no text of a row could.
"""

import base64
import dataclasses
import datetime
import hashlib
import html
import importlib.resources
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from flan_jax.embedded import embedded
from flan_jax.errors import UserError
from flan_jax.evaluation.tables import Table
from flan_jax.versions import package_versions

_LISTED = 4  # a page with more sections than this begins with a list of them


@dataclasses.dataclass(frozen=True)
class Section:
  """A part of a report; what it holds is shown in this order.

  Attributes:
    heading: its title.
    paragraphs: plain text.
    lines: plain text, as a list.
    images: (PNG or SVG file, caption) pairs; the files are embedded.
    tables: tables of results.
    folded: tables that are folded away until they are opened.
    code: preformatted text such as the configuration, folded away until it is opened.
    examples: answers to browse, see `examples.browse`; empty for none. One section of a page at most has them.
  """

  heading: str
  paragraphs: Sequence[str] = ()
  images: Sequence[tuple[str | pathlib.Path, str]] = ()
  tables: Sequence[Table] = ()
  code: str = ''
  lines: Sequence[str] = ()
  folded: Sequence[Table] = ()
  examples: Mapping[str, Any] = dataclasses.field(default_factory=dict)


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
  scripts = ['report.js', 'examples.js'] if any(section.examples for section in sections) else ['report.js']
  code = [_packaged(name) for name in scripts]
  digests = ' '.join(f"'sha256-{_digest(script)}'" for script in code)
  policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {digests}"
  created = datetime.datetime.now(datetime.UTC).strftime('%Y-%m-%d %H:%M UTC')
  packages = ', '.join(f'{name} {version}' for name, version in package_versions().items())
  lead = f'<p class="lead">{html.escape(subtitle)}</p>\n' if subtitle else ''
  page = (
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    f'<title>{html.escape(title)}</title>\n<style>{_packaged("report.css")}</style>\n</head>\n<body>\n'
    f'<header>\n<h1>{html.escape(title)}</h1>\n{lead}{_contents(sections)}</header>\n<main>\n'
    f'{"".join(_section(place, section) for place, section in enumerate(sections, 1))}</main>\n'
    f'<footer><p>Written {created} by {html.escape(packages)}.</p></footer>\n'
    f'{"".join(f"<script>{script}</script>" for script in code)}\n</body>\n</html>\n'
  )
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(page, encoding='utf-8')
  return path


def _packaged(name: str) -> str:
  return importlib.resources.files(__package__).joinpath(name).read_text(encoding='utf-8')


def _digest(script: str) -> str:
  return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode('ascii')


def _contents(sections: Sequence[Section]) -> str:
  if len(sections) <= _LISTED:
    return ''
  items = ''.join(f'<li><a href="#section-{place}">{html.escape(section.heading)}</a></li>\n'
                  for place, section in enumerate(sections, 1))  # fmt: skip
  return f'<nav aria-label="Contents"><ol>\n{items}</ol></nav>\n'


def _section(place: int, section: Section) -> str:
  parts = [f'<section id="section-{place}">\n<h2>{html.escape(section.heading)}</h2>']
  parts += [f'<p>{html.escape(paragraph)}</p>' for paragraph in section.paragraphs]
  if section.lines:
    parts.append(f'<ul>\n{"".join(f"<li>{html.escape(line)}</li>" for line in section.lines)}</ul>')
  figures = [_figure(pathlib.Path(image), caption, f'figure-{place}-{number}')
             for number, (image, caption) in enumerate(section.images, 1)]  # fmt: skip
  parts += ['<div class="figures">', *figures, '</div>'] if len(figures) > 1 else figures
  parts += [table.to_html() for table in section.tables]
  for table in section.folded:
    summary = f'{html.escape(table.title)} ({len(table.rows)} rows)'
    parts.append(f'<details><summary>{summary}</summary>{table.to_html()}</details>')
  if section.code:
    parts.append(f'<details><summary>Show</summary><pre>{html.escape(section.code)}</pre></details>')
  if section.examples:
    parts.append('<noscript><p>Browsing the answers needs JavaScript; the files hold all of them.</p></noscript>\n'
                 f'<script type="application/json" id="answers">{embedded(section.examples)}</script>\n'
                 '<div id="browse"></div>')  # fmt: skip
  return '\n'.join([*parts, '</section>\n'])


def _figure(image: pathlib.Path, caption: str, name: str) -> str:
  try:
    data = image.read_bytes()
  except OSError as error:
    raise UserError(f'The report needs the image {str(image)!r}: {error.strerror}.') from error
  text = html.escape(caption)
  if image.suffix == '.svg':
    box = f'<div class="scroll plot" tabindex="0" role="group" aria-label="{text}">'
    drawn = f'{box}{_inline(data.decode(), text, name)}</div>'
  else:
    drawn = f'<img src="data:image/png;base64,{base64.b64encode(data).decode("ascii")}" alt="{text}">'
  return f'<figure>{drawn}<figcaption>{text}</figcaption></figure>'


def _inline(svg: str, label: str, name: str) -> str:
  """Returns an SVG as a part of a page: ids and styles of its own, a label, and as wide as its place."""
  body = re.sub(r' xmlns(:xlink)?="[^"]*"', '', svg[svg.index('<svg') :])
  body = re.sub(r'\b(id="|href="#|url\(#)', rf'\g<1>{name}-', body)
  body = body.replace('>*{', f'>#{name} *{{')
  size = re.search(r' width="([\d.]+)pt" height="[\d.]+pt"', body)
  if size is None:
    raise ValueError('an SVG of matplotlib says its width in points')
  width = round(float(size[1]) * 4 / 3)  # in pixels
  return body.replace(size[0], f' id="{name}" role="img" aria-label="{label}" width="{width}"', 1)
