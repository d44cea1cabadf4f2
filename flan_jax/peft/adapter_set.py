"""Several adapters on one base: named, one of them active, and the base itself kept bit for bit."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import nnx
from jaxtyping import Array

from flan_jax.errors import UserError, did_you_mean
from flan_jax.peft import io
from flan_jax.peft.base import Method
from flan_jax.peft.partition import named_variables, twin
from flan_jax.peft.targets import detach, projections

Adapter = tuple[Method, Mapping[str, Any]]  # a method, and by name the arrays that `io.saved_variables` names


class AdapterSet:
  """Adapters of one model by name; `switch` changes in place which of them the model has.

  The base's arrays are kept, not copied: an adapter that merges, quantises or trains base weights puts others in their
  place. So the base comes back by putting them back, and no rounding is left of what was there in between.

  Example:
    adapters = AdapterSet(model)
    adapters.load('nli', 'runs/nli/adapter')
    adapters.switch('nli')  # model answers as tuned on NLI
    adapters.switch(None)  # model is the base again

  Attributes:
    model: the model that is switched.
    active: the name of the adapter that it has, or None.
    merged: whether that adapter is folded into the weights.
  """

  def __init__(self, model: nnx.Module):
    """Takes a base model, whose weights now are what None gives back.

    Raises:
      UserError: if it has adapters.
    """
    if io.adapter_variables(model):
      raise UserError('the model has adapters already: a set of adapters starts from the base, detach or merge them')
    self.model = model
    self.active: str | None = None
    self.merged = False
    self._base = twin(model)
    self._adapters: dict[str, Adapter] = {}

  @property
  def names(self) -> tuple[str, ...]:
    """The adapters, in the order in which they came."""
    return tuple(self._adapters)

  def __getitem__(self, name: str) -> Adapter:
    """The method and the arrays of an adapter.

    Raises:
      UserError: if there is none of this name.
    """
    if name not in self._adapters:
      raise UserError(f'there is no adapter {name!r} in the set. {did_you_mean(name, self._adapters)}'.rstrip())
    return self._adapters[name]

  def add(self, name: str, method: Method, arrays: Mapping[str, Any]) -> None:
    """Takes an adapter from memory: a trained one, or what `peft.combine` makes of others.

    Args:
      name: free; one that is there already is an error.
      method: with its hyperparameters.
      arrays: by name, as `io.saved_variables` names them.

    Raises:
      UserError: if the name is taken, or the arrays do not fit the base.
    """
    self._check_free(name)
    io.check_arrays(io.attached(self._base, method), method, arrays, f'the adapter {name!r}')
    self._adapters[name] = (method, dict(arrays))

  def load(self, name: str, directory: str | pathlib.Path, *, force: bool = False) -> Method:
    """Takes an adapter from a folder; the checks are those of `load_adapter`, against the base as it was.

    Args:
      name: free; one that is there already is an error.
      directory: what `save_adapter` wrote.
      force: take it even if it was trained on other base weights.

    Returns:
      Its method.

    Raises:
      UserError: if the name is taken, or the adapter is another base's, damaged, or does not fit.
    """
    self._check_free(name)
    method, arrays = io.read_fitting(self._base, directory, force=force)
    self._adapters[name] = (method, arrays)
    return method

  def save(self, name: str, directory: str | pathlib.Path) -> None:
    """Writes an adapter as `save_adapter` does.

    Raises:
      UserError: if there is none of this name, it is the whole model, or the folder cannot be written.
    """
    method, arrays = self[name]
    if method.name == 'full':
      raise UserError(f'{name!r} is the whole model and no adapter: save a checkpoint instead')
    plain = {key: np.asarray(value) for key, value in arrays.items()}
    fingerprint = io.base_fingerprint(io.attached(self._base, method), method)
    io.write_adapter(directory, io.adapter_config(method, fingerprint, plain), plain)

  def start(self, method: Method, seed: int = 0) -> dict[str, Array]:
    """Returns the arrays that a method starts training from on this base.

    Args:
      method: for selective methods the result holds the base's own arrays.
      seed: of the initial values that a method draws.
    """
    model = io.attached(self._base, method, seed)
    return {name: variable.get_value() for name, variable in io.saved_variables(model, method).items()}

  def remove(self, name: str) -> None:
    """Forgets an adapter; the model is the base again if it was active.

    Raises:
      UserError: if there is none of this name.
    """
    self[name]
    if self.active == name:
      self.switch(None)
    del self._adapters[name]

  def switch(self, name: str | None) -> None:
    """Gives the model another adapter in place, or none.

    Between adapters of one method only their arrays are changed. What was done to the active adapter's arrays in the
    model (training, say) is lost unless it was added under a name.

    Args:
      name: of the adapter; None gives the base back, bit for bit.

    Raises:
      UserError: if there is none of this name; the model stays as it is.
    """
    if name is None:
      self._restore()
      return
    method, arrays = self[name]
    if self.merged or self.active is None or self._adapters[self.active][0] != method:
      self._restore()
      method.attach(self.model, nnx.Rngs(params=0))
    io.put_arrays(self.model, method, arrays)
    self.active = name

  def merge(self) -> None:
    """Folds the active adapter into the weights: the same function with nothing more to compute.

    Raises:
      UserError: if none is active, it is merged already, or its method cannot be merged.
    """
    if self.active is None or self.merged:
      raise UserError('no adapter is active that could be merged' if self.active is None else
                      f'the adapter {self.active!r} is merged already')
    io.merge_adapter(self.model, self._adapters[self.active][0])
    self.merged = True

  def unmerge(self) -> None:
    """Undoes `merge`: the base's weights as they were, and the adapter beside them.

    Raises:
      UserError: if nothing is merged.
    """
    if not self.merged:
      raise UserError('no adapter is merged that could be taken out again')
    self.switch(self.active)

  def _restore(self) -> None:
    detach(self.model)
    base_projections = projections(self._base)
    for path, dense in projections(self.model).items():
      for kind in list(dense.storage):
        del dense.storage[kind]
      if base_projections[path].bias is None:
        dense.bias = None
    base: dict[str, Array] = {name: v.get_value() for name, (_, v) in named_variables(self._base).items()}
    for name, (_, variable) in named_variables(self.model).items():
      variable.set_value(base[name])
    self.active, self.merged = None, False

  def _check_free(self, name: str) -> None:
    if name in self._adapters:
      raise UserError(f'there is an adapter {name!r} in the set already: remove it first, or choose another name')
