"""Build the site into _docs: `make docs`, or `python nbs/docs.py`; with --serve, also serve it on this machine.

nbdev processes the notebooks into _proc, and Quarto renders them there. If Quarto is not installed, smalldocs renders
them, and `mend` adds what smalldocs leaves out."""
import argparse, ast, base64, hashlib, importlib, inspect, json, os, re, shutil, sys, tempfile
from copy import deepcopy
from functools import partial, reduce
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from types import FunctionType, SimpleNamespace

import yaml
from bs4 import BeautifulSoup
from fastcore.nbio import read_nb
from nbdev import doclinks, serve
from nbdev.config import get_config
from nbdev.process import Processor
from nbdev.processors import FilterDefaults, add_show_docs, mk_cell
from nbdev.quarto import refresh_quarto_yml, render_quarto
from PIL import Image

root = Path(__file__).resolve().parent.parent
nbs, proc, out = root/'nbs', root/'_proc', root/'_docs'
outside = dict(changelog='CHANGELOG.md', contributing='CONTRIBUTING.md', zh_index='README.zh.md')  # pages made from files outside nbs

# --- nbdev's processing of the notebooks, and a little more ---

class split_title(Processor):
    "Put the title into its own cell: nbdev removes it together with everything else in its cell"
    def begin(self):
        cells = self.nb.cells
        if m := re.fullmatch(r'(# .*\s*(?:>.*\s*)*)(\S[\s\S]*)', cells[0].source):
            cells[0].source = m[1]
            cells.insert(1, mk_cell(m[2], 'markdown'))

class own_markdown(Processor):
    """Turn each badge into a link of its text, because a page loads nothing from other sites; keep alternative text
    from becoming a caption; link files outside nbs to their page, or to the repository"""
    def cell(self, cell):
        if cell.cell_type != 'markdown': return
        text = re.sub(r'\[!\[([^\]]*)\]\(https?:[^)]*\)\]\(([^)]*)\)', r'[\1](\2){.badge-link}', cell.source)
        text = re.sub(r'^!\[([^\]"]+)\](\([^)]+\))$', r'![]\2{fig-alt="\1"}', text, flags=re.M)
        cell.source = re.sub(r'(?<=\]\()(\.\./[^)#\s]+)', self.address, text)
    def address(self, m):
        folder = Path(self.nb.path_).resolve().parent
        file = (folder/m[1]).resolve()
        if nbs in file.parents or not file.exists(): return m[1]
        name = file.relative_to(root).as_posix()
        page = next((nbs/f'{k}.qmd' for k, v in outside.items() if v == name), None)
        return Path(os.path.relpath(page, folder)).as_posix() if page else f'{get_config().git_url}/blob/main/{name}'

class quoted_words(Processor):
    "Quote alternative text, which may contain a colon that YAML would misread"
    def cell(self, cell):
        if cell.cell_type == 'code': cell.source = re.sub(r'^(#\| *fig-alt:) *([^"\'\s].*)$', lambda m: f'{m[1]} {json.dumps(m[2], ensure_ascii=False)}', cell.source, flags=re.M)

def methods(cls):
    "Return the documented public methods and properties in a class body; those added by `@patch` have their own cells"
    body, kinds = ast.parse(inspect.getsource(cls)).body[0].body, (FunctionType, classmethod, staticmethod, property)
    names = [n.name for n in body if isinstance(n, ast.FunctionDef) and not n.name.startswith('_')]
    return [k for k in names if isinstance(vars(cls)[k], kinds) and vars(cls)[k].__doc__]

class add_methods(Processor):
    "Show the methods of a class below it: nbdev shows only the class"
    def begin(self):
        cells = self.nb.cells
        for cell in reversed([c for c in cells if getattr(c, 'has_sd', False)]):
            name, at = cell.source[len('show_doc('):-1], cells.index(cell) + 1
            if not inspect.isclass(cls := getattr(module_of(self.nb.path_), name, None)): continue
            cells[at:at] = [mk_cell(f"show_doc({name}.{m}, name='{name}.{m}', title_level=4)") for m in methods(cls)]

class own_types(Processor):
    "Show the types of cells that nbdev runs again as the module's, not as those of `__main__`"
    def cell(self, cell):
        for data in (o.data for o in cell.get('outputs', []) if 'show_doc' in cell.source and 'data' in o):
            if 'text/markdown' in data: data['text/markdown'] = ''.join(data['text/markdown']).replace('__main__.', '')

class only_exports(Processor):
    "Run again only the cells that document a name: nbdev would run every cell with an import"
    def begin(self):
        for c in self.nb.cells:
            if not c.directives_.keys() & {'export', 'exports', 'exporti', 'exec_doc'} and 'show_doc' not in c.source: c.directives_['eval'] = 'false'

def defined(node):
    "Return the names that a statement defines; for a method added by `@patch`, the name of its class"
    if isinstance(node, ast.Assign): return [n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)]
    if not isinstance(node, (ast.FunctionDef, ast.ClassDef)): return []
    patches = any(isinstance(d, (ast.Name, ast.Call)) and ast.unparse(d).startswith('patch') for d in node.decorator_list)
    return [ast.unparse(node.args.args[0].annotation)] if patches else [node.name]

def is_private(name): return any(part.startswith('_') for part in name.split('.'))

class show_private(Processor):
    "Show the source of private definitions, and no documentation; their use follows below"
    def cell(self, cell):
        if cell.cell_type != 'code': return
        if getattr(cell, 'has_sd', False) and is_private(cell.source[len('show_doc('):-1]): del cell['source']
        elif 'export' in cell.directives_:
            names = [n for node in ast.parse(cell.source).body for n in defined(node)]
            if names and all(map(is_private, names)): cell.directives_['exports'] = cell.directives_.pop('export')

class Filter(FilterDefaults):
    def base_procs(self):
        procs = super().base_procs()
        i = procs.index(add_show_docs) + 1
        first = [split_title, own_markdown, quoted_words, only_exports]
        return [*first, *procs[:i], add_methods, show_private, *procs[i:], own_types]

def know_names():
    "Let nbdev link names to their documentation and source: it looks for an entry point, and the package has none"
    from dogscats_course import _modidx
    index = deepcopy(_modidx.d)
    for module, syms in index['syms'].items():
        syms |= {k.replace('.Learner.', '.'): v for k, v in syms.items() if '.Learner.' in k}
        index['syms'][module] = {k: v for k, v in syms.items() if not is_private(k)}
    ours = SimpleNamespace(name='dogscats_course', dist=SimpleNamespace(name='dogscats_course'), load=lambda: index)
    doclinks.entry_points = lambda group: [ours]

# --- the pages that are generated from the package ---

# the reference, in the order of a reader's interest: the internals come last
chapters = {'Start here': 'vgg16 train',
            'Data': 'data layout splits folders photos weights draw',
            'The learner': 'learner head last_block frozen stages estimate checkpoint',
            'Looking at results': 'score show cam familiarity slider quiz',
            'Using and sharing': 'predict share report page publish card onnx_file',
            'Tools': 'compare duplicates clean plan ensemble kaggle',
            'The course and the command': 'measured course cli',
            'What lies underneath': 'lettering chinese archs items block features cache body fastbody grids processes memory console plain known atomic about',
            'How the pictures are drawn': 'drawing.pen drawing.fur drawing.faces drawing.heads drawing.scenes drawing.poses drawing.choices'}

def notebooks(folder=nbs, files='[0-9]*.ipynb'): return sorted(f for f in folder.glob(files) if not f.parent.name.startswith('.'))

def module_of(path):
    "Return the module that a notebook exports"
    name = re.search(r'#\| default_exp ([\w.]+)', Path(path).read_text(encoding='utf-8'))[1]
    return importlib.import_module(f'dogscats_course.{name}')

def module_name(module): return module.__name__.partition('.')[2]

def reference():
    "Return {chapter: {module's name: its notebook}}; raise `ValueError` if `chapters` and the notebooks differ"
    found = {module_name(module_of(f)): f for f in notebooks()}
    listed = {chapter: names.split() for chapter, names in chapters.items()}
    if odd := found.keys() ^ {n for names in listed.values() for n in names}:
        raise ValueError(f"`chapters` in nbs/docs.py and the notebooks differ in: {', '.join(sorted(odd))}.")
    return {chapter: {n: found[n] for n in names} for chapter, names in listed.items()}

def sentence(module): return inspect.getdoc(module).partition('\n')[0].rstrip('.') + '.'

def what_is(module, name):
    "Return the first line of a name's documentation; for a value, the comment beside it, or the value itself"
    o = reduce(getattr, name.split('.'), module)
    if callable(o) or isinstance(o, property): return (inspect.getdoc(o) or '').partition('\n')[0]
    m = re.search(rf'^{name} = .*?#\s*(.+)', inspect.getsource(module), re.M)
    return m[1] if m else f'`{o!r}`'

def names():
    "Return all public names: a section per chapter, a table per module, and each name linked to its documentation"
    text = []
    for chapter, modules in reference().items():
        text += ['', f'## {chapter}']
        for name, f in modules.items(): text += ['', f'### [{name}]({f.name})', '', sentence(module_of(f)), *table(f)]
    return '\n'.join(text) + '\n'

def table(f):
    "Return the lines of the table of a module's public names, or none if it has only private names"
    module, page = module_of(f), read_nb(proc/f.name)
    source = '\n'.join(c.source for c in page.cells)
    shown = re.findall(r'^show_doc\(([\w.]+)', source, re.M)
    rows = []
    for name in dict.fromkeys([*shown, *module.__all__]):
        anchor = f'#{name.lower()}' if name in shown else ''
        rows.append(f"| [`{name}`]({f.name}{anchor}) | {what_is(module, name).replace('|', chr(92) + '|')} |")
    return ['', '| name | what it is |', '|---|---|', *rows] if rows else []

def commands():
    "Return the help texts of all `dogscats` commands"
    from dogscats_course.cli import _parser
    os.environ['COLUMNS'] = '80'
    def leaves(parser):
        below = [p for a in parser._actions if isinstance(a, argparse._SubParsersAction) for p in a.choices.values()]
        return [q for p in below for q in leaves(p)] if below else [parser]
    return '\n'.join(f'## {p.prog}\n\n```\n{p.format_help().strip()}\n```\n' for p in leaves(_parser()))

# --- the pages that are made from files outside nbs ---

def brought_in(file):
    "Return the text of a file outside nbs, with the links that it needs inside; of a README without what its page has already"
    text = file.read_text(encoding='utf-8').replace('](nbs/', '](')
    if not file.name.startswith('README'): return text
    text = re.sub(r'^# .*\n+(> .*\n+)?(\[\w+\]\(README[^)]*\)\n+)?', '', text)  # title, description, the other language
    text = re.sub(r'^!\[([^\]"]+)\](\([^)]+\))$', r'![]\2{fig-alt="\1"}', text, flags=re.M)
    pages = {name: f'{k}.qmd' for k, name in outside.items()}
    return re.sub(r'(?<=\]\()([A-Z.]+(?:\.md)?)(?=\))', lambda m: pages.get(m[1], f'{get_config().git_url}/blob/main/{m[1]}'), text)

# --- the classifier to try ---

frame = """```{{=html}}
<p><button id="load" class="btn btn-primary" type="button">Load the classifier ({megabytes:.0f} MB)</button></p>
<script>
document.getElementById('load').onclick = e => {{
  const frame = document.createElement('iframe');
  Object.assign(frame, {{src: '{file}', title: 'The classifier', allow: 'camera'}});
  frame.style = 'width: 100%; height: 60rem; border: 1px solid var(--bs-border-color); border-radius: .5rem';
  frame.onload = () => new ResizeObserver(([o]) => frame.style.height = `${{o.target.scrollHeight + 4}}px`).observe(frame.contentDocument.documentElement);
  e.target.replaceWith(frame);
}};
</script>
```
"""

def classifier(file):
    "Write the classifier of lesson 1 to `file` as a page; return the Markdown that shows it on the site, or says why it is not there"
    from dogscats_course.all import dogscats, draw_animal, make_dls, set_seed, vgg_learner, write_page
    set_seed(42)
    drawn = [draw_animal(species, size=320, seed=seed) for seed in range(901, 907) for species in ('cat', 'dog')]
    try:
        learn = vgg_learner(make_dls(dogscats('drawn')), weights='bundled')
        with learn.no_bar(), learn.no_logging(): learn.fit_head(5)
        write_page(learn, file, title='Cat or dog?', examples=drawn)
    except (ImportError, ConnectionError) as e: return f'This build of the site lacks it: {e}\n'
    return frame.format(megabytes=file.stat().st_size/1e6, file=f'try/{file.name}')

# --- the yml files ---

def sidebar():
    "Return the pages in their order; a new lesson is included as soon as its notebook exists"
    parts = [dict(section=chapter, contents=[dict(text=n, href=f.name) for n, f in modules.items()])
             for chapter, modules in reference().items()]
    lessons, chinese = ([f.relative_to(nbs).as_posix() for f in notebooks(files=files)] for files in ('lessons/*.ipynb', 'lessons/zh/*.ipynb'))
    course = dict(section='Lessons', href='lessons/index.qmd', contents=[*lessons, dict(section='中文课程', contents=chinese), 'words.qmd'])
    return [dict(text='Home', href='index.ipynb'), 'zh_index.qmd', 'install.qmd', 'zh_install.qmd', 'try.qmd', course,
            dict(section='Reference', href='reference.qmd', contents=[*parts, 'command.qmd']),
            *(f.name for f in notebooks(files='[a-z]*.ipynb') if f.stem != 'index'), 'faq.qmd', 'changelog.qmd', 'contributing.qmd']

def write_ymls():
    refresh_quarto_yml()
    config = yaml.safe_load((nbs/'nbdev.yml').read_text(encoding='utf-8'))
    config['website']['site-url'] = f'https://{get_config().user}.github.io/{get_config().repo}'
    for name, o in (('nbdev', config), ('sidebar', dict(website=dict(sidebar=dict(contents=sidebar()))))):
        (nbs/f'{name}.yml').write_text(yaml.safe_dump(o, sort_keys=False, allow_unicode=True), encoding='utf-8')

# --- additions to the pages of smalldocs ---

def kept(data, kind):
    "Save a picture that a page holds in base64 as a file of the site, and return the file"
    data = base64.b64decode(data)
    file = out/'pictures'/f'{hashlib.sha256(data).hexdigest()[:16]}.{kind}'
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)
    return file

def shown_size(file):
    "Return the width and height at which a picture is shown: one with more than 96 dots per inch is made smaller"
    with Image.open(file) as im: return [round(n*96/max(96, im.info.get('dpi', [96])[0])) for n in im.size]

landmarks = {'nav.navbar': 'Site', '.quarto-secondary-nav': 'Menu', '#quarto-sidebar': 'Pages', '#quarto-margin-sidebar': 'This page',
             '#TOC': 'On this page', '.page-navigation': 'Previous and next page', '.listing-pagination': 'Pages of this list'}

# the frame of a page in Chinese
chinese = {'Lessons': '课程', 'Reference': '参考', 'Install': '安装', 'FAQ': '常见问题', 'Home': 'English', 'Try it': '试一试', 'Words': '词汇', 'Search': '搜索',
           'On this page': '本页内容', 'Edit this page': '编辑本页', 'Report an issue': '报告问题', 'Changelog': '更新日志', 'Contributing': '参与贡献', 'Site': '网站',
           'Menu': '菜单', 'Pages': '页面', 'This page': '本页', 'Previous and next page': '上一页和下一页', 'Toggle navigation': '打开菜单',
           'Toggle sidebar navigation': '打开页面列表', 'breadcrumb': '位置', 'Copy to Clipboard': '复制', 'Copied!': '已复制', 'Code': '代码',
           "Apache-2.0. The filters of VGG16 are the work of Oxford’s Visual Geometry Group, CC BY 4.0.": 'Apache-2.0。VGG16 的滤波器出自牛津大学视觉几何组，CC BY 4.0。'}
frame_parts = 'nav, footer, #quarto-search, #quarto-margin-sidebar, .toc-actions'

def in_chinese(soup):
    "Translate the frame of a page: the texts and labels round its content"
    for part in soup.select(frame_parts):
        for text in part.find_all(string=lambda t: t.strip() in chinese): text.replace_with(text.replace(text.strip(), chinese[text.strip()]))
        for o in [part, *part.find_all(True)]:
            for k in ('aria-label', 'placeholder', 'title'):
                if o.get(k) in chinese: o[k] = chinese[o[k]]
    for a in soup.select('nav a[href$="/install.html"], nav a[href="install.html"]'):  # there is one in Chinese
        if item := a.find_parent('li', class_='sidebar-item'): item.decompose()  # and it has its own place among the pages
        else: a['href'] = a['href'].replace('install.html', 'zh_install.html')

def mend(page):
    "Add what a page of smalldocs lacks"
    soup, up = BeautifulSoup(page.read_text(encoding='utf-8'), 'html.parser'), '../'*(len(page.relative_to(out).parts) - 1)
    for img in soup('img'):
        if m := re.fullmatch(r'data:image/(\w+);base64,(.*)', img['src'], re.S): img['src'] = up + kept(m[2], m[1]).relative_to(out).as_posix()
        file = page.parent/img['src']
        if file.suffix == '.svg' or not file.is_file(): continue
        img['width'], img['height'] = shown_size(file)
        img['loading'] = 'lazy'
    for o in soup.select('.cell-output-display'):  # left by finished progress bars
        for style in o('style'): style.decompose()
        if not o.get_text(strip=True) and not o.find(['img', 'svg']): o.decompose()
    for th in soup('th'):  # the empty corner of a table
        if not th.get_text(strip=True): th.name = 'td'
    for h in soup.select('.quarto-listing h5'): h.name = 'h2'
    for part, name in landmarks.items():
        for o in soup.select(part): o['aria-label'] = name
    for o in soup.select('#quarto-margin-sidebar'): o['role'] = 'complementary'
    for a in soup.select('a[role=navigation]'):  # they open and close parts of the sidebar, so they are buttons
        a.name = 'button'
        a['type'] = 'button'
        del a['role']
    for a in soup.select('a.toc-action[href*="/edit/"]'):
        if page.stem in outside: a['href'] = f'{get_config().git_url}/edit/main/{outside[page.stem]}'
    if soup.html.get('lang', '').startswith('zh'): in_chinese(soup)
    page.write_text(str(soup), encoding='utf-8')

def smalldocs():
    "Render _proc without Quarto; return the broken links"
    from smalldocs.config import load
    from smalldocs.site import Site
    class Named(Site):
        "A site whose pages have the file names that nbdev gives them, as with Quarto"
        def read(self, src):
            page = super().read(src)
            if name := page.front.get('output-file'): page.out = page.out.with_name(name)
            return page
        def find_page(self, target): return super().find_page(target) or next((p for p in self.pages.values() if p.out == target), None)
    site = Named(load(proc), quiet=True)
    site.build()
    return [f'{page}: there is no {link}' for page, link in site.broken]

# --- the command ---

def build(quarto):
    "Build the whole site, with Quarto or without it; return its problems, in words"
    os.chdir(root)  # where nbdev looks for its settings
    write_ymls()
    know_names()
    serve.FilterDefaults = Filter
    serve.proc_nbs(nbs, n_workers=0, force=True, skip_file_re=r'^[_.]|\.py$')
    texts = dict(names=names(), commands=commands())
    texts |= {k: brought_in(root/name) for k, name in outside.items()}
    made = Path(tempfile.mkdtemp())/'classifier.html'
    texts['try'] = classifier(made)
    for k, text in texts.items(): (proc/f'_{k}.md').write_text(text, encoding='utf-8')
    problems = (render_quarto(proc, proc/out.name) or []) if quarto else smalldocs()
    shutil.rmtree(out, ignore_errors=True)
    (proc/out.name).rename(out)
    if not quarto:
        for page in out.rglob('*.html'): mend(page)
    if made.exists():
        (out/'try').mkdir()
        shutil.copy(made, out/'try')
    shutil.rmtree(made.parent)
    return problems

def main(argv=None):
    "Run the command line; return the exit status"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--serve', action='store_true', help='serve _docs at http://localhost:8000 after building it')
    parser.add_argument('--smalldocs', action='store_true', help='use smalldocs even if Quarto is installed')
    args = parser.parse_args(argv)
    problems = build(quarto=shutil.which('quarto') and not args.smalldocs)
    print(*problems, f"{len(list(out.rglob('*.html')))} pages in {out.name}", sep='\n', file=sys.stderr if problems else sys.stdout)
    if args.serve:
        print('Serving it at http://localhost:8000, until Ctrl-C.')
        try: HTTPServer(('localhost', 8000), partial(SimpleHTTPRequestHandler, directory=out)).serve_forever()
        except KeyboardInterrupt: pass
    return int(bool(problems))

if __name__ == '__main__': sys.exit(main())
