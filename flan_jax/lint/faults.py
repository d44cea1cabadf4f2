"""What the linter can find: the rules by name, and a fault before and after it has a place in a file."""

import dataclasses

RULES = {
  'unknown-field': 'a placeholder names a field that the rows do not have',
  'empty-field': 'a field that templates use is empty in every row that was read',
  'answer-in-inputs': 'what the model should write stands in what it reads',
  'options-not-rendered': 'the template has {options}, and a prompt shows none, or a blank one',
  'options-unseen': 'a template neither shows the options nor names any of them',
  'target-not-option': 'the answer is none of the options of its row',
  'repeated-option': 'a row lists an option twice',
  'broken-row': 'a row cannot be read by the declaration',
  'no-rows': 'the filter of the declaration leaves no row',
  'stray-character': 'white space, quotes or characters that nobody meant to write',
  'near-duplicate': 'two templates of a dataset differ in little but their placeholders',
  'too-many-inverted': 'more than three templates ask for something else than the answer',
  'too-long': 'too many examples do not fit the feature lengths',
}
WARNINGS = frozenset({'options-unseen'})  # worth a look, and no reason to fail: an open question may be meant so


@dataclasses.dataclass(frozen=True)
class Fault:
  """Something wrong with a dataset.

  Attributes:
    rule: a name of `RULES`.
    message: what is wrong, and what would be right.
    template: which template, None where it is about the dataset.
  """

  rule: str
  message: str
  template: int | None = None


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
  """A fault, and the line of the literal that has it.

  Attributes:
    file: of the declaration; empty where it was made at a prompt.
    line: of the `Template(...)` or `Dataset(...)`, from 1.
    dataset: whose declaration.
    template: which template, -1 where it is about the dataset.
    rule: a name of `RULES`.
    message: what is wrong.
  """

  file: str
  line: int
  dataset: str
  template: int
  rule: str
  message: str

  @property
  def warning(self) -> bool:
    """Worth a look, and no reason to fail."""
    return self.rule in WARNINGS

  def __str__(self) -> str:
    about = self.dataset if self.template < 0 else f'{self.dataset}, template {self.template}'
    kind = 'warning' if self.warning else 'fault'
    return f'{self.file}:{self.line}: {kind} [{self.rule}] {about}: {self.message}'
