"""Give the lessons their badges and install cell, run them, and save their outputs: `make lessons`,
or `python nbs/lessons.py 04_reading_mistakes` for one of them."""
import argparse, base64, hashlib, io, json, os, re, sys, tempfile, time, tokenize, tomllib
from itertools import zip_longest
from pathlib import Path

import nbformat
from fastcore.nbio import nb2str
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbdev.clean import clean_nb
from nbformat.v4 import new_code_cell, new_markdown_cell
from PIL import Image

root = Path(__file__).resolve().parent.parent
folder = root/'nbs/lessons'
project = tomllib.loads((root/'pyproject.toml').read_text(encoding='utf-8'))
repository = project['project']['urls']['Repository']  # owner and repository are named only there

def lessons(folder=folder):
    "Return {name: file} of the lessons; names are like `01_seven_lines` and `zh/01_seven_lines`"
    found = {p.relative_to(folder).with_suffix('').as_posix(): p for p in sorted(folder.rglob('*.ipynb'))}
    return {name: p for name, p in found.items() if not re.search(r'(^|/)\.', name)}

# --- the beginning of every lesson ---

def badges(name):
    "Return the text of the cell with the links that open a lesson in Colab and on Kaggle"
    page = f'{repository}/blob/main/nbs/lessons/{name}.ipynb'
    links = dict(Colab=('https://colab.research.google.com/assets/colab-badge.svg', page.replace('https://github.com/', 'https://colab.research.google.com/github/')),
                 Kaggle=('https://kaggle.com/static/images/open-in-kaggle.svg', f'https://kaggle.com/kernels/welcome?src={page}'))
    return '\n'.join(f'[![Open in {site}]({picture})]({link})' for site, (picture, link) in links.items())

requirement = f"dogscats_course[clean,publish] @ git+{repository}"  # with what lessons 3 and 5 need

install = f"""#| hide
# Colab and Kaggle have no dogscats_course yet. Where it is installed, this cell does nothing.
import os
from importlib.util import find_spec
if find_spec('dogscats_course') is None:
    if {{'COLAB_RELEASE_TAG', 'KAGGLE_KERNEL_RUN_TYPE'}} & os.environ.keys():
        print('Installing dogscats_course: a minute or two. On Kaggle, Internet must be on in the settings.')
        %pip install -q "{requirement}"
    else: print("The package is not installed here: pip install '{requirement}'")"""

# The cells of a lesson that this tool writes, by their ids
written = 'badges', 'map', 'install', 'chinese'

# The code of a translation is that of the lesson, so the titles of its plots are translated while they are drawn.
chinese = """#| hide
# 图里的标题和标签用中文；本机若没有中文字体，就仍用英文。
from dogscats_course.chinese import plots_in_chinese
plots_in_chinese()"""

def title(path): return nbformat.read(path, as_version=4).cells[0].source.partition('\n')[0].removeprefix('# ')

def course_map(name, found):
    "Return the text of the cell that lists the lessons of one language, this one in bold, and links its translations"
    here = lambda n: os.path.relpath(found[n], found[name].parent).replace(os.sep, '/')
    language, _, own = name.rpartition('/')
    course = ' → '.join(f'**{title(f)}**' if n == name else f'[{title(f)}]({here(n)})' for n, f in found.items() if n.rpartition('/')[0] == language)
    others = {n.rpartition('/')[0]: here(n) for n in found if n != name and n.rpartition('/')[2] == own}
    return '\n\n'.join([course, *(f"[{ {'': 'In English', 'zh': '中文'}[k] }]({link})" for k, link in others.items())])

def prepared(nb, name, found=None):
    "Return `nb` with the cells `written` anew after its title; `found` are the lessons for the map"
    first, *rest = (c for c in nb.cells if c.id not in written)
    if first.cell_type != 'markdown' or not first.source.startswith('# '): raise ValueError('the first cell is not the title, `# ...`')
    links = [new_markdown_cell(badges(name), id='badges'), new_markdown_cell(course_map(name, found or lessons()), id='map')]
    setup = [new_code_cell(install, id='install')] + [new_code_cell(chinese, id='chinese')]*name.startswith('zh/')
    nb.cells = [first, *links, *setup, *rest]
    return nb

# --- execution ---

def surroundings(tmp):
    "Return the environment of a kernel whose data and caches lie below `tmp`, and which finds no real photos"
    env = {k: v for k, v in os.environ.items() if k not in ('DOGSCATS_DATA', 'MPLBACKEND')}
    return {**env, 'FASTAI_HOME': str(Path(tmp)/'fastai'), 'XDG_CACHE_HOME': str(Path(tmp)/'cache')}

def client(nb, cwd):
    "Return a client that runs `nb` in a fresh kernel in the folder `cwd`, with high-density plots, ten minutes per cell"
    return NotebookClient(nb, kernel_name='python3', timeout=600, resources={'metadata': {'path': str(cwd)}},
                          coalesce_streams=True, record_timing=False, store_widget_state=False, extra_arguments=['--log-level=ERROR', '--InlineBackend.figure_formats=retina'])

def code(nb): return [c for c in nb.cells if c.cell_type == 'code']

progress = re.compile(r'<style>.*?\bprogress\b.*?</style>', re.S)
def shown(o):
    "Return whether output `o` shows anything; the remains of a finished progress bar do not"
    data = o.get('data', {})
    if 'text/html' not in data or any(k.startswith('image/') for k in data): return True
    html = progress.sub('', data['text/html'])
    return bool(re.search(r'<(img|svg|video)\b', html) or re.sub(r'<[^>]*>', '', html).strip())

def lightened(o):
    "Store a picture of photos as JPEG, which takes a fifth of the space of PNG"
    data = o.get('data', {})
    if 'image/png' not in data: return
    png = base64.b64decode(data['image/png'])
    with Image.open(io.BytesIO(png)) as im: im.convert('RGB').save(jpeg := io.BytesIO(), 'jpeg', quality=88, **{k: im.info[k] for k in ('dpi',) if k in im.info})
    if len(jpeg.getvalue()) > len(png)/2: return  # lines and letters, which are sharper as PNG
    del data['image/png']
    data['image/jpeg'] = base64.b64encode(jpeg.getvalue()).decode()
    if 'image/png' in o.metadata: o.metadata['image/jpeg'] = o.metadata.pop('image/png')

def tidied(nb):
    "Return `nb` without outputs that show nothing once the kernel is gone, and without duplicates; photos become JPEG"
    for c in code(nb):
        c.outputs = [o for o in c.outputs if shown(o)]
        for data in (o.get('data', {}) for o in c.outputs):
            data.pop('application/vnd.jupyter.widget-view+json', None)  # a widget whose state is not stored
            if 'text/html' in data: data.pop('text/markdown', None)     # the same again, as the source of the HTML
            if 'image/jpeg' in data: data.pop('image/png', None)        # the same picture again, ten times larger
        for o in c.outputs: lightened(o)
    return nb

# --- outputs that may be saved ---

def _path_of_this_machine():
    own = {root, Path.home(), Path(tempfile.gettempdir()), Path(sys.prefix), *(Path(p) for k in ('FASTAI_HOME', 'TORCH_HOME', 'XDG_CACHE_HOME') if (p := os.environ.get(k)))}
    names = {s for p in own for q in (p, p.resolve()) for s in (str(q), q.as_posix(), repr(str(q))[1:-1]) if len(q.parts) > 1}
    return re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, sorted(names, key=len, reverse=True)))})(?!\w)")
machine = _path_of_this_machine()

def problems(nb):
    "Yield a description of each output that must not be saved"
    for c in code(nb):
        for o in c.outputs:
            if o.output_type == 'error':
                yield f'cell {c.id} ends in {o.ename}: {o.evalue}'
                continue
            for text in [o.get('text', ''), *(v for k, v in o.get('data', {}).items() if isinstance(v, str) and (k.startswith('text/') or k == 'image/svg+xml'))]:
                yield from (f'cell {c.id} shows a path of this machine: {line.strip()[:200]}' for line in text.splitlines() if machine.search(line))

def cleaned(nb):
    "Return the text of the notebook file as nbdev-clean leaves it"
    nb = json.loads(nbformat.writes(nb))
    clean_nb(nb, allowed_out_metadata_keys=project['tool']['nbdev']['allowed_out_metadata_keys'])
    return nb2str(nb)

def hashes(nb):
    "Return {cell id: hash of its code}; if it differs from the hash in outputs.json, the output is older than the code"
    return {c.id: hashlib.sha256(c.source.encode()).hexdigest()[:16] for c in code(nb)}

# --- translations ---

def bare(source):
    "Return code without its comments, which a translation translates"
    try: comments = [t for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type == tokenize.COMMENT]
    except (tokenize.TokenError, SyntaxError): return source  # a magic
    lines = source.split('\n')
    for t in comments: lines[t.start[0] - 1] = t.line.rstrip('\n')[:t.start[1]]
    return '\n'.join(l.rstrip() for l in lines if l.strip())

def differences(nb, original):
    "Return the ids of the code cells in which the translation `nb` and the lesson `original` differ, but for comments"
    pairs = zip_longest(*([c for c in code(o) if c.id not in written] for o in (nb, original)))
    return [(a or b).id for a, b in pairs if a is None or b is None or bare(a.source) != bare(b.source)]

# --- the command ---

def executed(nb, tmp):
    "Return `nb` with the outputs of a run; raise `ValueError` if it fails"
    with tempfile.TemporaryDirectory(dir=tmp) as own:  # features are computed again, pictures are drawn once for all lessons
        (cwd := Path(own)/'lesson').mkdir()
        try: client(nb, cwd).execute(env={**surroundings(tmp), 'XDG_CACHE_HOME': own})
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as e: raise ValueError(str(e)) from None
    return tidied(nb)

def make(name, found, tmp):
    "Run a lesson and save it; raise `ValueError`, and leave the file unchanged, if that fails or its code is not that of the lesson it translates"
    path, own = found[name], name.rpartition('/')[2]
    nb = prepared(nbformat.read(path, as_version=4), name, found)
    if own in found and (differ := differences(nb, nbformat.read(found[own], as_version=4))): raise ValueError(f"the code of cells {', '.join(differ)} is not that of {own}")
    nb = executed(nb, Path(tmp))
    if bad := list(problems(nb)): raise ValueError('\n  '.join(bad))
    path.write_text(cleaned(nb), encoding='utf-8', newline='\n')
    return hashes(nb)

def main(argv=None, folder=folder):
    "Run the command line; return the exit status"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('names', nargs='*', metavar='NAME', help='such as 04_reading_mistakes or zh/01_seven_lines; by default all lessons')
    found, names = lessons(folder), parser.parse_args(argv).names
    if unknown := [n for n in names if n not in found]: parser.error(f"there is no lesson {', '.join(unknown)}: choose from {', '.join(found)}")
    index, bad = folder/'outputs.json', 0
    with tempfile.TemporaryDirectory(prefix='lessons_') as tmp:
        for name in names or found:
            start = time.time()
            try: new = make(name, found, tmp)
            except ValueError as e:
                bad += 1
                print(f'{name}: not saved: {e}', file=sys.stderr, flush=True)
                continue
            old = json.loads(index.read_text(encoding='utf-8')) if index.exists() else {}
            kept = {k: v for k, v in {**old, name: new}.items() if k in found}
            index.write_text(json.dumps(kept, indent=1, sort_keys=True) + '\n', encoding='utf-8', newline='\n')
            print(f'{name}: {time.time() - start:.0f} s', flush=True)
    return int(bad > 0)

if __name__ == '__main__': sys.exit(main())
