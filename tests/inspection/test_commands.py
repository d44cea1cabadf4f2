"""What the script prints, what it refuses, and how soon it helps."""

import re
import subprocess
import sys

import pytest

from scripts import inspect_tasks


@pytest.fixture
def run(untouched, capfd):
  """Runs a command and returns its exit code and what it printed."""

  def call(*flags, data_dir=untouched):
    capfd.readouterr()
    code = inspect_tasks.main([*flags, f'--tfds_data_dir={data_dir}'])
    streams = capfd.readouterr()
    return code, streams.out, streams.err

  return call


def test_list_shows_all_of_flan_2021(run):
  code, out, _ = run('list', 'flan2021')
  assert code == 0
  assert len(re.findall(r'^flan2021\.\w+ ', out, re.MULTILINE)) == 70
  assert '70 datasets in 17 clusters, 700 templates (139 inverted). Rows of 0 of them are here' in out
  assert re.search(r'flan2021\.wsc273 +coreference +options +wsc273:1\.0\.0 +10 +1 +none +none +-', out)


def test_list_says_how_many_rows_are_here(run):
  _, out, _ = run('list')
  assert re.search(r'quickstart_synonym +closed_book_qa +options +\S+ +6 +0 +5,960 +40 +600', out)
  assert re.search(r'quickstart_nli +nli +options +\S+ +10 +0 +- +- +-', out)
  assert '21 datasets in 9 clusters, 138 templates (0 inverted). Rows of 3 of them are here' in out


def test_list_of_clusters_has_a_line_for_each(run):
  code, out, _ = run('list', '--clusters', 'flan2021')
  assert code == 0 and len(re.findall(r'^flan2021\.\w+ ', out, re.MULTILINE)) == 17
  assert re.search(r'flan2021\.nli +rte cb .* paraphrase +10 +100', out)


def test_list_of_a_dataset_says_what_its_tasks_are_called(run):
  _, out, _ = run('list', 'flan2021.rte')
  assert '424 tasks' in out and 'template_0 ... template_9 first_1 first_2 first_4 first_7 round_robin' in out
  assert re.search(r'exemplars +1shot 2shot 3shot 5shot 10shot fewshot\n +options +no_options\n +ranked +rank\n', out)
  assert 'never ranked): 8, 9' in out
  _, out, _ = run('list', 'flan2021.squad_v1')
  assert 'rank\n' not in out and 'no_options' not in out


def test_show_prints_examples_with_their_origin(run):
  code, out, _ = run('show', 'quickstart_synonym', '--template=3', '--n=2', '--split=test')
  assert code == 0 and out.count('quickstart_synonym.template_3  template 3\n') == 2
  assert re.search(r'row +flan_quickstart-test\.tfrecord-00000-of-00001__0\noptions +(yes \| no|no \| yes)\n', out)
  assert re.search(r'answer +(yes|no)\n', out)
  assert re.search(r'inputs, \d+ tokens:\nFirst word: ', out)
  assert '2 from test of quickstart_synonym.template_3 (flan_quickstart/synonym:1.0.0). Lengths: bytes' in out


def test_show_marks_what_would_be_cut(run):
  _, out, _ = run('show', 'quickstart_synonym.template_3', '--n=1', '--inputs_length=20')
  assert re.search(r'inputs, \d+ tokens, CUT:\nFirst word: \w+[^✂]*✂[^✂]+✂\n', out)


def test_show_names_exemplars_and_says_which_target_is_right(run):
  _, out, _ = run('show', 'quickstart_synonym.2shot.rank', '--n=1', '--seed=3')
  assert len(re.search(r'exemplars +(.*)\n', out)[1].split()) == 2
  assert len(re.findall(r'targets, \d tokens, right:', out)) == len(re.findall(r'targets, \d tokens, wrong:', out)) == 1


@pytest.mark.parametrize(('flags', 'told'), [
  (('show', 'quickstart_synonim'), "no task or mixture 'quickstart_synonim'. Did you mean 'quickstart_synonym"),
  (('show', 'quickstart_synonym', '--template=6'), "--template: 'quickstart_synonym' has the templates 0 to 5, not 6."),
  (('show', 'quickstart_synonym.fields_only', '--template=1'), 'shows no template'),
  (('show', 'flan2021.rte.rank', '--template=8'), 'template 8 is inverted: its target is not the answer'),
  (('show', 'flan2021'), "'flan2021' is a mixture of 70 tasks; name one, e.g. 'flan2021.aeslc', or write a page"),
  (('show', 'flan2021.rte'), "Dataset 'rte': super_glue/rte/1.0.2 is not prepared in"),
  (('show', 'flan2021.wsc273', '--split=train'), "--split: 'flan2021.wsc273' has no 'train' rows; it has test."),
  (('show', 'flan2021', '--html=out.html'), "none of the 70 datasets of 'flan2021' has rows here"),
  (('show', 'quickstart_synonym', '--html=/nonexistent/out.html'), "--html: cannot write '/nonexistent/out.html'"),
  (('show', 'quickstart_synonym', '--vocabulary=nofile'), "cannot read a SentencePiece model from 'nofile'"),
  (('list', 'quickstart.nly'), "Did you mean 'quickstart.nli"),
  (('lint', '--module=my_taks'), "--module: cannot import 'my_taks'"),
])  # fmt: skip
def test_a_mistake_is_one_line(run, flags, told):
  code, out, err = run(*flags)
  (line,) = err.splitlines()
  assert code == 2 and line.startswith('error: ') and told in line and not out


def test_a_folder_that_is_not_there_is_a_mistake(run):
  code, _, err = run('list', data_dir='/nonexistent')
  assert (code, err) == (2, "error: --tfds_data_dir: there is no folder '/nonexistent'.\n")


@pytest.mark.parametrize(('flags', 'told'), [
  (['frob'], "invalid choice: 'frob'"), (['show', 'a', '--n=0'], 'argument --n: must be at least 1, not 0'),
  (['show'], 'the following arguments are required: NAME'), (['lint', '--row=3'], 'unrecognized arguments: --row=3'),
  (['show', 'a', '--split=dev'], "argument --split: invalid choice: 'dev'"), ([], 'required: COMMAND'),
])  # fmt: skip
def test_wrong_flags_exit_with_2(capfd, flags, told):
  with pytest.raises(SystemExit) as stopped:
    inspect_tasks.main(flags)
  assert stopped.value.code == 2 and told in capfd.readouterr().err


@pytest.mark.parametrize('flags', [['--help'], ['show', '--help'], ['lint', '--help']])
def test_help_imports_nothing_heavy(flags):
  program = (f'import sys\nfrom scripts import inspect_tasks\ntry:\n  inspect_tasks.main({flags})\n'
             "except SystemExit:\n  pass\nsys.exit('tensorflow' in sys.modules or 'jax' in sys.modules)")  # fmt: skip
  assert subprocess.run([sys.executable, '-c', program], check=False, capture_output=True).returncode == 0
