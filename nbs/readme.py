"Make README.md from nbs/index.ipynb with nbconvert: `python nbs/readme.py`."
import posixpath, re
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

root = Path(__file__).resolve().parent.parent
directive = re.compile(r'^#\|[ \t]*(.*?)[ \t]*(?:\n|\Z)', re.M)
# the target in [text](target), src="target" and href="target", unless it is a web address or a place on the page
link = re.compile(r'(\]\(|\b(?:src|href)=")(?![\w+.-]+:|#|/)([^)"\s]+)')

def from_root(m): return m[1] + posixpath.normpath(posixpath.join('nbs', m[2]))

def readme(path=root/'nbs/index.ipynb'):
    "Return the text of README.md: the notebook without hidden cells and directives, its links relative to the root"
    nb, cells = nbformat.read(path, as_version=4), []
    for c in nb.cells:
        if c.cell_type == 'code':
            flags, c.source = directive.findall(c.source), directive.sub('', c.source)
            if 'hide' in flags or not c.source.strip(): continue
            if 'echo: false' in flags: c.metadata['transient'] = {'remove_source': True}
        else: c.source = link.sub(from_root, c.source)
        cells.append(c)
    nb.cells, nb.metadata['language_info'] = cells, {'name': 'python'}  # nbdev-clean removes the language
    text, resources = MarkdownExporter().from_notebook_node(nb)
    # A picture in an output has no alternative text, and no file that README.md could show.
    if resources['outputs']: raise ValueError(f'{path.name}: show a picture as ![what it shows](images/a.png), not as an output')
    return re.sub(r'\n{3,}', '\n\n', text).strip() + '\n'

if __name__ == '__main__': (root/'README.md').write_text(readme(), encoding='utf-8', newline='\n')
