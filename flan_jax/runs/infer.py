"""Inference: a checkpoint answers the lines of a file or the rows of a task, written as T5X writes them."""

import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import seqio
from rich import console as rich_console

from flan_jax.data.vocabulary import identity_of
from flan_jax.errors import UserError
from flan_jax.models import Generator, T5Config
from flan_jax.peft.digest import fingerprint
from flan_jax.peft.partition import named_variables
from flan_jax.runs import parts
from flan_jax.runs.answers import Answerer
from flan_jax.runs.judge import folder_for
from flan_jax.runs.mixed import MixedGenerator
from flan_jax.runs.predictions_file import PredictionsFile
from flan_jax.runs.prompts import PromptFile, Prompts, TaskPrompts
from flan_jax.runs.row_progress import RowProgress
from flan_jax.training import initial
from flan_jax.training.progress import duration


def infer(
  *,
  checkpoint_path: str,
  adapter_path: str | None = None,
  adapters: Mapping[str, str] | None = None,
  force_adapter: bool = False,
  infer_output_dir: str | None = None,
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
  beam_rules: str = 't5x',
  early_stopping: bool | str = False,
  temperature: float = 1.0,
  top_k: int = 0,
  top_p: float = 1.0,
  batch_size: int = 32,
  window_batches: int = 64,
  random_seed: int = 0,
  dry_run: bool = False,
) -> list[pathlib.Path]:
  """Writes `<name>-predict.jsonl-00000-of-00001`, one line for each input, and a `.COMPLETED` file beside it.

  The inputs are read, answered and written in windows. Rows of a window are batched by length and written in the order
  of the inputs. The same command continues behind the last whole window of a run that was stopped, and does nothing
  where all is done; inputs, settings or weights that differ from those of the output begin it anew.

  Args:
    checkpoint_path: see `initial.open_weights`.
    adapter_path: an adapter to put on that model.
    adapters: folders of several adapters by name, of which each line of `input_file` chooses one.
    force_adapter: put them on a base that they were not trained on, too.
    infer_output_dir: where predictions go.
    model: the network.
    vocabulary: of the model.
    input_file: one prompt a line; or a .jsonl or .tsv (`prompts.PromptFile`); or '-' for standard input. With
      `adapters` its lines also name one (none or null for the model as it is).
    mixture_or_task_name: answer the rows of this task instead.
    mixture_or_task_module: modules that register tasks.
    task_feature_lengths: inputs longer than `inputs` are cut, and counted.
    split: which rows of the task.
    examples: at most this many inputs.
    method: 'greedy', 'sample' or 'beam'.
    max_decode_len: tokens to write at most.
    num_beams: of beam search.
    alpha: of beam search's length penalty, which chooses among beams and is not part of the score that is written.
    beam_rules: of beam search, 't5x' or 'huggingface', which writes the tokens of `transformers.generate`.
    early_stopping: of Hugging Face's beam search: False, True or 'never'.
    temperature: of sampling.
    top_k: sample among this many best tokens; 0 for all.
    top_p: sample among the tokens that hold this much probability.
    batch_size: inputs decoded at once.
    window_batches: batches of a window; more of them waste less on padding, and lose more when the run is killed.
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
  if infer_output_dir is None:
    raise UserError('INFER_OUTPUT_DIR has no value: pass --gin.INFER_OUTPUT_DIR=FOLDER.')
  if window_batches < 1:
    raise UserError(f'window_batches must be at least 1, not {window_batches}.')
  if input_file is not None:
    asked: list[Prompts] = [PromptFile(input_file, adapters, examples)]
  else:
    names = parts.evaluation_tasks(str(mixture_or_task_name))
    parts.check_split(names, split)
    initial.open_weights(checkpoint_path)  # a mistake is told before the rows of many templates are read
    tasks = parts.read_tasks(names, split, examples, task_feature_lengths, random_seed)
    asked = [*map(TaskPrompts, names, tasks)]
  network = initial.restore_model(checkpoint_path, make_model, adapter_path, force_adapter=force_adapter)
  weights = fingerprint({name: variable.get_value() for name, (_, variable) in named_variables(network).items()})
  generator = Generator(
    network, method=method, max_decode_len=max_decode_len, eos_id=vocabulary.eos_id, batch_size=batch_size,
    num_beams=num_beams, alpha=alpha, beam_rules=beam_rules, early_stopping=early_stopping, temperature=temperature,
    top_k=top_k, top_p=top_p, seed=random_seed,
  )  # fmt: skip
  mixed = MixedGenerator(generator, network, adapters, force=force_adapter) if adapters else None
  if dry_run:
    return []
  limit = (task_feature_lengths or {}).get('inputs')
  identity = {
    'weights': weights, 'adapters': mixed.identity if mixed else None, 'model': repr(model),
    'vocabulary': identity_of(vocabulary), 'inputs length': limit, 'window_batches': window_batches,
    **generator.settings,
  }  # fmt: skip
  folder, answerer = folder_for(infer_output_dir), Answerer(mixed or generator, vocabulary, limit)
  return [answer(folder, prompts, answerer, identity, window_batches * batch_size) for prompts in asked]


def answer(
  folder: pathlib.Path, prompts: Prompts, answerer: Answerer, identity: Mapping[str, Any], window: int
) -> pathlib.Path:
  """Answers prompts window by window, from where an earlier process stopped.

  Args:
    folder: gets the predictions.
    prompts: any number.
    answerer: of the model.
    identity: what decides the answers beside the prompts, by name, as JSON.
    window: records that are batched and written together.

  Returns:
    The file.
  """
  console = rich_console.Console(stderr=True)

  def say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)

  made_from = {'inputs': prompts.digest, **identity}
  with PredictionsFile(folder, prompts.name, made_from, prompts.count, say) as output:
    if output.complete:
      say(f'{output.path}: all {output.rows:,} rows are there, made from the same; nothing to do')
      return output.path
    began = output.rows
    with RowProgress(prompts.name, prompts.count, began, console=console) as progress:
      records = prompts.records(began)
      try:
        while rows := list(itertools.islice(records, window)):
          output.append(answerer(rows, output.rows, progress.advance))
      except KeyboardInterrupt:
        progress.message(f'stopped behind row {output.rows:,} of {prompts.count:,}: the same command continues there')
        raise
    output.finish()
  say(f'{output.path}: {output.rows:,} rows, {output.rows - began:,} of them now in {duration(progress.elapsed)} '
      f'({progress.rate:,.1f} rows/s)')
  for mark, what in (('inputs_truncated', 'inputs were cut to TASK_FEATURE_LENGTHS'),
                     ('prediction_truncated', 'predictions were stopped at MAX_DECODE_LEN before they ended')):
    if output.counts[mark]:
      say(f'{output.counts[mark]:,} of {output.rows:,} {what}, marked {mark!r}')
  return output.path
