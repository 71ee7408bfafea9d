"The command `dogscats`, run as a user runs it."
import json, os, signal, subprocess, sys

import pandas as pd
import pytest

from dogscats_course import __version__

def dogscats(*args, cwd=None, **env):
    return subprocess.run([sys.executable, '-c', 'import sys; from dogscats_course.cli import main; sys.exit(main())', *map(str, args)],
                          cwd=cwd, env={**os.environ, **env}, text=True, encoding='utf-8', errors='replace', capture_output=True)

@pytest.mark.parametrize('command', [[], ['train'], ['data'], ['data', 'drawn'], ['data', 'check'], ['data', 'sort-kaggle'], ['data', 'cache'], ['predict'], ['lessons'], ['doctor']])
def test_help(command):
    r = dogscats(*command, '--help')
    assert r.returncode == 0 and 'example: dogscats' in r.stdout

def test_help_needs_no_torch():
    code = "import sys, dogscats_course.cli as c; c._parser().format_help(); sys.exit(any(m in sys.modules for m in ('torch', 'fastai', 'numpy')))"
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0

def test_version(): assert dogscats('--version').stdout.strip() == f'dogscats {__version__}'

def test_train(drawn, tmp_path):
    r = dogscats('train', drawn, '--size', 64, '--epochs', 1, '--fine-tune', 0, '--limit', 8, cwd=tmp_path)
    assert r.returncode == 0, r.stderr
    runs = [p for p in (tmp_path/'runs').iterdir() if p.name != 'latest']
    assert len(runs) == 1 and (runs[0]/'metrics.json').is_file() and runs[0].name in r.stdout
    if sys.platform != 'win32': assert (tmp_path/'runs/latest').resolve() == runs[0]
    assert [p.name for p in tmp_path.iterdir()] == ['runs'] and 'Warning' not in r.stderr

@pytest.mark.parametrize('args', [['--epochs', '0'], ['--bs', '0'], ['--size', '31'], ['--limit', '0'], ['--epochs', 'many'], ['--fine-tune', '-1'], ['--weights', 'nowhere.pth'], ['nowhere']])
def test_bad_options(drawn, tmp_path, args):
    r = dogscats('train', *([] if args == ['nowhere'] else [drawn]), *args, cwd=tmp_path)
    assert r.returncode == 2 and 'Traceback' not in r.stderr and len(r.stderr.strip().splitlines()[-1]) < 300
    assert not list(tmp_path.iterdir())

def test_two_runs_in_the_same_second_have_different_folders(tmp_path):
    from dogscats_course.cli import _run_folder
    assert len({_run_folder(tmp_path) for _ in range(5)}) == 5

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
    assert 'No features' in dogscats('data', 'cache', **cache).stdout
    assert 'Features of 40 photos: about' in dogscats(*train, cwd=tmp_path, **cache).stdout
    assert 'Features of 40 photos are cached' in dogscats(*train, cwd=tmp_path, **cache).stdout
    shown = dogscats('data', 'cache', **cache).stdout
    assert ' 24 ' in shown and ' 16 ' in shown and 'dogscats_course' in shown
    r = dogscats('data', 'cache', '--clear', **cache)
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
def test_ctrl_c_leaves_nothing_half_written(drawn, tmp_path):
    p = subprocess.Popen([sys.executable, '-u', '-c', 'import sys; from dogscats_course.cli import main; sys.exit(main())', 'train', str(drawn), '--epochs', '9999', '--size', '64'],
                         cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding='utf-8', errors='replace')
    while 'Epoch' not in p.stdout.read(200): assert p.poll() is None
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=60)
    assert p.returncode == 130 and 'Traceback' not in err
    assert not [f for f in tmp_path.rglob('*') if f.is_file()]
