"""Arrays of a packed batch: inputs one after the other, and beside them the trees of their options."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from flan_jax.models.decoder import Trees
from flan_jax.models.option_trees import OptionTree
from flan_jax.models.row_filling import Size
from flan_jax.models.scoring import PackedOptions


class Item(NamedTuple):
  """What goes into one row as a whole.

  Attributes:
    row: the input's place among all.
    source: its tokens.
    tree: all or some of its options.
  """

  row: int
  source: Int[np.ndarray, 'length']
  tree: OptionTree

  def size(self, rooms: Size) -> Size:
    """Returns what it takes, with room for soft prompts; a row has two places for edges beside each node."""
    target = max(rooms.target + len(self.tree.tokens), -(-len(self.tree.edge_tokens) // 2))
    return Size(rooms.source + len(self.source), target)


def pack(
  rows: Sequence[Sequence[Item]], count: int, shape: Size, rooms: Size
) -> tuple[PackedOptions, list[list[int]]]:
  """Lays items into the rows of a batch.

  Args:
    rows: the items of each.
    count: rows of the batch; those that are left hold padding.
    shape: of a row.
    rooms: positions of the soft prompts before each input and each tree.

  Returns:
    The batch, and for each item of each row the place of its tree's first edge.
  """
  inputs, input_segments, input_prompts = np.zeros((3, count, shape.source), np.int32)
  nodes, node_segments, node_prompts, depths, ends = np.zeros((5, count, shape.target), np.int32)
  edge_nodes, edge_tokens = np.zeros((2, count, 2 * shape.target), np.int32)
  starts: list[list[int]] = []
  for row, items in enumerate(rows):
    source = target = edge = 0
    starts.append([])
    for segment, item in enumerate(items, 1):
      size = item.size(rooms)
      room, end = source + rooms.source, source + size.source
      inputs[row, room:end] = item.source
      input_segments[row, source:room] = segment
      input_segments[row, room:end] = np.where(item.source > 0, segment, 0)
      input_prompts[row, source:room] = np.arange(1, rooms.source + 1)
      root, tree = target + rooms.target, item.tree
      end, last = root + len(tree.tokens), edge + len(tree.edge_nodes)
      nodes[row, root:end] = tree.tokens
      node_segments[row, target:end] = segment
      node_prompts[row, target:root] = np.arange(1, rooms.target + 1)
      depths[row, target:root] = np.arange(rooms.target)
      depths[row, root:end] = rooms.target + tree.depths
      ends[row, target:root] = end
      ends[row, root:end] = root + tree.ends
      edge_nodes[row, edge:last] = root + tree.edge_nodes
      edge_tokens[row, edge:last] = tree.edge_tokens
      starts[-1].append(edge)
      source, target, edge = source + size.source, target + size.target, last
  packed = PackedOptions(
    inputs=jnp.asarray(inputs),
    input_segments=jnp.asarray(input_segments),
    input_prompts=jnp.asarray(input_prompts) if rooms.source else None,
    nodes=jnp.asarray(nodes),
    node_segments=jnp.asarray(node_segments),
    node_prompts=jnp.asarray(node_prompts) if rooms.target else None,
    trees=Trees(jnp.asarray(depths), jnp.asarray(ends)),
    edge_nodes=jnp.asarray(edge_nodes),
    edge_tokens=jnp.asarray(edge_tokens),
  )
  return packed, starts
