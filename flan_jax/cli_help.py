"""What --help says of the macros: taken from the gin files, whose comments are the one place that explains them."""

from flan_jax import gin_text

MODEL_MACROS = 'models/base_t5.gin'


def macro_help(default_file: str) -> str:
  """Returns the tables of the macros that a run file sets, and of those that the model files set.

  Args:
    default_file: e.g. 'runs/finetune.gin'.
  """
  return '\n'.join([
    f'macros of {default_file}, set by --gin.NAME=VALUE:',
    _table(default_file),
    '',
    f'macros of the model files ({MODEL_MACROS}):',
    _table(MODEL_MACROS),
    '',
    'gin files by folder, for --gin_file=FOLDER/NAME.gin:',
    *_files(),
  ])  # fmt: skip


def _table(filename: str) -> str:
  lines = gin_text.macro_lines(gin_text.expand(filename))
  cells = [(line.name, 'required' if line.value == gin_text.REQUIRED else line.value, line.comment) for line in lines]
  width = max(len(name) for name, _, _ in cells)
  return '\n'.join(f'  {name.ljust(width)}  {comment} [{value}]' for name, value, comment in cells)


def _files() -> list[str]:
  folders = sorted({path.parent for path in gin_text.PACKAGED.glob('*/*.gin')})
  return [f'  {folder.name + "/":<13} {" ".join(sorted(path.stem for path in folder.glob("*.gin")))}'
          for folder in folders if folder.name != 'runs']
