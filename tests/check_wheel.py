"""Builds the wheel, installs it in a fresh environment outside the checkout, and runs one command from it."""

import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main() -> None:
  """Raises where any of the steps fails."""
  with tempfile.TemporaryDirectory() as folder:
    subprocess.run([sys.executable, '-m', 'build', '--wheel', '--outdir', folder, str(ROOT)], check=True,
                   stdout=subprocess.DEVNULL)
    (wheel,) = pathlib.Path(folder).glob('*.whl')
    # The environment sees the packages of this one, which the lock pinned, but not the checkout.
    venv = pathlib.Path(folder) / 'venv'
    subprocess.run([sys.executable, '-m', 'venv', str(venv)], check=True)
    (site,) = venv.glob('lib/python*/site-packages')
    packages = [path for path in sys.path if path.endswith('site-packages')]
    (site / 'locked.pth').write_text('\n'.join(packages) + '\n')
    python = str(venv / 'bin' / 'python')
    subprocess.run([python, '-m', 'pip', 'install', '--quiet', '--no-deps', '--force-reinstall', str(wheel)],
                   check=True)
    where = subprocess.run([python, '-c', 'import flan_jax; print(flan_jax.__file__)'], check=True, cwd=folder,
                           capture_output=True, text=True).stdout.strip()
    if not where.startswith(str(venv)):
      raise SystemExit(f'the wheel is not what was imported: {where}')
    # A page that needs a style sheet which the wheel lacks fails here.
    page = 'from flan_jax.evaluation import report; print(report.write_report("page.html", "A page", []))'
    subprocess.run([python, '-c', page], check=True, cwd=folder)
    run = subprocess.run(
      [python, '-m', 'scripts.train', '--dry_run', '--gin_file=models/quickstart.gin', '--gin.TRAIN_STEPS=1',
       '--gin.MIXTURE_OR_TASK_NAME=quickstart_synonym', f'--gin.MODEL_DIR={folder}/run', '--gin.BATCH_SIZE=8',
       "--gin.TASK_FEATURE_LENGTHS={'inputs': 64, 'targets': 16}", f'--tfds_data_dir={folder}'],
      check=True, cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    print(run.stdout)
  print('the wheel installs and runs')


if __name__ == '__main__':
  main()
