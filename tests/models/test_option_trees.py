"""Trees of options: every option is spelled by its path, and nothing that is shared stands twice."""

import numpy as np
import pytest

from flan_jax.models.option_trees import grow


def random_options(seed):
  """Options over three tokens, so that many begin alike, are prefixes of others, or are equal."""
  random = np.random.default_rng(seed)
  return [random.integers(2, 5, random.integers(0, 7)).tolist() for _ in range(9)]


def above(tree, node):
  """The tokens of a node and of the nodes that it may see, by the rule that the mask follows."""
  return [int(tree.tokens[place]) for place in range(node + 1) if tree.ends[place] > node]


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('limit', [4, 12, 1000])
def test_paths_spell_the_options(seed, limit):
  options = random_options(seed)
  trees = grow(options, limit=limit)
  assert sorted(place for tree in trees for place in tree.options) == list(range(9))
  for tree in trees:
    for place, path in zip(tree.options, tree.paths, strict=True):
      assert [int(tree.edge_tokens[edge]) for edge in path] == options[place]
      for depth, edge in enumerate(path):
        assert above(tree, tree.edge_nodes[edge]) == [0, *options[place][:depth]]
        assert tree.depths[tree.edge_nodes[edge]] == depth
    own = [tuple(options[place]) for place in tree.options]
    prefixes = {option[:length] for option in own for length in range(1, len(option) + 1)}
    assert len(tree.edge_tokens) == len(prefixes)
    assert len(tree.tokens) == len({()} | {option[:length] for option in own for length in range(len(option))})
    assert len(tree.tokens) <= limit or len(tree.options) == 1


def test_yes_and_no_share_their_root():
  (tree,) = grow([[7, 1], [8, 1], [7, 1]])
  assert (tree.tokens.tolist(), tree.ends.tolist()) == ([0, 7, 8], [3, 2, 3])
  assert tree.paths[tree.options.index(0)] == tree.paths[tree.options.index(2)]


def test_no_options_grow_no_tree():
  assert grow([]) == []
  assert [tree.paths for tree in grow([[]])] == [[[]]]
