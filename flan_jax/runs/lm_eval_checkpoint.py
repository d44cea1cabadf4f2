"""A checkpoint as lm_eval's model `flan_jax`: importing this module registers it."""

import inspect
import pathlib
from collections.abc import Mapping
from typing import Any

import seqio
from lm_eval.api.registry import register_model
from lm_eval.utils import simple_parse_args_string

from flan_jax.data.tokenizer_files import vocabulary_of
from flan_jax.errors import UserError, did_you_mean
from flan_jax.interop.lm_eval_model import FlanJaxLM
from flan_jax.runs import parts
from flan_jax.runs.of_checkpoint import model_of_checkpoint
from flan_jax.runs.vocabulary_of import vocabulary_of_checkpoint
from flan_jax.training import initial

NAME = 'flan_jax'
DEFAULT_DEVICE = 'cuda:0'  # what lm_eval's command line passes on where nobody named a device


@register_model(NAME)
class CheckpointLM(FlanJaxLM):
  """Answers lm_eval's requests with the model of a checkpoint."""

  def __init__(
    self,
    checkpoint_path: str,
    *,
    adapter_path: str | None = None,
    force_adapter: bool = False,
    vocabulary: str | None = None,
    dtype: str | None = None,
    **settings: Any,
  ):
    """Opens a checkpoint.

    Args:
      checkpoint_path: see `initial.open_weights`.
      adapter_path: an adapter to put on that model.
      force_adapter: put it on a base that it was not trained on, too.
      vocabulary: a model folder or a SentencePiece file; what the checkpoint brings where None.
      dtype: of activations; see `model_of_checkpoint`.
      **settings: `batch_size`, `max_length`, `max_gen_toks`, `score_eos`, `seed`; see `FlanJaxLM`.

    Raises:
      UserError: where something cannot be read or does not fit.
    """
    path = str(checkpoint_path)
    words = _vocabulary(vocabulary) if vocabulary is not None else vocabulary_of_checkpoint(path)
    make_model = parts.model_maker(model_of_checkpoint(path, dtype=dtype), words)
    super().__init__(initial.restore_model(path, make_model, adapter_path, force_adapter=force_adapter), words,
                     **settings)  # fmt: skip

  @classmethod
  def create_from_arg_obj(cls, arg_dict: Mapping[str, Any], additional_config: Mapping[str, Any] | None = None
                          ) -> 'CheckpointLM':  # fmt: skip
    """Makes the model from --model_args.

    Args:
      arg_dict: --model_args.
      additional_config: --batch_size, which gives way to one among the arguments, --max_batch_size and --device.

    Raises:
      UserError: for an argument that there is not.
    """
    flags = {name: value for name, value in (additional_config or {}).items() if value is not None}
    if flags.get('device') == DEFAULT_DEVICE:
      del flags['device']
    for name, instead in (('device', 'JAX takes the devices it finds; set JAX_PLATFORMS'),
                          ('max_batch_size', 'give --batch_size a number')):  # fmt: skip
      if name in flags:
        raise UserError(f'--{name} has no meaning for the model {NAME}: {instead}.')
    known = [name for function in (cls.__init__, FlanJaxLM.__init__) for name in inspect.signature(function).parameters
             if name not in ('self', 'model', 'settings')]  # fmt: skip
    for name in arg_dict:
      if name not in known:
        raise UserError(f'--model_args: the model {NAME} has no {name!r}. {did_you_mean(name, known)}')
    if 'checkpoint_path' not in arg_dict:
      raise UserError(f'--model_args: the model {NAME} needs checkpoint_path=PATH.')
    return cls(**{**flags, **arg_dict})

  @classmethod
  def create_from_arg_string(cls, arg_string: str, additional_config: Mapping[str, Any] | None = None
                             ) -> 'CheckpointLM':  # fmt: skip
    """Makes the model from `a=1,b=2`; see `create_from_arg_obj`."""
    return cls.create_from_arg_obj(simple_parse_args_string(arg_string), additional_config)


def _vocabulary(path: str) -> seqio.Vocabulary:
  place = pathlib.Path(path).expanduser()
  return seqio.SentencePieceVocabulary(str(place), extra_ids=100) if place.is_file() else vocabulary_of(place)
