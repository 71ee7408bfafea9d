"Small drawn data sets for every test, and the real photos for the tests that need them."
import os, shutil, subprocess, sys, tempfile
from pathlib import Path

import pytest

# caches left by earlier runs must not affect a test
_cache = tempfile.TemporaryDirectory(prefix='dogscats_tests_')
os.environ['XDG_CACHE_HOME'] = _cache.name

from dogscats_course.draw import draw_dogscats

root = Path(__file__).resolve().parent.parent

def sh(*cmd, cwd):
    "Return what `cmd` printed; if it fails, the error holds all of that"
    env = {k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'PYTHONHOME')}
    r = subprocess.run(cmd, cwd=cwd, env=env, text=True, encoding='utf-8', errors='replace',
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert r.returncode == 0, r.stdout
    return r.stdout

@pytest.fixture(scope='session')
def dist(tmp_path_factory):
    "A folder with the sdist and its wheel, made from a copy: an old build beside the source could hide a missing file"
    tmp = tmp_path_factory.mktemp('package')
    old = shutil.ignore_patterns('.*', '*.egg-info', '__pycache__', 'build', 'dist', 'data', 'runs')
    shutil.copytree(root, tmp/'source', ignore=old)
    sh(sys.executable, '-m', 'build', '--no-isolation', '--outdir', tmp/'dist', tmp/'source', cwd=tmp)
    return tmp/'dist'

@pytest.fixture(scope='session')
def drawn(tmp_path_factory):
    "24 training and 16 validation pictures, 64 pixels per side; read only"
    return draw_dogscats(tmp_path_factory.mktemp('drawn')/'pets', train=12, valid=8, test=3, size=64)

@pytest.fixture(scope='session')
def photos():
    "The real photos, in the course's layout"
    path = os.environ.get('DOGSCATS_DATA')
    if not path: pytest.skip('DOGSCATS_DATA is not set to a folder of real photos')
    return Path(path)

@pytest.fixture
def learn(drawn):
    "A new Learner of the drawn pictures"
    from dogscats_course.data import make_dls
    from dogscats_course.learner import vgg_learner
    return vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled')

@pytest.fixture
def float32(monkeypatch):
    "Compute features in float32 on every machine, so that they can be compared to the last digit"
    for module in ('fastbody', 'body'): monkeypatch.setattr(f'dogscats_course.{module}.fast_dtype', lambda device: 'float32')
    for module in ('fastbody', 'frozen'): monkeypatch.setattr(f'dogscats_course.{module}.has_bfloat16', lambda device: False)

@pytest.fixture
def cache_at(monkeypatch):
    "A function that moves the feature cache to another folder for one test"
    def move(folder):
        monkeypatch.setattr('dogscats_course.cache.cache_folder', lambda: folder)
        return folder
    return move

@pytest.fixture(scope='module')
def browser():
    from playwright.sync_api import sync_playwright
    chromium = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if not chromium: pytest.skip('no Chromium on this machine (Debian: apt-get install chromium)')
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=['--no-sandbox'])
        yield browser
        browser.close()

@pytest.fixture(scope='session')
def axe(tmp_path_factory):
    "The script that checks the accessibility of a page"
    if not (npm := shutil.which('npm')): pytest.skip('no npm on this machine to install axe-core (Debian: apt-get install npm)')
    path = tmp_path_factory.mktemp('axe')
    r = subprocess.run([npm, 'install', '--no-audit', '--no-fund', '--prefix', path, 'axe-core@4'], capture_output=True, text=True)
    if r.returncode: pytest.skip(f'npm could not install axe-core: {r.stderr[-200:]}')
    return (path/'node_modules/axe-core/axe.min.js').read_text(encoding='utf-8')
