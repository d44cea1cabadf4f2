"""Reading gin: where files are found, what flags mean, and that all mistakes are told at once, each at its line."""

import gin
import pytest

from flan_jax import cli, gin_check, gin_files, gin_text
from flan_jax.errors import UserError


def double(number=1, *, scale=2.0):
  return number * scale


def anything(**options):
  return options


@pytest.fixture(scope='module')
def known():
  with gin.unlock_config():  # a test before this one may have parsed a configuration, which locks the registry
    return {f'probe.{f.__name__}': gin.external_configurable(f, module='probe') for f in (double, anything)}


@pytest.fixture(autouse=True)
def clean():
  yield
  gin.clear_config()


def write(folder, **files):
  for name, text in files.items():
    (folder / f'{name}.gin').write_text(text)
  return [str(folder)]


def problems_of(known, files, bindings=(), search_paths=()):
  with pytest.raises(UserError) as caught:
    gin_files.load(gin_files.Sources(files, bindings, search_paths), known)
  return str(caught.value).splitlines()


def test_later_files_win_over_earlier_ones_and_flags_over_all(known, tmp_path):
  search = write(tmp_path, a='N = 1\nprobe.double.number = %N\nprobe.double.scale = 3.0\n', b='N = 2\n')
  gin_files.load(gin_files.Sources(['a.gin', 'b.gin'], [], search), known)
  assert gin.get_configurable('probe.double')() == 6.0
  gin_files.load(gin_files.Sources(['a.gin', 'b.gin'], ['N=5'], search), known)
  assert gin.get_configurable('probe.double')() == 15.0


def test_a_second_configuration_keeps_nothing_of_the_first(known, tmp_path):
  search = write(tmp_path, a='probe.double.number = 4\n', b='probe.double.scale = 1.0\n')
  gin_files.load(gin_files.Sources(['a.gin'], [], search), known)
  gin_files.load(gin_files.Sources(['b.gin'], [], search), known)
  assert gin.get_configurable('probe.double')() == 1.0


def test_included_files_stand_where_the_include_line_stood(known, tmp_path, caplog):
  search = write(tmp_path, inner='N = 1\nM = 1\n', outer="N = 0\ninclude 'inner.gin'\nM = 2\nprobe.double.number = %N\n"
                                                         'probe.double.scale = %M\n')
  gin_files.load(gin_files.Sources(['outer.gin'], [], search), known)
  assert gin.get_configurable('probe.double')() == 2
  assert not caplog.records  # gin's own search logs "Path not found" as an error


def test_packaged_files_are_found_by_their_name_from_anywhere(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert gin_text.find('runs/finetune.gin').parent == gin_text.PACKAGED / 'runs'


def test_a_search_path_comes_before_the_packaged_files(tmp_path):
  (tmp_path / 'runs').mkdir()
  (tmp_path / 'runs' / 'finetune.gin').write_text('# mine\n')
  assert gin_text.find('runs/finetune.gin', [str(tmp_path)]).read_text() == '# mine\n'


@pytest.mark.parametrize(('flag', 'value'), [
  ('N=/tmp/run', "'/tmp/run'"), ('N=a b', "'a b'"), ('N=3', '3'), ('N=1e-3', '1e-3'), ('N=None', 'None'),
  ('N=%M', '%M'), ('N=@probe.double', '@probe.double'), ("N={'a': 1}", "{'a': 1}"), ('N=gs://b/c', "'gs://b/c'"),
  ("N='x=y'", "'x=y'"), ('N=x=y', "'x=y'"), ('N=(1,', '(1,'),
])  # fmt: skip
def test_a_flag_is_quoted_only_where_it_can_only_be_text(flag, value):
  assert gin_files.normalize(flag) == f'N = {value}'


@pytest.mark.parametrize('flag', ['N', 'N=', 'N= '])
def test_a_flag_without_a_value_is_refused(flag):
  with pytest.raises(UserError, match='NAME=VALUE'):
    gin_files.normalize(flag)


def test_all_mistakes_are_told_at_once_each_at_its_line(known, tmp_path):
  search = write(tmp_path, a='# comment\nprobe.dubble.number = 1\nprobe.double.nummer = 2\n\n'
                             'probe.double:\n  number = @probe.dobule()\n  scale = [%SCALE, 1]\n')
  found = problems_of(known, ['a.gin', 'b.gin'], ['SCALLE=1', 'probe.double.x=1'], search)
  assert found == [
    "a.gin:2: there is nothing to configure named 'probe.dubble'. Did you mean 'probe.double'?",
    "a.gin:3: probe.double has no parameter 'nummer'. Did you mean 'number'?",
    "a.gin:6: there is nothing to configure named 'probe.dobule'. Did you mean 'probe.double'?",
    f"There is no gin file 'b.gin'. {found[3].partition('. ')[2]}",
    "--gin.probe.double.x: probe.double has no parameter 'x'. Known: number, scale.",
    'SCALE has no value (used at a.gin:7): pass --gin.SCALE=VALUE or a --gin_file that sets it.',
    "SCALLE is set but nothing uses it. Did you mean 'SCALE'?",
  ]


def test_nothing_is_bound_where_there_is_a_mistake(known, tmp_path):
  search = write(tmp_path, good='probe.double.number = 7\n', bad='probe.double.number = 8\nprobe.double.x = 1\n')
  gin_files.load(gin_files.Sources(['good.gin'], [], search), known)
  problems_of(known, ['bad.gin'], [], search)
  assert gin.get_configurable('probe.double')() == 14.0


@pytest.mark.parametrize(('text', 'line'), [
  ('A = 1\nB = \n', 2), ('A = [1,\n2\n', 3), ("A = 'x\n", 1), ('A 3\n', 1), ('A = 1\n\nA = $\n', 3),
  ('A = 1 2\n', 1), ("A = '''\n", 1), ('probe.double:\n  number 3\n', 2), ('include 3\n', 1),
])  # fmt: skip
def test_a_syntax_error_is_one_line_with_file_and_line(known, tmp_path, text, line):
  search = write(tmp_path, broken=text)
  found = [problem for problem in problems_of(known, ['broken.gin'], [], search) if 'nothing uses' not in problem]
  assert len(found) == 1
  assert found[0].startswith(f'broken.gin:{line}: ')


def test_a_syntax_error_of_an_included_file_is_told_at_its_own_place(known, tmp_path):
  search = write(tmp_path, outer="include 'inner.gin'\nprobe.double.x = 1\n", inner='\nB = \n')
  assert [problem.partition(': ')[0] for problem in problems_of(known, ['outer.gin'], [], search)] == [
    'inner.gin:2', 'outer.gin:2']


def test_files_that_include_each_other_are_named(known, tmp_path):
  search = write(tmp_path, a="include 'b.gin'\n", b="include 'a.gin'\n")
  assert problems_of(known, ['a.gin'], [], search) == [
    "b.gin:1: 'a.gin' is being read already: files include each other in a circle."]


def test_an_included_file_that_is_missing_is_told_at_the_include_line(known, tmp_path):
  search = write(tmp_path, a="\ninclude 'runs/finetun.gin'\n")
  (problem,) = problems_of(known, ['a.gin'], [], search)
  assert problem.startswith("a.gin:2: There is no gin file 'runs/finetun.gin'. Did you mean 'runs/finetune.gin'")


def test_a_module_that_cannot_be_imported_is_told_at_its_line(known, tmp_path):
  search = write(tmp_path, a='import no_such_module_here\n')
  (problem,) = problems_of(known, ['a.gin'], [], search)
  assert problem.startswith("a.gin:1: cannot import 'no_such_module_here'")


def test_what_a_packaged_file_sets_may_go_unused_but_a_flag_or_a_macro_of_ones_own_may_not(known, tmp_path):
  search = write(tmp_path, a='LEARNING_RATE = 1.0\nprobe.double.number = 1\n', b='LEARNING_RATTE = 1.0\n')
  gin_files.load(gin_files.Sources(['a.gin'], [], search), known)
  assert problems_of(known, ['a.gin'], ['LEARNING_RATE=1.0'], search) == [
    'LEARNING_RATE is set but nothing uses it.']
  assert problems_of(known, ['b.gin'], [], search) == ['LEARNING_RATTE is set but nothing uses it.']


def test_a_function_that_takes_any_option_takes_any_binding(known):
  gin_files.load(gin_files.Sources([], ['probe.anything.whatever=3']), known)
  assert gin.get_configurable('probe.anything')() == {'whatever': 3}


def test_a_macro_that_stays_required_is_missing_and_one_that_is_set_later_is_not(known, tmp_path):
  search = write(tmp_path, a='N = %gin.REQUIRED\nprobe.double.number = %N\n')
  assert problems_of(known, ['a.gin'], [], search) == [
    'N has no value (used at a.gin:2): pass --gin.N=VALUE or a --gin_file that sets it.']
  gin_files.load(gin_files.Sources(['a.gin'], ['N=3'], search), known)
  assert gin.get_configurable('probe.double')() == 6.0


def test_where_no_model_is_chosen_the_message_names_a_model_file(known):
  (problem,) = problems_of(known, [], ['probe.double.number=%MODEL'])
  assert problem.endswith(f'e.g. --gin_file={gin_check.MODEL_FILE}.')


def test_macro_lines_carry_value_and_comment_as_written():
  text = "# header\nA = 1  # how many\nB = 'x#y'\nf.c = 2  # no macro\nD = %gin.REQUIRED  # needed\n"
  assert gin_text.macro_lines(text) == [('A', '1', 'how many'), ('B', "'x#y'", ''), ('D', '%gin.REQUIRED', 'needed')]


def test_force_is_a_binding_of_the_runs_that_take_an_adapter():
  flags = cli.parser('', 'runs/evaluate.gin')
  cli.add_force(flags)
  assert cli.parse_args(flags, ['--force', '--gin.SPLIT=test']).gin_bindings == ['FORCE_ADAPTER=True', 'SPLIT=test']
  assert cli.parse_args(flags, []).gin_bindings == []
