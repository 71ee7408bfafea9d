"The command `dogscats`, run as a user runs it."
import io, json, os, signal, subprocess, sys
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch
from urllib.request import urlopen

import pandas as pd
import pytest

from dogscats_course import __version__, cli
from dogscats_course.cli import main

def process(*args, cwd=None, **env):
    "Run a command in a process of its own: this takes 6 s to import everything"
    return subprocess.run([sys.executable, '-m', 'dogscats_course', *map(str, args)], cwd=cwd, env={**os.environ, **env}, text=True, encoding='utf-8', errors='replace', capture_output=True)

def dogscats(*args, cwd='.', **env):
    "Run a command in this process"
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), chdir(cwd), patch.dict(os.environ, env): status = main([str(a) for a in args])
    return SimpleNamespace(returncode=status, stdout=out.getvalue(), stderr=err.getvalue())

def inside(*args):
    r = dogscats(*args)
    return r.returncode, r.stdout, r.stderr

@pytest.mark.parametrize('command', [[], ['train'], ['data'], ['data', 'drawn'], ['data', 'check'], ['data', 'sort-kaggle'], ['data', 'cache'], ['predict'], ['publish'], ['lessons'], ['doctor']])
def test_help(command):
    r = dogscats(*command, '--help')
    assert r.returncode == 0 and 'example: dogscats' in r.stdout

def test_help_needs_no_torch():
    code = "import sys, dogscats_course.cli as c; c._parser().format_help(); sys.exit(any(m in sys.modules for m in ('torch', 'fastai', 'numpy')))"
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0

def test_version(): assert process('--version').stdout.strip() == f'dogscats {__version__}'

def test_train(drawn, tmp_path):
    "In a process of its own, whose output goes to a pipe: no bars, no warnings"
    r = subprocess.run([sys.executable, '-m', 'dogscats_course', 'train', drawn, '--size', '64', '--epochs', '2', '--fine-tune', '0', '--limit', '8'], cwd=tmp_path, capture_output=True)
    out, err = r.stdout.decode(), r.stderr.decode()
    assert r.returncode == 0, err
    runs = [p for p in (tmp_path/'runs').iterdir() if p.name != 'latest']
    assert len(runs) == 1 and (runs[0]/'metrics.json').is_file() and runs[0].name in out
    if sys.platform != 'win32': assert (tmp_path/'runs/latest').resolve() == runs[0]
    assert [p.name for p in tmp_path.iterdir()] == ['runs'] and 'Warning' not in err
    assert os.linesep != '\n' or '\r' not in out + err
    assert '█' not in out + err and not list(tmp_path.rglob('.dogscats-*'))

def test_another_architecture_is_trained_and_predicts(drawn, tmp_path):
    "With random weights, because no others are at hand; the model says which network it is"
    r = dogscats('train', drawn, '--arch', 'resnet18', '--weights', 'none', '--size', '64', '--epochs', '1', '--fine-tune', '0', cwd=tmp_path)
    assert r.returncode == 0 and 'Accuracy' in r.stdout, r.stderr
    model = tmp_path/'runs'/'latest'/'model'
    assert json.loads((model/'config.json').read_text())['arch'] == 'resnet18'
    r = dogscats('predict', model, drawn/'valid')
    assert r.returncode == 0 and len(r.stdout.splitlines()) == 17, r.stderr

def test_weights_are_not_downloaded_unless_asked_for(drawn, tmp_path):
    r = dogscats('train', drawn, '--arch', 'resnet18', cwd=tmp_path, TORCH_HOME=str(tmp_path/'torch'))
    assert r.returncode == 2 and 'not on this machine' in r.stderr and '--weights imagenet' in r.stderr and not list(tmp_path.iterdir())

@pytest.mark.parametrize('args', [['--epochs', '0'], ['--bs', '0'], ['--size', '31'], ['--limit', '0'], ['--epochs', 'many'], ['--fine-tune', '-1'], ['--weights', 'nowhere.pth'], ['--arch', 'resnet81'], ['--arch', ''], ['--arch', 'vit_b_16'], ['--arch', 'resnet18', '--weights', 'bundled'], ['nowhere']])
def test_bad_options(drawn, tmp_path, args, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = inside('train', *([] if args == ['nowhere'] else [drawn]), *args)
    assert status == 2 and 'Traceback' not in err and len(err.strip().splitlines()[-1]) < 300
    assert not list(tmp_path.iterdir())

@pytest.mark.parametrize('option, most', [('--size', '4,096'), ('--epochs', '100,000'), ('--fine-tune', '100,000'), ('--seed', '4,294,967,295'), ('--bs', '1,000,000,000'), ('--limit', '1,000,000,000')])
@pytest.mark.parametrize('number', ['5000', '1000000', 2**31, 2**32, 10**20, '9'*5000, '-1', '1e3', '', 'nan', '0x40', '٣x'])
def test_numbers_out_of_range_are_refused_with_the_limit(option, most, number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, '_train_command', lambda args: 0)
    status, _, err = inside('train', option, number)
    if status == 0:
        assert int(number) <= int(most.replace(',', ''))
        return
    line = err.splitlines()[-1]
    assert status == 2 and (f'at most {most}' in line or 'at least' in line or 'whole number' in line) and len(line) < 200
    assert not list(tmp_path.iterdir())

def test_a_hundred_runs_in_the_same_second_have_different_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(cli.time, 'strftime', lambda form: '2027-01-31_12-00-00')
    for i in range(101):
        with cli._run_folder(tmp_path) as run: (run/'model').touch()
    assert len(list(tmp_path.iterdir())) == 101 and all([f.name for f in run.iterdir()] == ['model'] for run in tmp_path.iterdir())

@pytest.mark.parametrize('there', [False, True])
@pytest.mark.parametrize('error', [KeyboardInterrupt, MemoryError])
def test_a_failed_run_leaves_the_folder_as_it_was(tmp_path, there, error):
    out = tmp_path/'a'/'runs'
    if there: out.mkdir(parents=True)
    with pytest.raises(error), cli._run_folder(out): raise error
    assert list(out.parent.iterdir()) == [out] if there else not list(tmp_path.iterdir())

def test_a_failed_run_keeps_what_it_has_written(tmp_path):
    with pytest.raises(KeyboardInterrupt), cli._run_folder(tmp_path/'runs') as run:
        (run/'model').mkdir()
        raise KeyboardInterrupt
    assert [f.name for f in run.iterdir()] == ['model']

def test_what_a_killed_run_has_left_is_swept(tmp_path):
    code = 'import os, sys; from dogscats_course.cli import _run_folder; c = _run_folder(sys.argv[1]); c.__enter__(); os._exit(9)'
    subprocess.run([sys.executable, '-c', code, tmp_path])
    (tmp_path/'2027-01-31_12-00-00').mkdir()
    mine = [tmp_path/'notes', tmp_path/'2026-01-31_12-00-00_mine', tmp_path/'2026-01-31_12-00-00']
    for f in mine: f.mkdir()
    (mine[-1]/'model').touch()
    with cli._run_folder(tmp_path) as first, cli._run_folder(tmp_path) as second: assert first.is_dir() and second.is_dir()
    assert sorted(tmp_path.iterdir()) == sorted(mine)

@pytest.mark.parametrize('kind', ['a file', 'a link to nowhere'])
def test_out_that_is_no_folder(tmp_path, kind):
    out = tmp_path/'out'
    out.touch() if kind == 'a file' else out.symlink_to('nowhere')
    status, _, err = inside('train', '--out', out)
    assert status == 2 and 'is not a folder' in err and [f.name for f in tmp_path.iterdir()] == ['out']

# --- names ---

def test_home_and_patterns_are_expanded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', str(tmp_path/'home'))
    monkeypatch.setenv('USERPROFILE', str(tmp_path/'home'))
    for name in ('home/a.jpg', 'home/b.jpg', 'c.jpg', 'd.jpg', 'x[1].jpg', 'x1.jpg'):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    home = str(tmp_path/'home')
    assert cli._paths('~/*.jpg') == [os.path.join(home, 'a.jpg'), os.path.join(home, 'b.jpg')]
    assert cli._paths('[cd].jpg') == ['c.jpg', 'd.jpg'] and cli._paths('**/a.jpg') == [os.path.join('home', 'a.jpg')]
    assert cli._paths('x[1].jpg') == ['x[1].jpg'], 'the file that is really called that'
    assert cli._paths('none*.jpg') == ['none*.jpg'] and cli._one_path('~') == home and cli._new_path('~/p*.csv') == home + '/p*.csv'
    Path('~').mkdir()
    assert cli._one_path('~') == '~' == cli._new_path('~')
    args = cli._parser().parse_args(['predict', '~/b*', 'c.jpg', '~/a*', '--csv', 'p.csv'])
    assert args.photos == [['c.jpg'], [os.path.join(home, 'a.jpg')]] and args.model == os.path.join(home, 'b.jpg')
    for words in (['train', '~/*.jpg'], ['data', 'check', '*.jpg'], ['predict', '*.jpg', 'c.jpg']):
        status, _, err = inside(*words)
        assert status == 2 and 'name one' in err
    for words in (['train', ''], ['predict', 'm', ''], ['predict', '', 'c.jpg'], ['lessons', ''], ['train', '--out', ''], ['data', 'check', '']):
        assert inside(*words)[0] == 2 and 'must not be empty' in inside(*words)[2]

def test_sort_kaggle_takes_numbers(monkeypatch, tmp_path):
    from dogscats_course import kaggle
    calls = []
    monkeypatch.setattr(kaggle, 'sort_kaggle', lambda *args, **kwargs: calls.append((args, kwargs)) or tmp_path)
    monkeypatch.setattr(cli, '_print_layout', lambda path: None)
    assert inside('data', 'sort-kaggle', 'a.zip', 'out', '--valid', 7, '--sample', '3,2')[0] == 0
    assert inside('data', 'sort-kaggle', 'a.zip', 'out')[0] == 0
    assert [c[1] for c in calls] == [dict(valid=7, sample=(3, 2)), dict(valid=1000, sample=(100, 50))]
    for bad in (['--valid', '0'], ['--sample', '3'], ['--sample', '3,x'], ['--sample', '3,-1'], ['--sample', '3,2,1'], ['--sample', '']):
        status, _, err = inside('data', 'sort-kaggle', 'a.zip', 'out', *bad)
        assert status == 2 and err.splitlines()[-1].startswith('dogscats data sort-kaggle: error: argument --')

# --- whatever happens ---

class Panic(BaseException): "as a library in Rust raises it"

def recursion(): return recursion()

@pytest.mark.parametrize('error', [OverflowError('x'), RuntimeError('x\n'*500), RecursionError(), KeyError('x'), StopIteration(), NotImplementedError('x'), AssertionError(),
    AttributeError('x'), UnicodeError('x'), IndexError('x'), TypeError('x'), SystemError('x'), ValueError('from nowhere'), ImportError('x'), Panic('x'), GeneratorExit(), EOFError(), RuntimeError('\udce9')])
def test_what_is_not_foreseen_is_a_sentence(error, monkeypatch):
    def fail(args): raise error
    exec(compile('def doctor(): fail(0)', 'library.py', 'exec'), namespace := dict(fail=fail, __name__='library'))
    monkeypatch.setattr(cli, '_doctor_command', lambda args: namespace['doctor']())
    status, out, err = inside('doctor')
    assert status == 2 and not out and err.startswith('dogscats: This was not foreseen (') and err.count('\n') == 1 and len(err) < 400
    assert type(error).__name__ in err and '/issues' in err and '--debug' in err
    for words in (['--debug', 'doctor'], ['doctor', '--debug']): assert 'Traceback' in inside(*words)[2]
    monkeypatch.setenv('DOGSCATS_DEBUG', '1')
    assert 'Traceback' in inside('doctor')[2]
    monkeypatch.setenv('DOGSCATS_DEBUG', '0')
    assert 'Traceback' not in inside('doctor')[2]

@pytest.mark.parametrize('error, words', [
    (MemoryError(), 'too little memory'), (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 'too little memory'),
    (OSError(28, 'No space left on device'), 'dogscats: No space left on device.'), (OSError(27, 'File too large', 'a.csv'), 'File too large: a.csv.'),
    (PermissionError(13, 'Permission denied', b'a\xe9'), 'a\\xe9.'), (OSError(9, 'Bad file descriptor', 99), 'Bad file descriptor: 99.'), (OSError(), 'OSError'),
    (Exception('Error while serializing: I/O error: No space left on device (os error 28)'), 'dogscats: No space left on device.'), (SystemExit('x'), ''), (SystemExit(1), '')])
def test_what_is_foreseen_is_told_in_its_own_words(error, words, monkeypatch):
    def fail(args): raise error
    monkeypatch.setattr(cli, '_doctor_command', fail)
    status, _, err = inside('doctor')
    assert status == 2 and words in err and 'foreseen' not in err and 'Traceback' not in err

def test_an_error_that_hides_missing_memory(monkeypatch):
    def fail(args):
        try: raise MemoryError
        except MemoryError as e: return e.args[0]
    monkeypatch.setattr(cli, '_doctor_command', fail)
    assert 'too little memory' in inside('doctor')[2]

def test_bottomless_recursion(monkeypatch):
    monkeypatch.setattr(cli, '_doctor_command', lambda args: recursion())
    assert inside('doctor')[0] == 2

@pytest.fixture
def signals_act():
    "Let Ctrl-C and SIGHUP act for one test, in this process and in those it starts, however the tests were started"
    old = [(s, signal.signal(s, action)) for s, action in [(signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)]]
    yield
    for s, action in old: signal.signal(s, action)

@pytest.mark.skipif(sys.platform == 'win32', reason='no such signals')
def test_signals_end_a_command_and_are_put_back(monkeypatch, signals_act):
    before = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGHUP)]
    for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        monkeypatch.setattr(cli, '_doctor_command', lambda args: signal.raise_signal(s))
        status, _, err = inside('doctor')
        assert status == 130 and 'stopped' in err and [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGHUP)] == before
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # by nohup
    try: assert inside('lessons', '--help')[0] == 0 and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally: signal.signal(signal.SIGHUP, before[1])

@contextmanager
def running(*args, **kwargs):
    "Start a command in a process of its own; whatever happens, it does not outlive the test"
    with subprocess.Popen([sys.executable, '-u', '-m', 'dogscats_course', *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding='utf-8', errors='replace', **kwargs) as p:
        try: yield p
        finally: p.kill()

def started(*args, shell='exec "$@"', **kwargs):
    "Run a command in a POSIX shell, which may redirect its output"
    return subprocess.run(['sh', '-c', shell, 'sh', sys.executable, '-m', 'dogscats_course', *map(str, args)], capture_output=True, text=True, errors='replace', **kwargs)

posix = pytest.mark.skipif(not os.path.exists('/dev/full'), reason='needs a POSIX shell and /dev/full')

@posix
@pytest.mark.parametrize('words', [['--help'], ['--version'], ['train', '--help']])
def test_nobody_listens(words):
    r = started(*words, shell='exec "$@" > /dev/full')
    assert r.returncode == 2 and r.stderr == 'dogscats: the output could not be written: No space left on device.\n'
    assert started(*words, shell='exec "$@" > /dev/full 2>&1').returncode == 2
    r = started(*words, shell='exec "$@" >&-')
    assert (r.returncode, r.stderr) == (0, '')
    assert started(*words, shell='exec "$@" >&- 2>&- <&-').returncode == 0
    r = started(*words, shell='("$@"; echo $? >&2) | true')
    assert r.stderr == '0\n'
    assert started(*words, env={**os.environ, 'PYTHONUNBUFFERED': '1'}, shell='exec "$@" > /dev/full').returncode == 2

@posix
def test_errors_to_nobody():
    for shell in ('exec "$@" 2> /dev/full', 'exec "$@" 2>&-', 'exec "$@" > /dev/full 2>&1'): assert started('train', '--size', 1, shell=shell).returncode == 2

@posix
def test_a_table_to_nobody(model, drawn, tmp_path):
    "As with `| head -1`: silence and 0; a full disk is told"
    r = started('predict', model, drawn/'valid', shell='("$@"; echo $? >&2) | true')
    assert r.stderr == '0\n'
    r = started('predict', model, drawn/'valid', shell='exec "$@" > /dev/full')
    assert r.returncode == 2 and r.stderr == 'dogscats: the output could not be written: No space left on device.\n'

@posix
@pytest.mark.parametrize('shell', ['("$@"; echo $? >&2) | true', '"$@" > /dev/full; echo $? >&2'])
def test_a_run_is_saved_though_nobody_listens(drawn, tmp_path, shell):
    r = started('train', drawn, '--size', 64, '--epochs', 1, '--fine-tune', 0, '--limit', 8, shell=shell, cwd=tmp_path)
    assert (tmp_path/'runs/latest/model/config.json').is_file() and (tmp_path/'runs/latest/report.html').is_file()
    assert r.stderr.splitlines()[-1] == ('2' if 'full' in shell else '0') and 'Traceback' not in r.stderr

@posix
def test_a_csv_that_does_not_fit(model, drawn, tmp_path):
    code = 'import resource, sys; from dogscats_course import cli; f = cli._write_csv\n'\
        'def write(*args): resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); f(*args)\n'\
        'cli._write_csv = write; sys.exit(cli.main())'
    r = subprocess.run([sys.executable, '-c', code, 'predict', model, drawn/'valid', '--csv', tmp_path/'p.csv'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert r.returncode == 2 and r.stderr.startswith('dogscats: File too large') and 'p.csv' in r.stderr
    assert r.stdout.count('cat.') == 8 and not list(tmp_path.iterdir()), 'the results are printed, and no half table is left'

def test_csv_that_cannot_be(model, drawn, tmp_path, monkeypatch):
    (tmp_path/'link.csv').symlink_to('nowhere')
    (tmp_path/'file').touch()
    for name in ('link.csv', 'file', 'file/p.csv', 'x'*256, '.'):
        status, _, err = inside('predict', model, drawn, '--csv', tmp_path/name)
        assert status == 2 and 'Traceback' not in err and 'foreseen' not in err
    def refuse(*args, **kwargs): raise PermissionError(13, 'Permission denied')
    monkeypatch.setattr(cli.tempfile, 'TemporaryFile', refuse)
    assert 'cannot be written (Permission denied)' in inside('predict', model, drawn, '--csv', tmp_path/'p.csv')[2]
    assert (tmp_path/'link.csv').is_symlink() and len(list(tmp_path.iterdir())) == 2

@pytest.mark.skipif(sys.platform != 'linux', reason='other systems have no such names')
def test_names_that_are_not_text(model, drawn, tmp_path):
    photo = next((drawn/'valid'/'cats').iterdir()).read_bytes()
    for name in (b'chat\xe9.jpg', 'گربه\u200cها.jpg'.encode(), '猫.jpg'.encode(), b'a\x1b[2J.jpg'): open(os.path.join(os.fsencode(tmp_path), name), 'wb').write(photo)
    long = tmp_path/('x'*251 + '.csv')
    r = subprocess.run([sys.executable, '-m', 'dogscats_course', 'predict', model, tmp_path], capture_output=True, env={**os.environ, 'PYTHONIOENCODING': 'cp1252'})
    text = r.stdout.decode('cp1252')
    assert r.returncode == 0 and not r.stderr and r'chat\xe9.jpg' in text and r'\u732b.jpg' in text and '\x1b' not in text and '\r' not in text
    assert inside('predict', model, tmp_path, '--csv', long)[0] == 0
    table = pd.read_csv(long)
    assert len(table) == 4 and table.label.notna().all() and r'chat\xe9.jpg' in ' '.join(table.file)

@pytest.fixture(scope='module')
def model(drawn, tmp_path_factory):
    from dogscats_course.data import make_dls
    from dogscats_course.learner import vgg_learner
    from dogscats_course.share import save_classifier
    return save_classifier(vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled'), tmp_path_factory.mktemp('cli')/'model')

def test_predict(model, drawn, tmp_path):
    (tmp_path/'bad.jpg').write_text('no photo')
    r = dogscats('predict', model, drawn/'valid', tmp_path/'bad.jpg')
    head, *rows = r.stdout.splitlines()
    assert r.returncode == 0 and head.split() == ['file', 'label', 'cats', 'dogs', 'error'] and len(rows) == 17 and '%' in rows[0]
    assert 'not a photo' in rows[-1] and '1 of 17 could not be read' in r.stderr
    r = dogscats('predict', model, drawn/'valid', '--csv', tmp_path/'p.csv')
    df = pd.read_csv(tmp_path/'p.csv')
    assert r.returncode == 0 and len(df) == 16 and (df.label == df[['cats', 'dogs']].idxmax(axis=1)).all() and df.error.isna().all()

def test_predict_with_bad_input(model, drawn, tmp_path):
    (tmp_path/'mine.csv').write_text('mine')
    (tmp_path/'empty').mkdir()
    for args, words in (((tmp_path, drawn), 'config.json'), ((model, tmp_path/'nowhere.jpg'), '1 of 1 could not be read'), ((model, tmp_path/'empty'), 'no photo'),
                        ((model, drawn, '--csv', tmp_path/'mine.csv'), 'exists already'), ((model, drawn, '--csv', tmp_path/'no/p.csv'), 'no folder')):
        r = dogscats('predict', *args)
        assert r.returncode == 2 and words in r.stderr and 'Traceback' not in r.stderr
    assert (tmp_path/'mine.csv').read_text() == 'mine' and sorted(p.name for p in tmp_path.iterdir()) == ['empty', 'mine.csv']

def test_publish(model, tmp_path):
    for name in ('onnx', 'onnxscript', 'onnxruntime'): pytest.importorskip(name, reason="pip install 'dogscats_course[publish]'")
    r = dogscats('publish', model, '--page', 'p.html', '--cdn', '--onnx', 'm.onnx', '--card', 'README.md', '--title', 'Pets', cwd=tmp_path)
    assert r.returncode == 0 and all(words in r.stdout for words in ('The page has', 'With int8 weights', 'The card is in README.md'))
    assert sorted(p.name for p in tmp_path.iterdir()) == ['README.md', 'm.onnx', 'p.html'] and '# Pets' in (tmp_path/'README.md').read_text()
    assert '<h1>Pets</h1>' in (tmp_path/'p.html').read_text(encoding='utf-8')

def test_publish_with_bad_input(model, tmp_path):
    (tmp_path/'mine').write_text('mine')
    for args, words in (((), 'Say what to make: --page'), (('--card', 'new', '--onnx', 'mine'), 'exists already'), (('--page', 'nowhere/p.html'), 'no folder'),
                        (('--page', 'p.html', '--runtime', '.'), 'No such file'), (('--space', 'mine'), 'exists already')):
        r = dogscats('publish', model, *args, cwd=tmp_path)
        assert r.returncode == 2 and words in r.stderr and 'Traceback' not in r.stderr
    assert dogscats('publish', tmp_path, '--card', tmp_path/'new').returncode == 2
    assert [p.name for p in tmp_path.iterdir()] == ['mine']

@pytest.mark.skipif(os.name == 'nt', reason='Windows has no SIGINT for another process')
def test_publish_serves_an_app_until_ctrl_c(model, signals_act):
    pytest.importorskip('gradio', reason="pip install 'dogscats_course[publish]'")
    with running('publish', model, '--app') as p:
        url = next(word for line in p.stdout for word in line.split() if word.startswith('http'))
        assert b'cats or dogs' in urlopen(url).read()
        p.send_signal(signal.SIGINT)
        err = p.communicate(timeout=60)[1]
    assert p.returncode == 130 and 'Traceback' not in err

def test_no_command(): assert dogscats().returncode == 2

def test_check(drawn, tmp_path):
    r = dogscats('data', 'check', drawn)
    assert r.returncode == 0 and 'train cats' in ' '.join(r.stdout.split())
    r = dogscats('data', 'check', tmp_path)
    assert r.returncode == 2 and 'wanted' in r.stderr and 'Traceback' not in r.stderr

def test_data_on_this_machine(drawn):
    r = dogscats('data', 'full', DOGSCATS_DATA=str(drawn))
    assert r.returncode == 0 and r.stdout.strip().endswith(str(drawn))

def test_features_are_cached_shown_and_cleared(drawn, tmp_path):
    cache = dict(XDG_CACHE_HOME=str(tmp_path/'cache'), LOCALAPPDATA=str(tmp_path/'cache'), HOME=str(tmp_path))
    train = 'train', drawn, '--size', 64, '--epochs', 1, '--fine-tune', 0, '--weights', 'bundled'
    assert 'No features' in process('data', 'cache', **cache).stdout
    assert 'Features of 40 photos: about' in process(*train, cwd=tmp_path, **cache).stdout
    assert 'Features of 40 photos are cached' in process(*train, cwd=tmp_path, **cache).stdout
    shown = process('data', 'cache', **cache).stdout
    assert ' 24 ' in shown and ' 16 ' in shown and 'dogscats_course' in shown
    r = process('data', 'cache', '--clear', **cache)
    assert r.returncode == 0 and 'No features' in r.stdout and not list((tmp_path/'cache').rglob('*.rows'))

def test_lessons(tmp_path):
    r = dogscats('lessons', cwd=tmp_path)
    names = sorted(p.relative_to(tmp_path/'lessons').as_posix() for p in (tmp_path/'lessons').rglob('*.ipynb'))
    assert r.returncode == 0 and f'{len(names)} lessons in lessons: {len(names)} new.' in r.stdout and 'jupyter lab lessons' in r.stdout
    assert '01_seven_lines.ipynb' in names and [p.name for p in tmp_path.iterdir()] == ['lessons']
    with (tmp_path/'lessons/01_seven_lines.ipynb').open('a') as f: f.write(' ')
    r = dogscats('lessons', '--clear', cwd=tmp_path)
    assert r.returncode == 0 and ' updated, ' in r.stdout and '1 changed by you' in r.stdout and '01_seven_lines.ipynb' in r.stdout
    assert not any(c.get('outputs') for c in json.loads((tmp_path/'lessons/02_pretrained.ipynb').read_text(encoding='utf-8'))['cells'])
    r = dogscats('lessons', 'my lessons', cwd=tmp_path)
    assert r.returncode == 0 and 'jupyter lab "my lessons"' in r.stdout

def test_lessons_with_bad_input(tmp_path):
    (tmp_path/'file').write_text('mine')
    r = dogscats('lessons', 'file', cwd=tmp_path)
    assert r.returncode == 2 and 'is a file' in r.stderr and 'Traceback' not in r.stderr and (tmp_path/'file').read_text() == 'mine'

def test_doctor():
    r = dogscats('doctor')
    assert r.returncode == 0 and all(w in r.stdout for w in ('torch', 'device', 'memory', 'fast bfloat16', 'drawn pictures', 'weights'))

@pytest.mark.skipif(sys.platform == 'win32', reason='Ctrl-C cannot be sent to one process alone')
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_being_stopped_leaves_nothing_half_written(drawn, tmp_path, number, signals_act):
    with running('train', drawn, '--epochs', 9999, '--size', 64, cwd=tmp_path) as p:
        while 'epoch' not in p.stdout.readline().lower(): assert p.poll() is None
        p.send_signal(number)
        err = p.communicate(timeout=60)[1]
    assert p.returncode == 130 and 'Traceback' not in err
    assert not [f for f in tmp_path.rglob('*') if f.is_file()]
