"A classifier as one HTML file, opened in a browser without a network: it must say what `predict_files` says."
import base64, csv, io, json, re, shutil, socket, threading, time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from fastai.vision.all import set_seed
from PIL import Image

from dogscats_course import onnx_file, page as page_module
from dogscats_course.body import pooled_features
from dogscats_course.data import make_dls
from dogscats_course.draw import draw_animal
from dogscats_course.familiarity import Familiarity
from dogscats_course.learner import vgg_learner
from dogscats_course.page import write_page
from dogscats_course.predict import predict_files
from dogscats_course.score import score
from dogscats_course.share import load_classifier, save_classifier
import odd

for name in ('onnx', 'onnxscript', 'onnxruntime'): pytest.importorskip(name, reason="pip install 'dogscats_course[publish]'")

# In bfloat16, in which some processors answer, a probability near 0.5 may differ by 0.02 from float32; benchmarks/page.py measures by how much.
pytestmark = pytest.mark.usefixtures('float32')

@pytest.fixture(scope='session')
def runtime():
    "The runtime's files, in the cache of the tests"
    try: return page_module._runtime_parts()
    except ConnectionError as e: pytest.skip(str(e))

def saved_classifier(folder, data, classes=None, fine_tune=0, epochs=2, **kwargs):
    "Train a small classifier and save it, with other class names if `classes` has them"
    set_seed(42)
    learn = vgg_learner(make_dls(data, size=64, bs=8), **kwargs)
    with learn.no_bar(), learn.no_logging():
        learn.fit_head(epochs)
        if fine_tune: learn.fine_tune(fine_tune)
    folder = save_classifier(learn, folder, scores=score(learn), seed=42)
    if classes:
        config = json.loads((folder/'config.json').read_text())
        (folder/'config.json').write_text(json.dumps({**config, 'classes': classes}))
    return folder

@pytest.fixture(scope='module')
def model(drawn, tmp_path_factory): return saved_classifier(tmp_path_factory.mktemp('model')/'model', drawn, weights='bundled')

@pytest.fixture(scope='module')
def cats(model, runtime, tmp_path_factory): return write_page(model, tmp_path_factory.mktemp('page')/'cats.html')

# --- a visitor ---

def until(page, expression, seconds=120):
    "Wait until a JavaScript expression is true; Playwright's own way is forbidden by the page's policy"
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"{expression}: {page.locator('body').inner_text()}"
        time.sleep(0.05)

class Visit:
    "A page that is open in a browser, and what it asked for"
    def __init__(self, browser, address, width=1000, scheme='light', locale='en-US', offline=True, **kwargs):
        self.context = browser.new_context(viewport=dict(width=width, height=900), color_scheme=scheme, locale=locale, accept_downloads=True, **kwargs)
        self.context.set_offline(offline)
        self.page, self.asked, self.errors = self.context.new_page(), [], []
        self.page.on('request', lambda r: self.asked.append(r.url))
        self.page.on('pageerror', lambda e: self.errors.append(str(e)))
        self.page.on('console', lambda m: self.errors.append(m.text) if m.type in ('error', 'warning') else None)
        self.page.goto(address)
    def __enter__(self): return self
    def __exit__(self, *args): self.context.close()
    def ready(self):
        until(self.page, "isReady || $('error').textContent")
        assert self.text('#error') == ''
        return self
    def text(self, selector): return self.page.locator(selector).inner_text()
    def choose(self, files):
        "Choose files, and return what the page says of each: {name: an answer or a sentence}"
        before = self.page.evaluate('photos.length')
        self.page.set_input_files('#files', list(map(str, files)))
        until(self.page, f"photos.length >= {before + len(files)} && photos.every(o => o.found)")
        found = self.page.evaluate("photos.map(o => [o.name, o.found.error ? words[o.found.error] : o.found.probabilities])")
        return dict(found[before:])
    @property
    def rows(self): return [[c.strip() for c in o.locator('td').all_inner_texts()] for o in self.page.locator('#rows tr').all()]

def outside(asked, address): return [u for u in asked if not u.startswith((address, 'data:', 'blob:'))]

def agree(found, learn, files):
    "Assert that the page's probabilities are those of `predict_files`, and labels equal; a JPEG decoded smaller differs a little"
    with learn.no_bar(): table = predict_files(learn, files)
    classes = list(learn.dls.vocab)
    for row in table.itertuples(index=False):
        ours, theirs = np.array(row[2:2 + len(classes)], float), np.array(found[Path(row.file).name])
        assert np.abs(ours - theirs).max() < 0.02, (row.file, ours, theirs)
        assert classes[theirs.argmax()] == row.label

# --- photos of every kind ---

@pytest.fixture(scope='module')
def odd_photos(tmp_path_factory):
    "Photos that take care to open"
    folder, exif = tmp_path_factory.mktemp('odd'), Image.Exif()
    files = {name: data for name, data in odd.photos().items() if not name.endswith(('.tif', '.ppm', '.jp2'))}
    files['twelve_megapixels.jpg'] = odd.saved(draw_animal('cat', size=400, seed=3).resize((4000, 3000), Image.BICUBIC), 'jpeg')
    for turn in (3, 6, 8):
        exif[274] = turn
        files[f'turned_{turn}.jpg'] = odd.saved(draw_animal('dog', size=300, seed=5).resize((300, 200)), 'jpeg', exif=exif)
    return odd.write(folder, files)

def test_it_agrees_with_python(browser, cats, model, odd_photos, drawn):
    files = [*odd_photos, *sorted((drawn/'valid').rglob('*.jpg'))[::4]]
    with Visit(browser, cats.as_uri()) as visit:
        found = visit.ready().choose(files)
        assert len(visit.rows) == len(files) and visit.errors == [] and outside(visit.asked, cats.as_uri()) == []
        cosines, unlike = zip(*visit.page.evaluate('photos.map(o => [o.found.familiarity, o.found.isUnlike])'))
    learn = load_classifier(model)
    agree(found, learn, files)
    with learn.no_bar(): table = predict_files(learn, files)
    assert np.abs(np.array(cosines) - table.familiarity).max() < 0.01
    near = np.abs(table.familiarity - learn.familiarity.threshold) < 0.01  # where rounding decides
    assert (np.array(unlike) == (table.warning != ''))[~near].all() and any(unlike)

def test_it_agrees_on_real_photos(browser, runtime, photos, tmp_path):
    learn = vgg_learner(make_dls(photos, size=128, limit=20), weights='bundled')
    with learn.no_bar(), learn.no_logging(): learn.fit_head(5)
    page, files = write_page(learn, tmp_path/'real.html'), sorted((photos/'valid').rglob('*.jpg'))[::100]
    with Visit(browser, page.as_uri()) as visit: agree(visit.ready().choose(files), learn, files)

def test_pixels_are_those_of_python(browser, odd_photos):
    "Where nothing is decoded smaller, they are the same to the last bit"
    page, script = browser.new_page(), Path(page_module.__file__).with_name('assets')/'page_worker.js'
    page.add_script_tag(path=script)
    for file in odd_photos:
        if 'megapixels' in file.name: continue
        ours = onnx_file.onnx_pixels(onnx_file.open_photo(file, 224), 224)
        theirs = page.evaluate('''async data => {
            const file = new Blob([Uint8Array.from(atob(data), c => c.charCodeAt(0))]);
            return [...networkInput(await opened(file), 224, true)].map(p => Math.round(255*p)); }''', base64.b64encode(file.read_bytes()).decode())
        assert np.array_equal(np.rint(255*ours).ravel(), theirs), file.name
    page.close()

sentences = {'letter.txt': 'This is not a photo, or it is damaged.', 'empty.jpg': 'The file is empty.',
             'phone.heic': 'This browser cannot open HEIC photos: export it as JPEG.', 'cmyk.tif': 'This browser cannot open photos of this kind: save it as JPEG or PNG.'}

def test_what_is_no_photo_gets_a_sentence_and_the_others_go_on(browser, cats, tmp_path):
    files = {**odd.photos(), **odd.not_photos(), 'letter.txt': b'Dear Sir or Madam'}
    files = odd.write(tmp_path, {name: files[name] for name in (*sentences, *odd.not_photos(), 'grey.jpg')})
    with Visit(browser, cats.as_uri()) as visit:
        found = visit.ready().choose(files)
        assert {name: found[name] for name in sentences} == sentences
        assert [name for name, o in found.items() if not isinstance(o, str)] == ['grey.jpg'] and visit.errors == []
        assert [row[1:] for row in visit.rows if row[0] == 'letter.txt'] == [[sentences['letter.txt']]]
        assert f'not read: {len(files) - 1}' in visit.text('#summary')

def test_the_table_is_saved_as_predict_does_it(browser, cats, model, odd_photos, tmp_path):
    comma = tmp_path/'cats, "dogs".png'
    comma.write_bytes(odd.photos()['bits.png'])
    (tmp_path/'no.jpg').write_text('no')
    files = [comma, odd_photos[0], tmp_path/'no.jpg']
    with Visit(browser, cats.as_uri()) as visit:
        found = visit.ready().choose(files)
        with visit.page.expect_download() as download: visit.page.click('#save')
        rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text(encoding='utf-8'))))
    learn = load_classifier(model)
    with learn.no_bar(): table = predict_files(learn, files)
    assert rows[0] == list(table.columns) and [r[0] for r in rows[1:]] == [f.name for f in files]
    assert list(map(float, rows[1][2:4])) == found[comma.name] and rows[3][1:6] == [''] * 5 and rows[3][6]

def test_two_hundred_photos_take_no_more_memory(browser, cats, tmp_path):
    picture = odd.saved(draw_animal('cat', size=600), 'jpeg')
    files = odd.write(tmp_path, {f'{i}.jpg': picture for i in range(200)})
    with Visit(browser, cats.as_uri()) as visit:
        cdp = visit.context.new_cdp_session(visit.page)
        def megabytes():
            cdp.send('HeapProfiler.collectGarbage')
            return cdp.send('Runtime.getHeapUsage')['usedSize']/1e6
        visit.ready().choose(files[:20])
        before = megabytes()
        visit.choose(files[20:])
        assert megabytes() - before < 10
        assert visit.text('#summary').startswith('200 of 200 done. ') and len(visit.rows) == 200
        visit.page.click('#clear')
        assert visit.rows == [] and not visit.page.locator('#stage').is_visible()
        assert list(visit.choose(files[:1])) == ['0.jpg']

# --- ways in ---

def test_what_a_visitor_reads(browser, cats, model):
    with Visit(browser, cats.as_uri()) as visit:
        assert visit.page.title() == visit.text('h1') == 'cats or dogs' and visit.text('#classes') == 'It tells apart: cats, dogs.'
        known = json.loads((model/'config.json').read_text())['scores']
        assert f"{100*known['accuracy']:.1f} % of 16 photos" in visit.text('#score') and f"95 % interval: {100*known['accuracy_low']:.1f} %" in visit.text('#score')
        body = visit.text('body')
        assert 'No photo leaves it.' in body and 'It knows these classes and no others.' in body and 'CC BY 4.0' in body and 'MIT' in body
        visit.ready().page.locator('#examples button').nth(1).click()
        until(visit.page, 'photos.length == 1 && photos[0].found')
        assert visit.text('#label') in ('cats', 'dogs') and visit.page.locator('#bars li').count() == 2
        assert visit.text('#spoken').startswith('picture 2 to try.jpg: ')

def transfer(page, target, event, file):
    "Drop a file, or paste it"
    page.evaluate('''([target, event, data]) => {
        const transfer = new DataTransfer(), bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
        transfer.items.add(new File([bytes], 'sent.png', {type: 'image/png'}));
        const init = {bubbles: true, cancelable: true};
        document.querySelector(target).dispatchEvent(event == 'paste' ? new ClipboardEvent(event, {...init, clipboardData: transfer})
            : new DragEvent(event, {...init, dataTransfer: transfer})); }''', [target, event, base64.b64encode(file).decode()])

def test_drop_and_paste(browser, cats):
    picture = odd.saved(draw_animal('cat'), 'png')
    with Visit(browser, cats.as_uri()) as visit:
        for target, event in (('#drop', 'drop'), ('body', 'paste')): transfer(visit.page, target, event, picture)
        visit.ready()
        until(visit.page, 'photos.length == 2 && photos.every(o => o.found)')
        a, b = visit.page.evaluate('photos.map(o => o.found.probabilities)')
        assert a == b and [r[0] for r in visit.rows] == ['sent.png', 'pasted 1.png']

def test_by_keyboard(browser, cats, odd_photos):
    with Visit(browser, cats.as_uri()) as visit:
        page, choosers = visit.page, []
        page.on('filechooser', lambda o: choosers.append(o))  # from the start: a browser that is busy takes a while to hand its dialogs over
        visit.ready()
        page.keyboard.press('Tab')
        assert page.evaluate('document.activeElement.id') == 'choose' and page.evaluate('getComputedStyle(document.activeElement).outlineStyle') == 'solid'
        page.keyboard.press('Enter')
        for _ in range(600):
            if choosers: break
            page.wait_for_timeout(50)
        choosers[0].set_files(list(map(str, odd_photos[:2])))
        until(page, 'photos.length == 2 && photos.every(o => o.found)')
        page.locator('.pick').nth(1).focus()
        page.keyboard.press('Enter')
        assert visit.text('#name') == odd_photos[1].name

@pytest.fixture(scope='module')
def with_camera(browser):
    "The browser with a camera that shows a green picture, and which may be used"
    args = ['--no-sandbox', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']
    chromium = browser.browser_type.launch(executable_path=shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome'), args=args)
    yield chromium
    chromium.close()

def test_the_camera(with_camera, cats):
    with Visit(with_camera, cats.as_uri()) as visit:
        page = visit.ready().page
        page.click('#camera')
        page.locator('#bars li').first.wait_for()
        assert page.locator('#video').is_visible() and page.evaluate("$('video').videoWidth > 0")
        page.click('#take')
        until(page, 'photos.length == 1 && photos[0].found')
        page.click('#stop')
        for _ in range(3):  # stopped in the midst of a frame
            page.click('#camera')
            page.click('#stop')
        assert not page.locator('#video').is_visible() and page.evaluate('stream === null') and page.locator('#camera').is_visible()
        assert visit.text('#name') == 'camera 1.jpg'
        page.locator('#examples button').first.click()
        until(page, 'photos.length == 2 && photos[1].found')
        assert visit.errors == []

def test_without_a_camera_it_says_so(browser, cats):
    with Visit(browser, cats.as_uri()) as visit:
        visit.page.click('#camera')
        until(visit.page, "$('error').textContent")
        assert visit.text('#error') in ('No camera was found that is free to use.', 'The camera may not be used: allow it in the browser’s settings for this page.')

@pytest.mark.parametrize('width, scheme, locale', [(1300, 'light', 'en-US'), (390, 'dark', 'en-GB'), (1300, 'dark', 'zh-CN'), (390, 'light', 'zh-TW')])
def test_it_is_accessible(browser, cats, odd_photos, axe, tmp_path, width, scheme, locale):
    (tmp_path/('a_name_without_any_space'*6 + '.jpg')).write_text('no')
    with Visit(browser, cats.as_uri(), width, scheme, locale, bypass_csp=True) as visit:
        visit.ready().choose([*odd_photos[:3], *tmp_path.iterdir()])
        page = visit.page
        assert page.evaluate('document.documentElement.scrollWidth') <= width
        light = sum(map(int, re.findall(r'\d+', page.evaluate('getComputedStyle(document.body).backgroundColor'))[:3]))
        assert (light < 200) == (scheme == 'dark')
        assert page.evaluate('document.documentElement.lang') == ('zh-Hans' if locale.startswith('zh') else 'en')
        assert ('照片不会离开它' in visit.text('body')) == locale.startswith('zh')
        page.evaluate(axe)
        found = page.evaluate("axe.run({resultTypes: ['violations']}).then(r => r.violations)")
        assert [(v['id'], n['html'][:150]) for v in found for n in v['nodes']] == []

def test_both_languages_say_the_same(browser, cats):
    with Visit(browser, cats.as_uri()) as visit:
        assert visit.page.evaluate('Object.keys(english).join() === Object.keys(chinese).join()')
        assert visit.page.evaluate("Object.keys(english).every(k => typeof english[k] === typeof chinese[k] && String(english[k]))")

# --- other classifiers ---

odd_names = ['<!--<script>', '<b>"it\'s" & {{ 1 }}', '猫和狗']

def three_classes(folder, drawn):
    "A folder of the drawn pictures with a third class, of pictures of nothing"
    shutil.copytree(drawn, folder)
    for split, n in (('train', 12), ('valid', 8)):
        (folder/split/'nothing').mkdir()
        for i in range(n): odd.picture(64, 64, seed=i).save(folder/split/'nothing'/f'{i}.png')
    return folder

def test_odd_names_of_three_classes(browser, runtime, drawn, tmp_path, odd_photos):
    data = three_classes(tmp_path/'three', drawn)
    folder = saved_classifier(tmp_path/'model', data, odd_names, weights='bundled')
    page = write_page(folder, tmp_path/'odd.html', title='</script><b>&"\'')
    with Visit(browser, page.as_uri()) as visit:
        found = visit.ready().choose(odd_photos[:4])
        assert visit.page.title() == visit.text('h1') == '</script><b>&"\'' and visit.errors == []
        assert visit.text('#classes') == f"It tells apart: {', '.join(odd_names)}."
        assert visit.page.locator('#bars li span:first-child').all_inner_texts() == odd_names and not visit.page.locator('#try').is_visible()
        assert {row[1].splitlines()[0] for row in visit.rows} <= set(odd_names)
    agree(found, load_classifier(folder), odd_photos[:4])

def test_a_fine_tuned_one_and_another_network(browser, runtime, drawn, tmp_path, odd_photos):
    from torchvision.models import resnet18
    tuned = saved_classifier(tmp_path/'tuned', drawn, fine_tune=1, weights='bundled')
    resnet = saved_classifier(tmp_path/'resnet', drawn, arch=resnet18, weights=None)
    for folder in (tuned, resnet):
        page = write_page(folder, folder.with_suffix('.html'))
        with Visit(browser, page.as_uri()) as visit: found = visit.ready().choose(odd_photos[:6])
        agree(found, load_classifier(folder), odd_photos[:6])

def test_what_is_unlike_the_training_photos(browser, model, runtime, odd_photos, tmp_path):
    "Three rows, of which the second nearest counts: the features of one photo, and nothing like them"
    learn = load_classifier(model)
    files = odd_photos[::6][:4]
    with learn.no_bar(): x = pooled_features(learn, learn.dls.test_dl(files))[0].float()
    rows = torch.stack([x[0], x[0], torch.randn(x.shape[1])])
    learn.familiarity = Familiarity((rows/rows.abs().amax(1, keepdim=True)*127).round().to(torch.int8), k=2, threshold=0.999)
    with Visit(browser, write_page(learn, tmp_path/'p.html').as_uri()) as visit:
        visit.ready().choose(files)
        cosines = visit.page.evaluate('photos.map(o => o.found.familiarity)')
        wanted = torch.nn.functional.cosine_similarity(x, rows[:1]).tolist()
        assert np.abs(np.array(cosines) - wanted).max() < 0.01 and cosines[0] > 0.999
        unlike = [c < 0.999 for c in cosines]
        assert any(unlike) and ['unlike its training photos' in row[1] for row in visit.rows] == unlike
        for i, o in enumerate(unlike):
            visit.page.locator('.pick').nth(i).click()
            assert visit.page.get_by_text('This is unlike anything that it was trained on').is_visible() == o

def test_int8_is_used_only_if_it_changes_little(model, drawn, tmp_path, monkeypatch, capsys):
    large = onnx_file.export_onnx(model, tmp_path/'large.onnx').stat().st_size
    small = onnx_file.export_onnx(model, tmp_path/'small.onnx', small=True).stat().st_size
    assert small < large/3 and 'With int8 weights it has' in capsys.readouterr().out
    monkeypatch.setattr(onnx_file, '_as_int8', lambda weights: (np.ones(weights.shape, np.int8), np.ones(len(weights), np.float32)))
    kept = onnx_file.export_onnx(model, tmp_path/'kept.onnx', small=True)
    assert kept.stat().st_size == large and 'Its weights stay float32' in capsys.readouterr().out
    assert sorted(f.name for f in tmp_path.iterdir()) == ['kept.onnx', 'large.onnx', 'small.onnx']

# --- from a server ---

class Server(SimpleHTTPRequestHandler):
    headers_sent, hits = {}, []
    def log_message(self, *args): self.hits.append(self.path)
    def end_headers(self):
        for k, v in self.headers_sent.items(): self.send_header(k, v)
        super().end_headers()

@pytest.fixture
def served():
    "A function that serves a folder, with other headers, and returns its address"
    servers = []
    def serve(folder, **headers):
        handler = type('Handler', (Server,), dict(headers_sent={k.replace('_', '-'): v for k, v in headers.items()}))
        servers.append(server := ThreadingHTTPServer(('localhost', 0), partial(handler, directory=folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f'http://localhost:{server.server_port}/'
    yield serve
    for server in servers: server.shutdown()

@pytest.mark.parametrize('isolated', [False, True])
def test_from_a_server(browser, cats, model, served, odd_photos, isolated):
    headers = dict(Cross_Origin_Opener_Policy='same-origin', Cross_Origin_Embedder_Policy='require-corp') if isolated else {}
    address = served(cats.parent, **headers)
    with Visit(browser, address + cats.name, offline=False) as visit:
        found = visit.ready().choose(odd_photos[:4])
        assert outside(visit.asked, address) == [] and visit.errors == []
        assert (int(visit.page.evaluate('document.body.dataset.threads')) > 1) == (isolated and visit.page.evaluate('navigator.hardwareConcurrency > 1'))
    agree(found, load_classifier(model), odd_photos[:4])

def test_the_page_can_send_nothing(browser, cats, served):
    "Not by accident, and not by a script that somebody slipped in: the browser refuses"
    address = served(cats.parent)
    with Visit(browser, cats.as_uri(), offline=False) as visit:
        for script in (f"fetch('{address}').then(() => 'sent', () => 'refused')", f"fetch('{address}', {{mode: 'no-cors'}}).then(() => 'sent', () => 'refused')",
                       f"new Promise(done => Object.assign(new Image(), {{onload: () => done('sent'), onerror: () => done('refused'), src: '{address}a.png'}}))"):
            Server.hits.clear()
            assert visit.page.evaluate(script) == 'refused' and Server.hits == []
    with Visit(browser, address + cats.name, offline=False): assert Server.hits, 'the server would have noticed'

@pytest.mark.parametrize('is_whole', [True, False])
def test_the_runtime_of_a_content_network(browser, model, runtime, tmp_path, odd_photos, is_whole):
    page, files = write_page(model, tmp_path/'cdn.html', cdn=True), {name: part for part, (name, _) in page_module._runtime_files.items()}
    def answer(route):
        data = runtime[files[route.request.url.rpartition('/')[2]]]
        route.fulfill(body=data if is_whole else data[:-1] + b' ', headers={'Access-Control-Allow-Origin': '*'})
    with Visit(browser, 'about:blank', offline=False) as visit:
        visit.context.route(f'{page_module._cdn}/**', answer)
        visit.page.goto(page.as_uri())
        if is_whole: agree(visit.ready().choose(odd_photos[:2]), load_classifier(model), odd_photos[:2])
        else:
            until(visit.page, "$('error').textContent")
            assert 'The classifier does not run on this device' in visit.text('#error') and not visit.page.evaluate('isReady')

def test_without_the_content_network_it_says_so(browser, model, tmp_path):
    with Visit(browser, write_page(model, tmp_path/'cdn.html', cdn=True).as_uri()) as visit:
        until(visit.page, "$('error').textContent")
        assert 'does not run on this device' in visit.text('#error')

# --- writing it ---

def test_the_runtime_is_checked_and_kept(model, runtime, tmp_path, monkeypatch):
    for part, (name, _) in page_module._runtime_files.items(): (tmp_path/name).write_bytes(runtime[part])
    assert page_module._runtime_parts(tmp_path) == runtime
    (tmp_path/name).write_bytes(runtime['wasm'][:-1])
    with pytest.raises(ValueError, match='is not the one of onnxruntime-web'): write_page(model, tmp_path/'a.html', runtime=tmp_path)
    with pytest.raises(FileNotFoundError): write_page(model, tmp_path/'a.html', runtime=tmp_path/'nowhere')
    monkeypatch.setattr(page_module, '_fetch_runtime', None)
    assert page_module._runtime_parts() == runtime, 'from the cache'
    cached = page_module.cache_folder().parent/f'onnxruntime-web-{page_module._runtime}'/name
    cached.write_bytes(b'damaged')
    try:
        monkeypatch.setattr(page_module, '_fetch_runtime', lambda folder: [(Path(folder)/n).write_bytes(runtime[p]) for p, (n, _) in page_module._runtime_files.items()])
        assert page_module._runtime_parts() == runtime and cached.read_bytes() == runtime['wasm'], 'fetched again'
    finally: cached.write_bytes(runtime['wasm'])
    assert not list(tmp_path.glob('*.html'))

@pytest.mark.parametrize('npm, why', [(None, 'npm is not installed'), ('exit 1', 'npm failed'), ('echo npm error code ENOTFOUND >&2; exit 1', 'npm error code ENOTFOUND'), ('true', 'npm failed')])
def test_without_npm_or_a_network_it_says_what_to_do(model, tmp_path, cache_at, monkeypatch, npm, why):
    monkeypatch.setattr(page_module, 'cache_folder', lambda: tmp_path/'cache/features')
    (tmp_path/'bin').mkdir()
    if npm:
        (tmp_path/'bin/npm').write_text(f'#!/bin/sh\n{npm}\n')
        (tmp_path/'bin/npm').chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path/'bin'))
    with pytest.raises(ConnectionError, match=re.escape(f'({why}). Where there is a network, run `npm pack onnxruntime-web@1.30.0`')): write_page(model, tmp_path/'a.html')
    assert [f.name for f in tmp_path.iterdir()] == ['bin']

def test_nothing_is_overwritten(model, tmp_path):
    (tmp_path/'mine.html').write_text('mine')
    with pytest.raises(FileExistsError, match='move it away'): write_page(model, tmp_path/'mine.html', cdn=True)
    with pytest.raises(FileNotFoundError, match='no folder'): write_page(model, tmp_path/'nowhere/a.html', cdn=True)
    assert (tmp_path/'mine.html').read_text() == 'mine'

def test_examples_and_scores_of_ones_own(browser, model, tmp_path, odd_photos):
    folder = shutil.copytree(model, tmp_path/'model')
    config = json.loads((folder/'config.json').read_text())
    for scores in ({}, {'accuracy': 0.9}, '<b>', {'accuracy': float('nan'), 'accuracy_low': 0, 'accuracy_high': 1, 'photos': 3}):
        (folder/'config.json').write_text(json.dumps({**config, 'scores': scores, 'weights': 'a_[b](c)'}))
        page = write_page(folder, tmp_path/'own.html', examples=[odd_photos[0], draw_animal('dog')], cdn=True)
        with Visit(browser, page.as_uri()) as visit:
            assert visit.text('#score') == 'How often it is right is not known.' and visit.page.locator('#examples img').count() == 2
            assert 'the weights a_[b](c); their licence' in visit.text('footer')
        page.unlink()

def test_the_page_names_nothing_of_this_machine(cats):
    text = re.sub(r'<script type="text/plain" class="part".*?</script>', '', cats.read_text(encoding='utf-8'), flags=re.S)
    text = re.sub(r'base64,[\w+/=]+', '', text)
    assert str(Path.home()) not in text.replace('\\/', '/') or str(Path.home()) == '/'
    assert not re.search(r'/(?:tmp|home|work)/', text) and socket.gethostname() not in text
