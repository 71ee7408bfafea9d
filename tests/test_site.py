"The site is built as a whole, and opened in a browser as a visitor would."
import ast, re, runpy, shutil, subprocess, sys, threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from bs4 import BeautifulSoup

root = Path(__file__).resolve().parent.parent

# --- checks that need no build ---

def words(node):
    "Return the text of a message, with … in place of values"
    if isinstance(node, ast.Constant): return node.value
    if isinstance(node, ast.JoinedStr): return ''.join(v.value if isinstance(v, ast.Constant) else '…' for v in node.values)
    if isinstance(node, ast.BinOp): return f'{words(node.left)}{words(node.right) or ""}'

def messages(file):
    "Yield every error message: the first argument of the error's class, and what functions named `…_slip` return"
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith('Error'): found = node.args[:1]
        elif isinstance(node, ast.FunctionDef) and node.name.endswith('_slip'): found = [n.value for n in ast.walk(node) if isinstance(n, ast.Return)]
        else: continue
        yield from (m.rstrip('…') for m in map(words, found) if m)

def test_the_faq_has_every_error_and_no_other():
    faq = (root/'nbs/faq.qmd').read_text(encoding='utf-8')
    entries = {m.rstrip('…') for _, m in re.findall(r'^> (`+) ?(.+?) ?\1$', faq, re.M)}
    raised = {m for f in (root/'dogscats_course').rglob('*.py') for m in messages(f)}
    assert not (missing := sorted(raised - entries)), 'add to nbs/faq.qmd, with what to do:\n' + '\n'.join(missing)
    assert not (gone := sorted(entries - raised)), 'remove from nbs/faq.qmd, because no module raises them:\n' + '\n'.join(gone)

def test_the_logo_matches_its_script():
    assert (root/'nbs/images/logo.svg').read_text(encoding='utf-8') == runpy.run_path(str(root/'nbs/logo.py'))['logo'](), 'run nbs/logo.py'

# --- the built site, as files ---

@pytest.fixture(scope='module')
def site():
    "Build the site, and return its folder"
    r = subprocess.run([sys.executable, root/'nbs/docs.py', '--smalldocs'], text=True, encoding='utf-8', errors='replace', timeout=900,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert r.returncode == 0, r.stdout
    return root/'_docs'

@pytest.fixture(scope='module')
def pages(site):
    "{address: page} of the site; the classifier to try is none of them"
    return {f.relative_to(site).as_posix(): BeautifulSoup(f.read_text(encoding='utf-8'), 'html.parser') for f in sorted(site.rglob('*.html')) if f.parent.name != 'try'}

def test_every_notebook_has_its_page(pages):
    for f in [*(root/'nbs').glob('*.ipynb'), *(root/'nbs/lessons').rglob('[0-9]*.ipynb')]:
        assert (f.parent.relative_to(root/'nbs')/f"{re.sub('^[0-9]+_', '', f.stem)}.html").as_posix() in pages

def test_no_link_is_broken(site, pages):
    ids, bad = {page: {t['id'] for t in soup(id=True)} for page, soup in pages.items()}, []
    for page, soup in pages.items():
        for link in [t.get('href') or t.get('src') for t in soup(['a', 'img', 'link', 'script'])]:
            if not link or urlsplit(link).scheme: continue
            target = urlsplit(urljoin(page, link))
            path = unquote(target.path) or page
            if not (site/path).exists() or target.fragment and unquote(target.fragment) not in ids.get(path, ()): bad.append(f'{page}: {link}')
    assert not bad, '\n'.join(bad)

def test_the_reference_has_every_name(pages):
    text = {c.get_text() for c in pages['reference.html']('code')}
    files = [f.relative_to(root).with_suffix('') for f in (root/'dogscats_course').rglob('[a-z]*.py') if f.stem != 'all']
    modules = [import_module('.'.join(f.parts)) for f in files]
    assert [n for m in modules for n in m.__all__ if n not in text] == []
    for m in modules:  # and each name's documentation
        page = pages[f"{m.__name__.rpartition('.')[2]}.html"]
        assert [n for n in m.__all__ if callable(getattr(m, n)) and not page.find(id=n.lower())] == []

def test_a_page_can_be_edited(pages):
    for page, soup in pages.items():
        at = re.fullmatch(r'https://github\.com/\S+?/edit/main/(\S+)', soup.select_one('a.toc-action')['href'])[1]
        assert (root/at).is_file(), f'{page}: {at}'

def test_lessons_lead_to_each_other(pages):
    lessons = [f"lessons/{re.sub('^[0-9]+_', '', f.stem)}.html" for f in sorted((root/'nbs/lessons').glob('[0-9]*.ipynb'))]
    for a, b in zip(lessons, lessons[1:]):
        assert urljoin(a, pages[a].select_one('.nav-page-next a')['href']) == b
        assert urljoin(b, pages[b].select_one('.nav-page-previous a')['href']) == a

# --- in a browser ---

class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args): pass

def test_the_frame_of_a_chinese_page_is_chinese(pages):
    for page in ('lessons/zh/seven_lines.html', 'zh_index.html'):
        soup = pages[page]
        bar, side = soup.select('nav.navbar .menu-text'), [a for a in soup.select('#quarto-sidebar a') if a.get_text(strip=True) == '安装']
        assert {'课程', '安装'} <= {o.get_text(strip=True) for o in bar} and soup.html['lang'] == 'zh'
        assert [unquote(a['href']).rpartition('/')[2] for a in side] == ['zh_install.html'], 'one page to install, the Chinese one'
        assert [urljoin(page, a['href']) for a in soup.select('nav.navbar a') if a.get_text(strip=True) == '安装'] == ['zh_install.html']
    assert 'Install' in pages['index.html'].select_one('nav.navbar').get_text()

def test_the_list_of_lessons_is_by_language(pages):
    lists = [[urljoin('lessons/index.html', a['href']) for a in o.select('a')] for o in pages['lessons/index.html'].select('.quarto-listing')]
    lists = [list(dict.fromkeys(o)) for o in lists]
    assert lists[0][0] == 'lessons/seven_lines.html' and lists[1] == [o.replace('lessons/', 'lessons/zh/') for o in lists[0]] and len(lists) == 2

@pytest.fixture(scope='module')
def address(site):
    with ThreadingHTTPServer(('localhost', 0), partial(Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://localhost:{server.server_port}/'
        server.shutdown()

@pytest.mark.parametrize('width, scheme', [(1300, 'light'), (390, 'light'), (1300, 'dark'), (390, 'dark')])
def test_every_page(browser, address, pages, axe, width, scheme):
    context, wrong = browser.new_context(viewport=dict(width=width, height=900), color_scheme=scheme), []
    page = context.new_page()
    page.on('request', lambda r: wrong.append(f'{page.url} requests {r.url}') if not r.url.startswith((address, 'data:')) else None)
    page.on('response', lambda r: wrong.append(f'{page.url} lacks {r.url}') if r.status >= 400 else None)
    page.on('console', lambda m: wrong.append(f'{page.url} logs {m.text}') if m.type in ('error', 'warning') else None)
    page.on('pageerror', lambda e: wrong.append(f'{page.url} fails: {e}'))
    for name in pages:
        page.goto(address + name)
        images = page.evaluate('''() => Promise.all([...document.images].map(async i => { i.loading = 'eager';
            await i.decode().catch(() => 0); return [i.src, i.naturalWidth > 0, i.hasAttribute('alt') && (i.alt.length > 5 || !!i.closest('a'))]; }))''')
        wrong += [f'{name}: {"no alternative text for" if loaded else "no"} picture {src}' for src, loaded, alt in images if not loaded or not alt]
        if (used := page.evaluate('document.documentElement.scrollWidth')) > width: wrong.append(f'{name} is {used} pixels wide')
        light = sum(map(int, re.findall(r'\d+', page.evaluate('getComputedStyle(document.body).backgroundColor'))[:3]))
        if (light < 200) != (scheme == 'dark'): wrong.append(f'{name} is not {scheme}')
        if (width, scheme) not in ((1300, 'light'), (390, 'dark')): continue  # one second per page
        page.evaluate(axe)
        for v in page.evaluate("axe.run({resultTypes: ['violations']}).then(r => r.violations)"):
            wrong += [f"{name}: {v['id']}: {n['html'][:150]}: {n['failureSummary'][:300]}" for n in v['nodes'][:3]]
    context.close()
    assert not wrong, '\n'.join(wrong)

@pytest.fixture
def page(browser, address):
    context = browser.new_context(viewport=dict(width=390, height=800), color_scheme='light')
    yield context.new_page()
    context.close()

def test_search_finds_a_name(page, address):
    page.set_viewport_size(dict(width=1300, height=900))
    page.goto(address + 'lessons/index.html')
    page.keyboard.press('/')
    page.keyboard.type('fit_head')
    first = page.locator('.search-result').first
    assert 'Learner.fit_head' in first.inner_text()
    first.click()
    page.wait_for_url('**/head.html#learner.fit_head')

def test_the_menus_on_a_phone(page, address):
    page.goto(address + 'index.html')
    assert not page.locator('.navbar-nav', has_text='Lessons').is_visible()
    page.locator('.navbar-toggler').click()
    page.locator('.navbar-collapse.show').wait_for()  # a click while the menu unfolds goes beside the link
    page.locator('.navbar-nav a', has_text='Lessons').click()
    page.wait_for_url('**/lessons/**')
    page.locator('.quarto-btn-toggle').click()
    page.locator('#quarto-sidebar.show').wait_for()
    link = page.locator('#quarto-sidebar a', has_text='FAQ')
    link.scroll_into_view_if_needed()
    link.click()
    page.wait_for_url('**/faq.html')

def test_dark_mode_is_remembered(page, address):
    def dark(): return sum(map(int, re.findall(r'\d+', page.evaluate('getComputedStyle(document.body).backgroundColor'))[:3])) < 200
    page.set_viewport_size(dict(width=1300, height=900))
    page.goto(address + 'index.html')
    assert not dark()
    page.locator('.quarto-color-scheme-toggle').click()
    assert dark()
    page.goto(address + 'learner.html')
    assert dark()

def test_by_keyboard(page, address):
    "The focused element is visible"
    page.goto(address + 'index.html')
    for _ in range(3): page.keyboard.press('Tab')
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == 'solid'

def test_the_classifier_is_loaded_when_asked(page, address, site):
    if not (site/'try/classifier.html').exists(): pytest.skip(BeautifulSoup((site/'try.html').read_text(encoding='utf-8'), 'html.parser').find(string=re.compile('This build of the site lacks it')))
    asked = []
    page.on('request', lambda r: asked.append(r.url))
    page.goto(address + 'try.html')
    assert not any('classifier' in u for u in asked)
    page.locator('#load').click()
    frame = page.frame_locator('iframe')
    frame.locator('#examples button').nth(11).click()
    frame.locator('#bars li').first.wait_for(timeout=120_000)
    assert frame.locator('#label').inner_text() in ('cats', 'dogs')
    assert [u for u in asked if not u.startswith((address, 'data:', 'blob:'))] == []
