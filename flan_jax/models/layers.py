"""The three parameter-bearing layers below attention (projection, embedding, RMS norm) and T5's dropout."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from flan_jax.models import logical


def dropout(x: Float[Array, '... length d'], rate: float, rngs: nnx.Rngs | None) -> Float[Array, '... length d']:
  """Drops features, the same ones along the length axis (T5), and rescales the rest.

  Args:
    x: activations; the second last axis is the length that shares one mask.
    rate: probability that a feature is dropped.
    rngs: a key is drawn by `rngs.dropout()`; None makes this the identity.

  Returns:
    An array of x's shape and dtype.
  """
  if rngs is None or rate == 0:
    return x
  shape = (*x.shape[:-2], 1, x.shape[-1])
  keep = jax.random.bernoulli(rngs.dropout(), 1 - rate, shape)
  return jnp.where(keep, x * (1 / (1 - rate)), 0)


class Dense(nnx.Module):
  """A projection, without bias as in T5 unless it gets one, and the slot that adapters of weights fill.

  Attributes:
    kernel: Float[d_in, d_out], or codes that `storage` decodes.
    bias: Float[d_out], or None.
    adapters: `slots.ProjectionAdapter` modules by name.
    storage: one `slots.KernelStorage` where the kernel is quantised.
  """

  def __init__(self, kernel: Float[Array, 'd_in d_out'], *, axes: tuple[str, str], dtype: str):
    self.kernel = nnx.Param(kernel, axes=axes)
    self.bias: nnx.Param | None = nnx.data(None)
    self.adapters: nnx.Dict = nnx.Dict()
    self.storage: nnx.Dict = nnx.Dict()
    self.dtype = dtype

  @property
  def shape(self) -> tuple[int, ...]:
    """d_in and d_out, also where the kernel is stored as codes of another shape."""
    for storage in self.storage.values():
      return storage.shape
    return self.kernel.shape

  @property
  def axes(self) -> tuple[str | None, str | None]:
    """The logical axes of d_in and d_out."""
    return self.kernel.get_metadata().get('axes', (None, None))

  def weight(self) -> Float[Array, 'd_in d_out']:
    """Returns the kernel as numbers, decoded where it is quantised."""
    kernel = self.kernel[...]
    for storage in self.storage.values():
      kernel = storage.decode(kernel)
    return kernel

  def set_weight(self, kernel: Float[Array, 'd_in d_out']) -> None:
    """Puts a kernel in place of the one there is, as plain numbers."""
    for name in list(self.storage):
      del self.storage[name]
    self.kernel.set_value(kernel)

  def add_bias(self, bias: Float[Array, ' d_out']) -> None:
    """Adds a vector to the bias; a projection that had none has this one from now on."""
    bias = bias.astype(self.weight().dtype)
    if self.bias is None:
      self.bias = nnx.Param(bias, axes=self.axes[1:])
    else:
      self.bias.set_value(self.bias[...] + bias)

  def __call__(self, x: Float[Array, '... d_in'], *, rngs: nnx.Rngs | None = None) -> Float[Array, '... d_out']:
    """Returns x @ kernel in the layer's dtype, as the adapters change it, plus the bias if there is one.

    The bias comes last, so that an adapter that scales the output is merged into the kernel alone.
    """
    kernel = self.weight()
    x = x.astype(self.dtype)
    for adapter in self.adapters.values():
      x = adapter.before(x)
    y = x @ logical.gathered(kernel.astype(self.dtype), *self.axes)
    for adapter in self.adapters.values():
      y = adapter.after(x, y, kernel, rngs=rngs)
    if self.bias is not None:
      y += jnp.expand_dims(self.bias[...].astype(y.dtype), tuple(range(y.ndim - 1)))
    return y


class Embed(nnx.Module):
  """A token embedding read by gather, which may also serve as the output head.

  Attributes:
    embedding: Float[vocab, embed].
  """

  def __init__(self, embedding: Float[Array, 'vocab embed'], *, dtype: str):
    self.embedding = nnx.Param(embedding, axes=('vocab', 'embed'))
    self.dtype = dtype

  def __call__(self, tokens: Int[Array, '*batch length']) -> Float[Array, '*batch length embed']:
    """Returns the rows of the tokens in the activations' dtype."""
    return jnp.take(self.embedding[...], tokens, axis=0).astype(self.dtype)

  def attend(self, x: Float[Array, '*batch length embed']) -> Float[Array, '*batch length vocab']:
    """Returns float32 logits against every row, scaled by embed**-0.5 as in T5 1.0."""
    table = logical.gathered(self.embedding[...].astype(jnp.float32), 'vocab', 'embed')
    return (x.astype(jnp.float32) * x.shape[-1] ** -0.5) @ table.T


class RMSNorm(nnx.Module):
  """Layer norm without mean and bias (Zhang & Sennrich 2019), computed in float32.

  Attributes:
    scale: Float[embed], ones at the start.
  """

  def __init__(self, width: int, *, epsilon: float, dtype: str, param_dtype: str):
    self.scale = nnx.Param(jnp.ones((width,), param_dtype), axes=('embed',))
    self.epsilon = epsilon
    self.dtype = dtype

  def __call__(self, x: Float[Array, 'batch length embed']) -> Float[Array, 'batch length embed']:
    """Returns x over its root mean square, times the scale, in the activations' dtype."""
    wide = x.astype(jnp.float32)
    inverse = jax.lax.rsqrt(jnp.mean(jnp.square(wide), axis=-1, keepdims=True) + self.epsilon)
    scale = self.scale[...].astype(jnp.float32)
    return (wide * inverse * scale[None, None, :]).astype(self.dtype)
