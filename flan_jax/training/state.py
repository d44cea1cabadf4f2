"""The training state: one pytree with everything that a step reads and writes, and how it comes into being."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Int, UInt32

from flan_jax.models.logical import Layout
from flan_jax.peft.base import Method
from flan_jax.peft.partition import Blueprint, Params, make_blueprint
from flan_jax.training import sharding
from flan_jax.training.optimizers import Optimizer
from flan_jax.training.placement import Placement

MakeModel = Callable[[nnx.Rngs], nnx.Module]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
  """What a step maps to its successor.

  Attributes:
    step: number of updates done in this run.
    trainable: name -> array; the gradient and the optimizer see only these.
    frozen: name -> array; never change.
    opt_state: optax's state over `trainable`.
    rng: key data of the run; the dropout key of a step is fold_in(rng, step).
    halted: set by the first step whose loss or gradient is not finite; from then on steps change nothing.
  """

  step: Int[Array, '']
  trainable: Params
  frozen: Params
  opt_state: Any
  rng: UInt32[Array, '2']
  halted: Bool[Array, '']

  @property
  def params(self) -> Params:
    """Trainable and frozen parameters together."""
    return {**self.trainable, **self.frozen}


@dataclasses.dataclass(frozen=True)
class StatePlan:
  """Everything known about the state before a single array exists.

  Attributes:
    blueprint: the model without its arrays.
    abstract: the state as shapes, each with its sharding.
    init: builds the state on the devices, sharded from the start, from random base weights.
    base: the base model's parameters as shapes, each with its sharding.
    start: builds the state from given base parameters, whose buffers it takes over.
    placement: the mesh, the rules and where the state lies by them.
  """

  blueprint: Blueprint
  abstract: TrainState
  init: Callable[[], TrainState]
  base: Mapping[str, jax.ShapeDtypeStruct]
  start: Callable[[Params], TrainState]
  placement: Placement

  @property
  def mesh(self) -> Mesh:
    """The device mesh."""
    return self.placement.layout.mesh


def attach(model: nnx.Module, method: Method, seed: int) -> nnx.Module:
  """Attaches the method to a base model, in place."""
  method.attach(model, nnx.Rngs(params=jax.random.fold_in(jax.random.key(seed), 1)))
  return model


def build_model(make_model: MakeModel, method: Method, seed: int) -> nnx.Module:
  """Makes the model and attaches the method; the base weights depend on the seed alone, not on the method."""
  return attach(make_model(nnx.Rngs(params=jax.random.key(seed))), method, seed)


def plan_state(make_model: MakeModel, method: Method, optimizer: Optimizer, partitioner: sharding.Partitioner,
               seed: int) -> StatePlan:
  """Plans the state: shapes first, shardings from them, then a jitted initialiser with those shardings as its output.

  Args:
    make_model: builds the base model from `nnx.Rngs`.
    method: what is attached and what trains.
    optimizer: over the trainable parameters.
    partitioner: mesh and rules.
    seed: of the initial weights and of dropout.

  Returns:
    The plan. No array is allocated until `plan.init()` is called.
  """
  base = make_blueprint(nnx.eval_shape(lambda: make_model(nnx.Rngs(params=jax.random.key(seed)))), nnx.Param)
  shapes = base.shapes()
  whole = nnx.eval_shape(lambda params: attach(base.merge(params), method, seed), shapes)
  blueprint = make_blueprint(whole, method.trainable_filter())

  def begin(model: nnx.Module) -> TrainState:
    trainable, frozen = blueprint.split(model)
    key = jax.random.fold_in(jax.random.key(seed), 2)
    return TrainState(jnp.zeros((), jnp.int32), trainable, frozen, optimizer.init(trainable),
                      jax.random.key_data(key), jnp.zeros((), jnp.bool))

  def init() -> TrainState:
    return begin(build_model(make_model, method, seed))

  def start(params: Params) -> TrainState:
    return begin(attach(base.merge(params), method, seed))

  layout = partitioner.layout()
  abstract = jax.eval_shape(start, shapes)
  shardings = state_shardings(abstract, blueprint, layout)
  placed = jax.tree.map(lambda a, s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s), abstract, shardings)
  where = sharding.param_shardings({name: base.axes(name) for name in shapes}, shapes, layout)
  wanted = {name: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=where[name]) for name, a in shapes.items()}
  # A quantised base has no use for the buffers of the whole one, and JAX warns of buffers that nobody takes over.
  kept = {name: (a.shape, a.dtype) for name, a in abstract.params.items()}
  donated = (0,) if all(kept.get(name) == (a.shape, a.dtype) for name, a in shapes.items()) else ()
  return StatePlan(blueprint, placed, jax.jit(init, out_shardings=shardings), wanted,
                   jax.jit(start, out_shardings=shardings, donate_argnums=donated), Placement(layout, shardings))


def state_shardings(abstract: TrainState, blueprint: Blueprint, layout: Layout) -> Any:
  """A TrainState of shardings for a TrainState of shapes."""
  shapes = blueprint.shapes()
  axes = {name: blueprint.axes(name) for name in shapes}
  params: dict[str, Any] = dict(sharding.param_shardings(axes, shapes, layout))
  whole: Any = NamedSharding(layout.mesh, PartitionSpec())
  return TrainState(
      step=whole,
      trainable={name: params[name] for name in abstract.trainable},
      frozen={name: params[name] for name in abstract.frozen},
      opt_state=sharding.like_params(abstract.opt_state, axes, shapes, layout),
      rng=whole,
      halted=whole,
  )
