"""One filter decides everything: which parameters train, are optimised, counted, saved and sharded.

A model is taken apart into a `Blueprint` (static: what Flax needs to rebuild it) and two flat dictionaries of arrays,
trainable and frozen, keyed by paths such as 'encoder/layers/0/attention/query/kernel'. The training step and the
checkpoints know only the dictionaries; no NNX object crosses `jax.jit`.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array

from flan_jax.peft.base import is_adapter

Params = dict[str, Array]
Path = tuple[str | int, ...]


def path_name(path: Sequence[Any]) -> str:
  """The name of a parameter: its path joined by slashes."""
  return '/'.join(str(part) for part in path)


def named_variables(model: nnx.Module) -> dict[str, tuple[Path, nnx.Variable]]:
  """Every variable of a model by name, in a stable order, with its Flax path."""
  flat: list[tuple[Any, Any]] = list(nnx.to_flat_state(nnx.state(model)))
  found = {path_name(path): (tuple(path), variable) for path, variable in flat}
  return dict(sorted(found.items()))


@dataclasses.dataclass(frozen=True, eq=False)
class Blueprint:
  """What remains of a model when its arrays are taken out.

  Attributes:
    graphdef: Flax's description of the module graph.
    variables: name -> (path, abstract variable); holds types, shapes and logical axes but no arrays.
    trainable: names of the trainable parameters, in order.
    frozen: names of all others, in order.
  """

  graphdef: nnx.GraphDef
  variables: Mapping[str, tuple[Path, nnx.Variable]]
  trainable: tuple[str, ...]
  frozen: tuple[str, ...]

  def split(self, model: nnx.Module) -> tuple[Params, Params]:
    """Takes the arrays out of a model of this blueprint.

    Returns:
      The trainable and the frozen arrays by name.
    """
    values = {name: variable.get_value() for name, (_, variable) in named_variables(model).items()}
    return {name: values[name] for name in self.trainable}, {name: values[name] for name in self.frozen}

  def merge(self, *params: Mapping[str, Array]) -> Any:
    """Builds the model around arrays; works on concrete and on traced ones.

    Args:
      *params: dictionaries that together name every variable.

    Returns:
      The module.
    """
    values = {name: value for part in params for name, value in part.items()}
    flat = [(path, variable.replace(values[name])) for name, (path, variable) in self.variables.items()]
    return nnx.merge(self.graphdef, nnx.from_flat_state(flat))

  def axes(self, name: str) -> tuple[str | None, ...]:
    """Logical axis names of a parameter; unnamed dimensions are None."""
    variable = self.variables[name][1]
    names = variable.get_metadata().get('axes')
    return tuple(names) if names else (None,) * len(variable.shape)

  def is_adapter(self, name: str) -> bool:
    """Whether a PEFT method owns this parameter."""
    return is_adapter(self.variables[name][1])

  def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
    """Shape and dtype of every parameter."""
    return {name: jax.ShapeDtypeStruct(v.shape, v.dtype) for name, (_, v) in self.variables.items()}


def make_blueprint(model: nnx.Module, trainable: Any) -> Blueprint:
  """Describes a model, concrete or abstract, under a filter.

  Args:
    model: the module, adapters attached.
    trainable: an nnx filter (a type, a predicate of path and variable, ...) that says what trains.

  Returns:
    The blueprint.
  """
  graphdef, state = nnx.split(model)
  del state
  variables = named_variables(nnx.eval_shape(lambda: model))
  predicate = nnx.filterlib.to_predicate(trainable)
  names = [name for name, (path, variable) in variables.items() if predicate(path, variable)]
  chosen = set(names)
  return Blueprint(graphdef, variables, tuple(names), tuple(name for name in variables if name not in chosen))


def twin(model: Any) -> Any:
  """A second module around the same arrays: what is attached to it or set in it leaves the first one alone."""
  blueprint = make_blueprint(model, nnx.Param)
  return blueprint.merge(*blueprint.split(model))


@dataclasses.dataclass(frozen=True)
class TableRow:
  """One line of the parameter table."""

  name: str
  shape: tuple[int, ...]
  dtype: str
  axes: tuple[str | None, ...]
  trainable: bool

  @property
  def size(self) -> int:
    """Number of elements."""
    return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class ParameterTable:
  """All parameters of a model under a method; `str()` gives the text of model-info.txt."""

  rows: tuple[TableRow, ...]

  @property
  def total(self) -> int:
    """Number of parameters."""
    return sum(row.size for row in self.rows)

  @property
  def trainable(self) -> int:
    """Number of parameters that train."""
    return sum(row.size for row in self.rows if row.trainable)

  @property
  def summary(self) -> str:
    """One line: how many parameters train, of how many."""
    share = 100.0 * self.trainable / max(1, self.total)
    return f'{self.trainable:,} trainable of {self.total:,} parameters ({share:.2f} %)'

  def __str__(self) -> str:
    """Aligned columns, then totals per top-level module, then the summary."""
    cells = [(row.name, 'x'.join(map(str, row.shape)) or 'scalar', row.dtype, ','.join(str(a or '-') for a in row.axes),
              f'{row.size:,}', 'trainable' if row.trainable else 'frozen') for row in self.rows]
    header = ('parameter', 'shape', 'dtype', 'axes', 'size', 'state')
    widths = [max(len(line[column]) for line in [header, *cells]) for column in range(len(header))]
    lines = ['  '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
             for line in [header, *cells]]
    return '\n'.join([*lines, '', *self.modules, '', self.summary, ''])

  @property
  def modules(self) -> list[str]:
    """A line for each top-level module: how many of its parameters train."""
    lines = []
    for module in dict.fromkeys(row.name.split('/')[0] for row in self.rows):
      rows = [row for row in self.rows if row.name.split('/')[0] == module]
      training = sum(row.size for row in rows if row.trainable)
      lines.append(f'{module}: {training:,} trainable of {sum(row.size for row in rows):,}')
    return lines


def parameter_table(blueprint: Blueprint) -> ParameterTable:
  """The table of a blueprint's parameters, in path order."""
  training = set(blueprint.trainable)
  return ParameterTable(tuple(
      TableRow(name, tuple(shape.shape), str(shape.dtype), blueprint.axes(name), name in training)
      for name, shape in blueprint.shapes().items()))
