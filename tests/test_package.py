"The sdist, the wheel built from it, and what that wheel installs into a fresh environment."
import os, sysconfig, tarfile, venv, zipfile
from importlib.metadata import Distribution, version
from pathlib import Path

import pytest
from conftest import sh
from packaging.requirements import Requirement

root = Path(__file__).resolve().parent.parent
weights = 'dogscats_course/assets/vgg16_bn_imagenet_int8.safetensors'
LESSONS = [o for d in ('', 'zh') for o in (root/'nbs/lessons'/d).glob('*.ipynb')]

@pytest.fixture(scope='module')
def fresh(dist, tmp_path_factory):
    "A fresh environment with only our wheel; its requirements come from the running environment"
    env = tmp_path_factory.mktemp('fresh')
    venv.create(env, with_pip=True, symlinks=os.name != 'nt')
    paths = sysconfig.get_paths(vars={'base': str(env), 'platbase': str(env)}, scheme='venv')
    scripts, site = Path(paths['scripts']), Path(paths['purelib'])
    (site/'running.pth').write_text('\n'.join({sysconfig.get_path('purelib'), sysconfig.get_path('platlib')}), encoding='utf-8')
    sh(scripts/'python', '-m', 'pip', 'install', '--no-deps', '--no-index', '--ignore-installed', *dist.glob('*.whl'), cwd=env)
    return env, scripts, site

def test_sdist_is_the_whole_source(dist):
    with tarfile.open(next(dist.glob('*.tar.gz'))) as f: names = {o.split('/', 1)[1] for o in f.getnames() if '/' in o}
    notebooks = {o.relative_to(root).as_posix() for o in [*(root/'nbs').glob('*.ipynb'), *LESSONS]}
    assert {'settings.ini', 'setup.py', 'pyproject.toml', 'LICENSE', 'NOTICE', 'README.md', 'benchmarks/train.py', 'benchmarks/results/intel_xeon_2_80ghz_2_cores/train.json', weights} | notebooks <= names

def test_wheel_holds_weights_and_licences(dist):
    with zipfile.ZipFile(next(dist.glob('*.whl'))) as f:
        names = f.namelist()
        assert f.read(weights) == (root/weights).read_bytes()
    assert {'LICENSE', 'NOTICE'} == {Path(o).name for o in names if '.dist-info/licenses/' in o}
    modules = {o.relative_to(root).as_posix() for o in (root/'dogscats_course').rglob('*.py')}
    lessons = {f"dogscats_course/lessons/{o.relative_to(root/'nbs/lessons').as_posix()}" for o in LESSONS}
    assets = {weights, *(f'dogscats_course/assets/{name}' for name in ('chinese.json', 'measured.json', 'page.html', 'page.js', 'page_worker.js', 'report.html'))}
    assert modules | lessons | assets == {o for o in names if '.dist-info/' not in o}

def test_command_in_a_fresh_environment(fresh):
    env, scripts, site = fresh
    assert 'dogscats' in sh(scripts/'dogscats', '--help', cwd=env)
    init = sh(scripts/'python', '-c', 'import dogscats_course.cli as m; print(m.__file__)', cwd=env)
    assert site.resolve() in Path(init.strip()).resolve().parents, 'the wheel, not the checkout'
    ours = Distribution.at(next(site.glob('dogscats_course-*.dist-info')))
    assert ours.version in sh(scripts/'dogscats', '--version', cwd=env)

def test_lessons_in_a_fresh_environment(fresh):
    env, scripts, site = fresh
    assert f'{len(LESSONS)} lessons in lessons: {len(LESSONS)} new.' in sh(scripts/'dogscats', 'lessons', cwd=env)
    assert {o.relative_to(env/'lessons') for o in (env/'lessons').rglob('*.ipynb')} == {o.relative_to(root/'nbs/lessons') for o in LESSONS}
    assert list((site/'dogscats_course/lessons').glob('*.ipynb')), 'from the wheel, not the checkout'

def test_requirements_are_met_and_unbounded(fresh):
    ours = Distribution.at(next(fresh[2].glob('dogscats_course-*.dist-info')))
    needs = [Requirement(o) for o in ours.requires]
    assert {'fastai', 'torch', 'torchvision'} <= {o.name for o in needs}
    extras = ours.metadata.get_all('Provides-Extra')
    for o in needs:
        if o.name == 'dogscats_course': continue  # dev asks for the other extras
        assert [s.operator for s in o.specifier] == ['>='], f'{o}: a lower bound, and no upper one'
        if not o.marker or any(o.marker.evaluate({'extra': e}) for e in extras): assert version(o.name) in o.specifier, f'{o}: {version(o.name)} is installed'
