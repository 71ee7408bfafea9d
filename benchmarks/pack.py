"""Pack what benchmarks/gpu.sh needs on a machine that has PyTorch and a GPU, but no network: wheels and some photos.

The folder goes into this checkout, which is then copied to that machine. Its Python packages are listed by
`python3 -m pip freeze` there: what it has already is left out."""
import argparse, os, re, shutil, subprocess, sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

from common import photos

most = 60_000_000  # bytes: more is a burden to carry
torchs = r'torch|torchvision|triton|nvidia-.*|cuda-.*|sympy|mpmath|networkx|filelock|fsspec|setuptools|dogscats[_-]course'

def imported():
    "Return the distributions that the package and its tests import"
    code = 'import sys, pytest, dogscats_course.all, dogscats_course.cli; print(*{m.split(".")[0] for m in sys.modules})'
    modules = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True).stdout.split()
    of = packages_distributions()
    return sorted({d.lower() for m in modules for d in of.get(m, [])})

def missing(have):
    "Return NAME==VERSION of each distribution that is neither in the text `have` nor comes with PyTorch"
    there = {line.split('==')[0].strip().lower().replace('_', '-') for line in have.splitlines()}
    names = [d for d in imported() if not re.fullmatch(torchs, d) and d.replace('_', '-') not in there]
    return [f'{d}=={version(d)}' for d in names]

def size(folder): return sum(f.stat().st_size for f in folder.rglob('*') if f.is_file())

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('dest', nargs='?', type=Path, default=Path('.gpu'), help='the folder to make (default .gpu)')
    parser.add_argument('--have', type=Path, metavar='FILE', help="what `pip freeze` prints on that machine")
    parser.add_argument('--python', default='3.12', metavar='VERSION', help="that machine's Python (default 3.12)")
    parser.add_argument('--photos', default='300/100', metavar='TRAIN/VALID', help='numbers of photos (default 300/100)')
    a = parser.parse_args()
    if a.dest.exists(): sys.exit(f'{a.dest} exists already: choose another name, or remove it.')
    platforms = [f'--platform=manylinux_2_{n}_x86_64' for n in (39, 35, 34, 31, 28, 27, 24, 17)] + ['--platform=manylinux2014_x86_64']
    wheels = missing(a.have.read_text() if a.have else '')
    try:
        links = photos(a.dest/'links', *map(int, a.photos.split('/')))
        shutil.copytree(links, a.dest/'photos')  # the photos themselves, not links to them
        shutil.rmtree(links)
        subprocess.run([sys.executable, '-m', 'pip', 'download', '-q', '--no-deps', '--only-binary=:all:', '--python-version', a.python,
                        '--implementation=cp', *platforms, '-d', a.dest/'wheels', *wheels], check=True)
        if size(a.dest) > most: sys.exit(f'{size(a.dest)/1e6:.0f} MB are more than {most/1e6:.0f}: name what that machine has with --have.')
    except BaseException:
        shutil.rmtree(a.dest, ignore_errors=True)
        raise
    print(f'{a.dest}: {len(wheels)} wheels and {a.photos} photos, {size(a.dest)/1e6:.0f} MB. There: benchmarks/gpu.sh {a.dest}')
