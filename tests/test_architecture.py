"A module imports only modules with a lower number, and the architecture page matches the code."
import ast, re
from pathlib import Path

import nbformat
from nbclient import NotebookClient

root = Path(__file__).resolve().parent.parent
package = root/'dogscats_course'

def numbers():
    "{module: the number of its notebook}"
    names = {f: re.search(r'#\| default_exp ([\w.]+)', f.read_text(encoding='utf-8'))[1] for f in (root/'nbs').glob('[0-9]*.ipynb')}
    return {name: f.name.partition('_')[0] for f, name in names.items()}

def imports(file):
    "Return the modules of the package that a file imports, at its top or inside a function"
    here = file.relative_to(package).parts[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom) and node.level:
            up = here[:len(here) + 1 - node.level]
            if node.module: yield '.'.join([*up, node.module])
            else: yield from ('.'.join([*up, a.name]) for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module.startswith('dogscats_course.'): yield node.module.partition('.')[2]

def test_imports_lead_to_lower_numbers():
    number = numbers()
    found = {(name, other) for name in number for other in imports(package/f"{name.replace('.', '/')}.py") if other in number}
    assert len(found) > 50
    assert [f'{a} imports {b}' for a, b in found if number[b] >= number[a]] == []

def test_every_module_has_its_notebook():
    modules = {'.'.join(f.relative_to(package).with_suffix('').parts) for f in package.rglob('[a-z]*.py')}
    assert modules - {'all'} == numbers().keys()

def test_all_brings_the_modules_in_their_order():
    "all.py is written by hand: it must bring every module except those that are not part of it"
    number = numbers()
    brought = [m for m in imports(package/'all.py') if m in number]
    assert brought == sorted(brought, key=number.get)
    assert number.keys() - set(brought) == {'report', 'course', 'cli', *(m for m in number if m.startswith('drawing.'))}

def test_the_page_matches_the_code():
    page = nbformat.read(root/'nbs/architecture.ipynb', as_version=4)
    fresh = nbformat.read(root/'nbs/architecture.ipynb', as_version=4)
    NotebookClient(fresh, kernel_name='python3', resources={'metadata': {'path': str(root/'nbs')}}).execute()
    def texts(nb): return [o['data'].get('text/html', o['data']['text/plain']) for c in nb.cells for o in c.get('outputs', []) if 'data' in o and 'image/png' not in o['data']]
    assert texts(page)[-1].count('<tr>') > 30
    assert texts(page) == texts(fresh), 'run nbs/architecture.ipynb again, and save its outputs'
