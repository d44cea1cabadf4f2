"""What lm_eval's `generation_kwargs` ask for, as arguments of our `Generator`."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from flan_jax.errors import UserError, did_you_mean

LOG = logging.getLogger('lm_eval.flan_jax')  # below lm_eval's own, whose handler and level it has

_LENGTHS = ('max_gen_toks', 'max_new_tokens', 'max_tokens', 'max_completion_tokens')  # lm_eval takes them for the same
_SAMPLING = ('temperature', 'top_k', 'top_p')
_BEAMS = ('length_penalty', 'early_stopping')
_SETTINGS = ('until', 'do_sample', 'num_beams', *_LENGTHS, *_SAMPLING, *_BEAMS)


class Generation(NamedTuple):
  """How to write a text, and where it ends.

  Attributes:
    stops: strings before which it ends.
    options: arguments of `Generator` with their values.
  """

  stops: tuple[str, ...]
  options: tuple[tuple[str, Any], ...]

  def up_to_stop(self, text: str) -> str:
    """Returns a text up to the first stop string."""
    for stop in self.stops:
      text = text.partition(stop)[0]
    return text


def read(given: Mapping[str, Any], max_gen_toks: int) -> Generation:
  """Reads the generation settings of a task, or of --gen_kwargs.

  Tokens are drawn where `do_sample` says so, or where it is not there and a temperature above 0 is. More than one beam
  searches by the rules of `transformers.generate`. Settings of a way that is not taken are told, as lm_eval does.

  Args:
    given: the settings; None stands for one that is not given.
    max_gen_toks: where they do not name a number of tokens.

  Raises:
    UserError: for a setting that there is not, or settings that contradict each other.
  """
  settings = {name: value for name, value in given.items() if value is not None}
  for name in settings:
    if name not in _SETTINGS:
      hint = 'Say max_gen_toks.' if name == 'max_length' else did_you_mean(name, _SETTINGS)
      raise UserError(f'generation_kwargs: flan_jax has no {name!r}. {hint}')
  lengths = {name: settings[name] for name in _LENGTHS if name in settings}
  if len(set(lengths.values())) > 1:
    raise UserError(f'generation_kwargs: {lengths} are different numbers of tokens: give one.')
  temperature, beams = settings.get('temperature', 1.0), settings.get('num_beams', 1)
  sampled = settings.get('do_sample', settings.get('temperature', 0.0) > 0)
  if sampled and beams > 1:
    raise UserError(f'generation_kwargs: flan_jax does not sample beams; num_beams={beams} is for do_sample=False.')
  options: dict[str, Any] = {'method': 'greedy', 'max_decode_len': next(iter(lengths.values()), max_gen_toks)}
  if sampled:
    options |= {'method': 'sample', **{name: settings[name] for name in _SAMPLING if name in settings}}
  elif beams > 1:
    options |= {'method': 'beam', 'num_beams': beams, 'beam_rules': 'huggingface',
                'alpha': settings.get('length_penalty', 1.0), 'early_stopping': settings.get('early_stopping', False)}
  idle = [name for name in (*_SAMPLING, *_BEAMS) if name in settings and name not in _used(sampled, beams)]
  if idle and (idle != ['temperature'] or temperature):  # greedy decoding is often written as temperature 0
    LOG.warning('generation_kwargs: %s without effect, for the method is %s', ', '.join(idle), options['method'])
  return Generation(tuple(_stops(settings.get('until', ()))), tuple(options.items()))


def _used(sampled: bool, beams: int) -> tuple[str, ...]:
  return _SAMPLING if sampled else _BEAMS if beams > 1 else ()


def _stops(until: Any) -> Iterator[str]:
  for stop in [until] if isinstance(until, str) else until:
    if not isinstance(stop, str):
      raise UserError(f'generation_kwargs: until must be a string or a list of them, not {until!r}.')
    if stop:  # an empty one, which lm_eval passes over too, would end every text before it begins
      yield stop
