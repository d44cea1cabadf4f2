"""The options of one input as a tree of tokens, so that what they begin with in common is computed once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

LIMIT = 256  # nodes; beyond it self-attention among options costs more than another run of the encoder


class OptionTree(NamedTuple):
  """Some options of one input, laid out depth first, the root before its first branch.

  A node is one decoder input: the root is the padding that starts every sequence, another node the last token of a
  prefix that some option continues. An edge is one prediction: a node and a token that follows it.

  Attributes:
    options: which of the input's options these are.
    tokens: of the nodes.
    depths: how many nodes are above each.
    ends: the place behind each node's last descendant.
    edge_nodes: where each prediction is made.
    edge_tokens: what is predicted.
    paths: the edges of each option, in the order of `options`.
  """

  options: list[int]
  tokens: Int[np.ndarray, 'nodes']
  depths: Int[np.ndarray, 'nodes']
  ends: Int[np.ndarray, 'nodes']
  edge_nodes: Int[np.ndarray, 'edges']
  edge_tokens: Int[np.ndarray, 'edges']
  paths: list[list[int]]


def grow(options: Sequence[Sequence[int]], *, limit: int = LIMIT) -> list[OptionTree]:
  """Returns the trees that hold all options of one input: one, unless there are very many.

  Args:
    options: tokens, with EOS where it should count.
    limit: nodes and edges beyond which options go to another tree; a single option may have more.
  """
  trees: list[OptionTree] = []
  growing = _Growing()
  # In this order, options that begin alike stand together, and a prefix stands before what continues it.
  for place in sorted(range(len(options)), key=lambda place: tuple(options[place])):
    option = tuple(options[place])
    if growing.options and growing.size_with(option) > limit:
      trees.append(growing.tree())
      growing = _Growing()
    growing.add(place, option)
  return [*trees, growing.tree()] if growing.options else trees


class _Growing:
  """A tree to which options are added in lexicographic order."""

  def __init__(self) -> None:
    self.options: list[int] = []
    self.tokens, self.depths, self.ends = [0], [0], [0]
    self.edge_nodes: list[int] = []
    self.edge_tokens: list[int] = []
    self.paths: list[list[int]] = []
    self._last: tuple[int, ...] = ()
    self._branch = [0]  # the nodes of the last option's prefixes, as far as there are any

  def add(self, place: int, option: tuple[int, ...]) -> None:
    """Adds the edges that an option does not share with the one before it, and the nodes that they start at."""
    shared = self._shared(option)
    path = self.paths[-1][:shared] if self.paths else []
    self._close(shared)
    for depth in range(shared, len(option)):
      if depth == len(self._branch):
        self._branch.append(len(self.tokens))
        self.tokens.append(option[depth - 1])
        self.depths.append(depth)
        self.ends.append(0)
      path.append(len(self.edge_nodes))
      self.edge_nodes.append(self._branch[depth])
      self.edge_tokens.append(option[depth])
    self.options.append(place)
    self.paths.append(path)
    self._last = option

  def size_with(self, option: tuple[int, ...]) -> int:
    """Returns how many nodes or edges there would be at most with one more option."""
    return max(len(self.tokens), len(self.edge_nodes)) + len(option) - self._shared(option)

  def tree(self) -> OptionTree:
    """Returns what has grown."""
    self._close(-1)
    numbers = (self.tokens, self.depths, self.ends, self.edge_nodes, self.edge_tokens)
    tokens, depths, ends, edge_nodes, edge_tokens = (np.array(values, np.int32) for values in numbers)
    return OptionTree(self.options, tokens, depths, ends, edge_nodes, edge_tokens, self.paths)

  def _shared(self, option: tuple[int, ...]) -> int:
    """Returns how many tokens an option begins with in common with the one before it."""
    pairs = zip(self._last, option, strict=False)
    return next((depth for depth, (old, new) in enumerate(pairs) if old != new), min(len(self._last), len(option)))

  def _close(self, depth: int) -> None:
    """Ends the nodes of the last option's prefixes that are longer than so many tokens."""
    for node in self._branch[depth + 1 :]:
      self.ends[node] = len(self.tokens)
    del self._branch[depth + 1 :]
