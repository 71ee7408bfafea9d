"The notebooks run, README.md matches index.ipynb, and no file names a path of the machine it was written on."
import re, runpy, shutil, subprocess, sysconfig
from pathlib import Path

import pytest

root = Path(__file__).resolve().parent.parent

def test_notebooks_run():
    "nbdev-test runs each notebook in nbs/, except the lessons, which have a `.notest`"
    cmd = [shutil.which('nbdev-test', path=sysconfig.get_path('scripts')), root/'nbs', '--n-workers', '2', '--do-print']
    r = subprocess.run(cmd, cwd=root, text=True, encoding='utf-8', errors='replace', timeout=3600,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert r.returncode == 0, r.stdout
    assert 'Success.' in r.stdout, r.stdout

@pytest.fixture(scope='module')
def maker(): return runpy.run_path(str(root/'nbs/readme.py'))

def test_readme_matches_the_notebook(maker):
    assert (root/'README.md').read_text(encoding='utf-8') == maker['readme'](), 'run `make readme`, or python nbs/readme.py'

@pytest.mark.parametrize('name', ['README.md', 'README.zh.md'])
def test_readme_links_lead_somewhere(maker, name):
    links = [o.split('#')[0] for _, o in maker['link'].findall((root/name).read_text(encoding='utf-8'))]
    assert [o for o in links if not (root/o).exists()] == []

def told(text):
    "Return the lines of code of a README without their comments, its links, and the numbers of its tables"
    code = [re.sub(r' *#.*', '', line) for block in re.findall(r'```\w+\n(.*?)```', text, re.S) for line in block.splitlines()]
    links = {o.replace('lessons/zh/', 'lessons/') for o in re.findall(r'\]\(([^)]+)\)', text) if not o.startswith('README')}
    return code, links, re.findall(r'\d(?:[\d.,]*\d)?', ''.join(re.findall(r'^\|.*', text, re.M)))

def test_the_chinese_readme_says_the_same():
    english, chinese = ((root/name).read_text(encoding='utf-8') for name in ('README.md', 'README.zh.md'))
    assert told(chinese) == told(english)

def test_files_name_no_paths_of_a_machine():
    "Home folders, temporary folders and package mirrors do not exist for the next reader"
    files = subprocess.run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], cwd=root, capture_output=True, text=True)
    if files.returncode: pytest.skip('not a git checkout: no list of the files that are ours')
    machine = re.compile(r'(?<![\w.])/(?:home|root|Users|work|tmp|mnt|opt)/\w|\b[A-Z]:\\+Users\b'
                         r'|\b(?:pypi|pythonhosted|npmjs|debian)\.(?:org|com)\b|//[^\s"]+/simple\b')
    found = []
    for name in files.stdout.split('\0')[:-1]:
        text = (root/name).read_bytes()
        if b'\0' in text: continue  # weights, pictures
        for i, line in enumerate(text.decode().splitlines(), 1):
            if m := machine.search(line): found.append(f'{name}:{i}: {m[0]}')
    assert found == []
