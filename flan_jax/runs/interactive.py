"""A small prompt: a line in, the model's answer and its score out; adapters and decoding change on demand."""

import contextlib
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import seqio

from flan_jax.errors import UserError, did_you_mean
from flan_jax.models import T5, Generator, T5Config
from flan_jax.peft import AdapterSet
from flan_jax.runs import parts
from flan_jax.runs.answers import Answerer
from flan_jax.training import initial

PROMPT = '> '


def interact(
  *,
  checkpoint_path: str,
  adapter_path: str | None = None,
  adapters: Mapping[str, str] | None = None,
  force_adapter: bool = False,
  model: T5Config,
  vocabulary: seqio.Vocabulary,
  task_feature_lengths: Mapping[str, int] | None = None,
  method: str = 'greedy',
  max_decode_len: int = 64,
  num_beams: int = 4,
  alpha: float = 0.6,
  beam_rules: str = 't5x',
  early_stopping: bool | str = False,
  temperature: float = 1.0,
  top_k: int = 0,
  top_p: float = 1.0,
  random_seed: int = 0,
  dry_run: bool = False,
) -> None:
  """Answers the lines of a terminal or of a pipe until they end; `/help` lists the commands.

  Args:
    checkpoint_path: a run folder of ours or one of its checkpoints.
    adapter_path: an adapter to begin with, which has the name of its folder.
    adapters: folders of several adapters by name, to switch between; the model as it is comes first.
    force_adapter: put them on a base that they were not trained on, too.
    model: the network.
    vocabulary: of the model.
    task_feature_lengths: prompts longer than `inputs` are cut, and it says so.
    method: 'greedy', 'sample' or 'beam', to begin with.
    max_decode_len: tokens to write at most.
    num_beams: of beam search.
    alpha: of beam search's length penalty.
    beam_rules: of beam search, 't5x' or 'huggingface'.
    early_stopping: of Hugging Face's beam search.
    temperature: of sampling.
    top_k: sample among this many best tokens; 0 for all.
    top_p: sample among the tokens that hold this much probability.
    random_seed: of sampling; each prompt of a session has draws of its own.
    dry_run: read everything, ask nothing.

  Raises:
    UserError: where the checkpoint or an adapter cannot be read, or a setting is out of its range.
  """
  make_model = parts.model_maker(model, vocabulary)
  if adapters is not None and adapter_path is not None:
    raise UserError('Give either ADAPTERS, to switch between, or ADAPTER_PATH.')
  network = initial.restore_model(checkpoint_path, make_model)
  folders = adapters or ({pathlib.Path(adapter_path).name: adapter_path} if adapter_path else {})
  decoding = {'method': method, 'max_decode_len': max_decode_len, 'num_beams': num_beams, 'alpha': alpha,
              'beam_rules': beam_rules, 'early_stopping': early_stopping,
              'temperature': temperature, 'top_k': top_k, 'top_p': top_p, 'seed': random_seed}
  session = Session(network, vocabulary, decoding, folders, (task_feature_lengths or {}).get('inputs'),
                    force=force_adapter)
  if adapter_path:
    session.adapter(*folders)
  if not dry_run:
    converse(session)


class Session:
  """A model, the adapter that is on it, and the way it decodes; commands change the last two.

  Attributes:
    ended: whether the user has asked to end.
  """

  def __init__(
    self, model: T5, vocabulary: seqio.Vocabulary, decoding: Mapping[str, Any], adapters: Mapping[str, str],
    limit: int | None = None, *, force: bool = False,
  ):  # fmt: skip
    """Loads the adapters.

    Args:
      model: the base; it is switched in place.
      vocabulary: of the model.
      decoding: settings of `Generator` to begin with.
      adapters: folders by name.
      limit: tokens of a prompt.
      force: take adapters that were trained on another base, too.

    Raises:
      UserError: if an adapter is damaged or does not fit, or a setting is out of its range.
    """
    self._model, self._vocabulary, self._limit = model, vocabulary, limit
    self._set = AdapterSet(model) if adapters else None
    for name, folder in adapters.items():
      assert self._set is not None
      self._set.load(name, folder, force=force)
    self._decoding = dict(decoding)
    self._answerers: dict[Any, Answerer] = {}  # what is compiled for a setting and an adapter serves both again
    self._turn, self.ended = 0, False
    self._answerer()

  def respond(self, line: str) -> str:
    """Returns what a line is answered with.

    Args:
      line: a prompt, or a command behind a slash; two slashes begin a prompt that begins with one.

    Raises:
      UserError: for a command that there is not, or that cannot do what it is asked; nothing has changed.
    """
    if line.startswith('/') and not line.startswith('//'):
      return self._command(line)
    (answer,) = self._answerer()([{'inputs': line.removeprefix('/')}], self._turn)
    self._turn += 1
    notes = [f'score {answer["score"]:.6f}']
    if 'inputs_truncated' in answer:
      notes.append(f'prompt cut to {self._limit} tokens')
    if 'prediction_truncated' in answer:
      notes.append(f'stopped at {self._decoding["max_decode_len"]} tokens')
    return f'{answer["prediction"]}\n[{", ".join(notes)}]'

  def _command(self, line: str) -> str:
    name, *arguments = line.split()
    if name not in COMMANDS:
      raise UserError(f'there is no command {name!r}. {did_you_mean(name, COMMANDS)} /help lists all.')
    usage, _, most, run = COMMANDS[name]
    if len(arguments) > most:
      raise UserError(f'{name} takes {"nothing" if not most else "one thing"} behind it: {usage}')
    return run(self, *arguments)

  def _answerer(self) -> Answerer:
    active = self._set.active if self._set else None
    key = (active, *sorted(self._decoding.items()))
    if key not in self._answerers:
      generator = Generator(self._model, eos_id=self._vocabulary.eos_id, batch_size=1, **self._decoding)
      self._answerers[key] = Answerer(generator, self._vocabulary, self._limit)
    return self._answerers[key]

  def _decode_by(self, told: str, **changes: Any) -> str:
    before = dict(self._decoding)
    self._decoding |= changes
    try:
      self._answerer()
    except UserError:
      self._decoding = before
      raise
    return told

  def greedy(self) -> str:
    """Decodes greedily from now on."""
    return self._decode_by('greedy decoding', method='greedy')

  def beam(self, width: str = '') -> str:
    """Decodes by beam search from now on."""
    beams = _number(int, width, '/beam 4') if width else self._decoding['num_beams']
    return self._decode_by(f'beam search with {beams} beams', method='beam', num_beams=beams)

  def sample(self, temperature: str = '') -> str:
    """Samples from now on."""
    heat = _number(float, temperature, '/sample 0.7') if temperature else self._decoding['temperature']
    return self._decode_by(f'sampling at temperature {heat:g}', method='sample', temperature=heat)

  def adapter(self, name: str = '') -> str:
    """Puts an adapter on the model, or takes it off."""
    if self._set is None:
      if name:
        raise UserError('there are no adapters to switch to: start with --gin.ADAPTERS or --gin.ADAPTER_PATH.')
      return 'the model as it is'
    self._set.switch(name or None)
    return f'adapter {name}' if name else 'the model as it is'

  def adapters(self) -> str:
    """Lists the adapters, a star at the one that is on the model."""
    if self._set is None:
      return 'there are none'
    return '\n'.join(f'{"*" if name == self._set.active else " "} {name}' for name in self._set.names)

  def help(self) -> str:
    """Lists the commands."""
    lines = [f'{usage:<16}{what}' for usage, what, _, _ in COMMANDS.values()]
    return '\n'.join([*lines, 'Any other line is a prompt; one that begins with a slash is written with two.'])

  def quit(self) -> str:
    """Ends the session."""
    self.ended = True
    return ''


# name -> (usage, what it does, words that may stand behind it, how)
COMMANDS: dict[str, tuple[str, str, int, Callable[..., str]]] = {
  '/adapter': ('/adapter NAME', 'puts an adapter on the model; without a name takes it off', 1, Session.adapter),
  '/adapters': ('/adapters', 'lists the adapters, a star at the one in use', 0, Session.adapters),
  '/greedy': ('/greedy', 'takes the likeliest token at every step', 0, Session.greedy),
  '/beam': ('/beam N', 'searches with N beams', 1, Session.beam),
  '/sample': ('/sample T', 'draws tokens at temperature T', 1, Session.sample),
  '/help': ('/help', 'lists the commands', 0, Session.help),
  '/quit': ('/quit', 'ends, as Ctrl-D does', 0, Session.quit),
}


def _number(kind: type, text: str, example: str) -> Any:
  try:
    return kind(text)
  except ValueError as error:
    raise UserError(f'{text!r} is no {"whole " if kind is int else ""}number: write it as in {example}.') from error


def converse(session: Session) -> None:
  """Reads lines from standard input and prints what they are answered with, until they end or the user ends."""
  for line in _lines():
    if not line.strip():
      continue
    try:
      said = session.respond(line.strip())
    except UserError as error:
      said = f'error: {error}'
    except KeyboardInterrupt:
      said = 'interrupted'
    if session.ended:
      return
    print(said, flush=True)


def _lines() -> Iterator[str]:
  """Yields what is typed at a prompt, with history and editing where there is readline, or the lines of a pipe.

  Ctrl-C at the prompt drops the line, Ctrl-D ends.
  """
  if not sys.stdin.isatty():
    yield from sys.stdin
    return
  with contextlib.suppress(ImportError):
    import readline  # noqa: F401  input() uses it once it is there
  print('A line is a prompt; /help lists the commands, Ctrl-D ends.')
  while True:
    try:
      yield input(PROMPT)
    except KeyboardInterrupt:
      print()
    except EOFError:
      print()
      return
