"""Inference: a checkpoint answers the lines of a file or the rows of a task, written as T5X writes them."""

import functools
import json
import pathlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
import seqio

from flan_jax.data.vocabulary import active_vocabulary
from flan_jax.errors import UserError, did_you_mean
from flan_jax.models import Generator, T5Config
from flan_jax.runs import parts
from flan_jax.runs.judge import folder_for
from flan_jax.runs.mixed import MixedGenerator
from flan_jax.training import initial


def infer(
  *,
  checkpoint_path: str,
  adapter_path: str | None = None,
  adapters: Mapping[str, str] | None = None,
  infer_output_dir: str,
  model: T5Config,
  vocabulary: seqio.Vocabulary,
  input_file: str | None = None,
  mixture_or_task_name: str | None = None,
  mixture_or_task_module: str | Sequence[str] = parts.TASK_MODULES,
  task_feature_lengths: Mapping[str, int] | None = None,
  split: str = 'test',
  examples: int | None = None,
  method: str = 'greedy',
  max_decode_len: int = 64,
  num_beams: int = 4,
  alpha: float = 0.6,
  temperature: float = 1.0,
  top_k: int = 0,
  top_p: float = 1.0,
  batch_size: int = 32,
  random_seed: int = 0,
  dry_run: bool = False,
) -> list[pathlib.Path]:
  """Writes `<name>-predict.jsonl-00000-of-00001`, one line for each input, and a `.COMPLETED` file beside it.

  Args:
    checkpoint_path: a run folder of ours or one of its checkpoints.
    adapter_path: an adapter to put on that model.
    adapters: folders of several adapters by name, of which each line of `input_file` chooses one.
    infer_output_dir: where predictions go.
    model: the network.
    vocabulary: of the model.
    input_file: one prompt a line; or JSON lines with a field `inputs`, where the name ends in .jsonl. With `adapters`
      JSON lines also have a field `adapter` (none or null for the model as it is), or the file is a .tsv with adapter
      and prompt.
    mixture_or_task_name: answer the rows of this task instead.
    mixture_or_task_module: modules that register tasks.
    task_feature_lengths: inputs longer than `inputs` are cut, and counted.
    split: which rows of the task.
    examples: at most this many inputs.
    method: 'greedy', 'sample' or 'beam'.
    max_decode_len: tokens to write at most.
    num_beams: of beam search.
    alpha: of beam search's length penalty.
    temperature: of sampling.
    top_k: sample among this many best tokens; 0 for all.
    top_p: sample among the tokens that hold this much probability.
    batch_size: inputs decoded at once.
    random_seed: of sampling and of template draws.
    dry_run: read the inputs and check the checkpoint, write nothing.

  Returns:
    The files written.

  Raises:
    UserError: where there is no input, or both kinds, or something cannot be read.
  """
  parts.use_tasks(mixture_or_task_module)
  make_model = parts.model_maker(model, vocabulary)
  if (input_file is None) == (mixture_or_task_name is None):
    raise UserError('Give either INPUT_FILE or MIXTURE_OR_TASK_NAME to infer on.')
  if adapters is not None and (adapter_path is not None or input_file is None):
    raise UserError('ADAPTERS is for an INPUT_FILE whose lines name their adapter, without ADAPTER_PATH.')
  if input_file is not None:
    named = {pathlib.Path(input_file).stem: list(read_prompts(input_file, adapters))[:examples]}
  else:
    names = parts.evaluation_tasks(str(mixture_or_task_name))
    parts.check_split(names, split)
    initial.find_checkpoint(checkpoint_path)  # a mistake is told before the rows of many templates are read
    tasks = parts.read_tasks(names, split, examples, task_feature_lengths, random_seed)
    named = {name: [{'inputs': row.inputs_pretokenized, 'targets': row.targets_pretokenized, 'row_id': row.row_id}
                    for row in rows] for name, rows in zip(names, tasks, strict=True)}
  network = initial.restore_model(checkpoint_path, make_model, adapter_path)
  generator = Generator(
    network, method=method, max_decode_len=max_decode_len, eos_id=vocabulary.eos_id, batch_size=batch_size,
    num_beams=num_beams, alpha=alpha, temperature=temperature, top_k=top_k, top_p=top_p, seed=random_seed,
  )  # fmt: skip
  mixed = MixedGenerator(generator, network, adapters) if adapters else None
  if dry_run:
    return []
  folder, limit = folder_for(infer_output_dir), (task_feature_lengths or {}).get('inputs')
  written = []
  for name, prompts in named.items():
    generate = functools.partial(mixed, names=[row.get('adapter') for row in prompts]) if mixed else generator
    written.append(write_predictions(folder, name, answer(generate, prompts, limit)))
  return written


def read_prompts(path: str, adapters: Collection[str] | None = None) -> Iterator[dict[str, str]]:
  """Yields {'inputs': text} for every line of a text file, or the objects of a .jsonl file.

  Args:
    path: of the file.
    adapters: names that lines may choose from, which a .jsonl file does by a field `adapter` and a .tsv file by its
      first column (empty for none); None where there are none to choose from.

  Raises:
    UserError: where the file cannot be read, a line is no object with `inputs`, or names no adapter that there is.
  """
  if adapters is not None and not path.endswith(('.jsonl', '.tsv')):
    raise UserError(f'INPUT_FILE: the lines of {path!r} name no adapter: with ADAPTERS it must be .jsonl or .tsv.')
  try:
    lines = pathlib.Path(path).read_text(encoding='utf-8').splitlines()
  except (OSError, UnicodeDecodeError) as error:
    cause = error.strerror if isinstance(error, OSError) else error
    raise UserError(f'INPUT_FILE: cannot read {path!r} ({cause}).') from error
  if not lines:
    raise UserError(f'INPUT_FILE: {path!r} is empty.')
  for number, line in enumerate(lines, 1):
    record = _record(line, f'{path}:{number}', path.endswith('.jsonl'), adapters is not None)
    name = record.get('adapter')
    if adapters is not None and name is not None and name not in list(adapters):  # JSON may hold what has no hash
      raise UserError(f'{path}:{number}: there is no adapter {name!r}. {did_you_mean(str(name), adapters)}')
    yield record


def _record(line: str, place: str, is_json: bool, names_adapter: bool) -> dict[str, str]:
  if is_json:
    try:
      record = json.loads(line)
      return {**record, 'inputs': str(record['inputs'])}
    except (ValueError, KeyError, TypeError) as error:
      raise UserError(f'{place}: expected a JSON object with a field "inputs".') from error
  if not names_adapter:
    return {'inputs': line}
  name, tab, text = line.partition('\t')
  if not tab:
    raise UserError(f'{place}: expected an adapter (or nothing), a tab, and the prompt.')
  return {'inputs': text, **({'adapter': name} if name else {})}


def answer(
  generator: Callable[[list[np.ndarray]], list[list[int]]], prompts: Sequence[Mapping[str, str]], limit: int | None
) -> Iterator[dict[str, object]]:
  """Yields each prompt's record with its `prediction`; a prompt that was cut says so."""
  vocabulary = active_vocabulary()
  tokens = [vocabulary.encode(prompt['inputs']) for prompt in prompts]
  cut = [limit is not None and len(row) > limit - 1 for row in tokens]
  rows = [np.array([*row[: limit and limit - 1], vocabulary.eos_id], np.int32) for row in tokens]
  for prompt, continuation, was_cut in zip(prompts, generator(rows), cut, strict=True):
    yield {**prompt, 'prediction': vocabulary.decode(continuation), **({'inputs_truncated': True} if was_cut else {})}


def write_predictions(folder: pathlib.Path, name: str, records: Iterable[Mapping[str, object]]) -> pathlib.Path:
  """Writes one JSON line a record under T5X's name, whole or not at all, then the mark of completion."""
  path = folder / f'{name}-predict.jsonl-00000-of-00001'
  partial = path.with_name(path.name + '.partial')
  with partial.open('w', encoding='utf-8') as file:
    for record in records:
      file.write(json.dumps(record, ensure_ascii=False) + '\n')
  partial.replace(path)
  (folder / f'{name}-predict.jsonl.COMPLETED').touch()
  return path
