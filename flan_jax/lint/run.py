"""Lints datasets: the rules in order, the place of every fault, and what to say at the end."""

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

import seqio

from flan_jax.data.dataset import Dataset
from flan_jax.lint import lengths as lengths_rule
from flan_jax.lint import rows as row_rules
from flan_jax.lint import samples
from flan_jax.lint import templates as template_rules
from flan_jax.lint.faults import Fault, Finding
from flan_jax.lint.lengths import Lengths
from flan_jax.lint.places import Literal, Places


@dataclasses.dataclass
class Report:
  """What was found, and in how much.

  Attributes:
    findings: in the order of files and lines, warnings among them.
    datasets: how many were read.
    templates: of these datasets.
    rows: how many were read.
    static_only: datasets without rows at hand.
    allowed: faults that a comment in the file suspends.
    cut: the share of inputs and targets that would be cut, by dataset, where any would.
  """

  findings: list[Finding] = dataclasses.field(default_factory=list)
  datasets: int = 0
  templates: int = 0
  rows: int = 0
  static_only: list[str] = dataclasses.field(default_factory=list)
  allowed: int = 0
  cut: dict[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)

  @property
  def faults(self) -> list[Finding]:
    """The findings that are more than warnings."""
    return [finding for finding in self.findings if not finding.warning]

  @property
  def summary(self) -> str:
    """One line: '70 datasets, 700 templates, 6,400 rows: no findings'."""
    found = len(self.faults)
    read = ', '.join(map(_counted, (self.datasets, self.templates, self.rows), ('dataset', 'template', 'row')))
    said = f'{read}: {_counted(found, "finding") if found else "no findings"}'
    notes = []
    if warnings := len(self.findings) - found:
      notes.append(_counted(warnings, 'warning'))
    if self.static_only:
      notes.append(f'{_counted(len(self.static_only), "dataset")} by static checks only')
    if self.allowed:
      notes.append(f'{self.allowed} allowed by comments')
    return said + (f' ({"; ".join(notes)})' if notes else '')


def lint(
  datasets: Iterable[tuple[Dataset, seqio.DataSource]], rows: int = 200, lengths: Lengths | None = None
) -> Report:
  """Judges datasets by their declarations and by some of the rows that are at hand; fetches nothing.

  Args:
    datasets: declarations, each with its source.
    rows: how many of each are read; 0 reads none.
    lengths: what examples are measured by; None measures none.

  Returns:
    The report.
  """
  report, places = Report(), Places()
  for dataset, source in datasets:
    literal = places.literal(dataset)
    report.datasets += 1
    report.templates += len(dataset.templates)
    for fault in _faults(dataset, source, rows, lengths, report):
      if fault.rule in literal.allowed:
        report.allowed += 1
      else:
        report.findings.append(_placed(fault, dataset, literal))
  report.findings.sort()
  return report


def _faults(
  dataset: Dataset, source: seqio.DataSource, rows: int, lengths: Lengths | None, report: Report
) -> Iterator[Fault]:
  split, where = samples.on_disk(source) if rows else None, samples.origin(dataset, source)
  try:
    fields: Sequence[str] | None = samples.declared_fields(dataset, source)
    yield from (faults := list(template_rules.check(dataset, fields)))
    readable = not any(fault.rule == 'unknown-field' for fault in faults)
    sample = samples.read(dataset, source, split, rows) if split and readable else None
  except Exception as error:
    yield Fault('broken-row', f'its rows cannot be read from {where} ({_first_line(error)}).')
    return
  if split is None:
    report.static_only.append(dataset.name)
  elif sample is None and readable:
    yield Fault('no-rows', f'`keep` refuses every {split} row of {where}.')
  elif sample is not None:
    report.rows += len(sample)
    yield from row_rules.check(dataset, sample)
    if lengths is not None:
      shares = lengths_rule.cut_shares(dataset, sample, lengths)
      if any(shares.values()):
        report.cut[dataset.name] = shares
      yield from lengths_rule.check(shares, lengths)


def _placed(fault: Fault, dataset: Dataset, literal: Literal) -> Finding:
  line = literal.start if fault.template is None else literal.templates[fault.template]
  relative = os.path.relpath(literal.file)
  file = literal.file if relative.startswith('..') else relative
  template = -1 if fault.template is None else fault.template
  return Finding(file, line, dataset.name, template, fault.rule, fault.message)


def _counted(number: int, what: str) -> str:
  return f'{number:,} {what}{"" if number == 1 else "s"}'


def _first_line(error: Exception) -> str:
  text = next(iter(str(error).strip().splitlines()), '')
  return f'{type(error).__name__}: {text[:160]}'
