"Sharing: a page tried in a browser, an ONNX file that predicts the same, a card that invents nothing, a Space that runs with the packages it names."
import html, json, os, re, runpy, shutil, socket, subprocess, sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from dogscats_course import about, onnx_file
from dogscats_course.about import percent
from dogscats_course.card import model_card
from dogscats_course.data import make_dls
from dogscats_course.draw import draw_animal
from dogscats_course.learner import vgg_learner
from dogscats_course.onnx_file import export_onnx, onnx_answer
from dogscats_course.photos import photo_error
from dogscats_course.publish import _photo_probs, make_app, write_space
from dogscats_course.share import load_classifier, save_classifier
from dogscats_course.score import score
import odd

EXTRAS = 'gradio', 'onnx', 'onnxscript', 'onnxruntime'
for name in EXTRAS: pytest.importorskip(name, reason="pip install 'dogscats_course[publish]'")
import gradio, onnx, onnxruntime

marked_up = '<img src=x onerror=document.title=1>', '[a](b) *c* `d` _e_ $f$ ~~g~~'

@pytest.fixture(scope='module')
def saved(drawn, tmp_path_factory):
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled')
    learn.fit_head(2)
    return learn, save_classifier(learn, tmp_path_factory.mktemp('publish')/'model', scores=score(learn), seed=3)

@pytest.fixture(scope='module')
def oddly_named(saved, tmp_path_factory):
    "The same classifier, with class names that a page or a card must not take for markup"
    folder = shutil.copytree(saved[1], tmp_path_factory.mktemp('odd')/'model')
    config = json.loads((folder/'config.json').read_text())
    (folder/'config.json').write_text(json.dumps({**config, 'classes': marked_up}))
    return folder

@pytest.fixture(scope='module')
def photo(tmp_path_factory):
    "A photo that lies on its side, according to EXIF"
    file, exif = tmp_path_factory.mktemp('photo')/'photo.jpg', Image.Exif()
    exif[274] = 6
    draw_animal('dog', size=300, seed=5).rotate(90).save(file, exif=exif)
    return file

def probs(learn, file):
    with learn.no_bar(), learn.no_logging(): return dict(zip(learn.dls.vocab, learn.predict(file)[2].tolist()))

def close(a, b): return a.keys() == b.keys() and all(abs(a[k] - b[k]) < 1e-4 for k in a)

# --- the page ---

@pytest.fixture
def abroad(monkeypatch):
    "The other hosts that this process looks up"
    asked, resolve = [], socket.getaddrinfo
    def getaddrinfo(host, *args, **kwargs):
        if host not in ('127.0.0.1', 'localhost', '::1', None): asked.append(host)
        return resolve(host, *args, **kwargs)
    monkeypatch.setattr(socket, 'getaddrinfo', getaddrinfo)
    return asked

@pytest.fixture
def served():
    "Start pages on free ports, and close them"
    apps = []
    def launch(app):
        apps.append(app)
        return app.launch(prevent_thread_lock=True, quiet=True, share=False)[1]
    yield launch
    for app in apps: app.close(verbose=False)

def opened(browser, url, **kwargs):
    "Open a new page at `url`; return it and the addresses that it requests"
    page, asked = browser.new_page(**kwargs), []
    page.on('request', lambda r: asked.append(r.url))
    page.goto(url)
    page.get_by_text('what it shows').wait_for()
    return page, asked

def upload(page, file): page.locator('input[type=file]').first.set_input_files(file)

def percents(page):
    "Return {class: percent} as the page shows them"
    page.locator('.confidence').first.wait_for()
    rows = page.locator('.confidence-set').all_inner_texts()
    return {' '.join(r.split('\n')[:-1]).strip(): int(r.split('\n')[-1].strip(' %')) for r in (re.sub(r'\s*\n\s*', '\n', r.strip()) for r in rows)}

def test_in_a_browser(browser, served, saved, photo, abroad):
    learn, folder = saved
    url = served(make_app(folder))
    page, asked = opened(browser, url, viewport=dict(width=1000, height=700))
    assert page.title() == 'cats or dogs' and page.locator('h1').inner_text() == 'cats or dogs'
    upload(page, photo)
    page.locator('.output-class').wait_for()
    wanted = probs(learn, photo)
    assert page.locator('.output-class').inner_text().strip() == max(wanted, key=wanted.get)
    assert percents(page) == {k: round(100*p) for k, p in wanted.items()}
    shown = page.get_by_alt_text('the photo').evaluate('i => [i.naturalWidth, i.naturalHeight]')
    assert shown == [300, 300]
    assert [u for u in asked if not u.startswith((url, 'data:', 'blob:'))] == [] and abroad == [], 'nothing leaves this machine'
    page.close()

def test_drawn_pictures_to_try(browser, served, saved):
    page, _ = opened(browser, served(make_app(saved[0])))
    pictures = page.locator('.gallery img')
    pictures.last.wait_for()
    assert pictures.count() == 4 and pictures.evaluate_all('a => a.every(i => i.naturalWidth == 320)')
    pictures.first.click()
    page.locator('.output-class').wait_for()
    page.close()

def text_file(path): path.write_text('Dear Sir or Madam')
def huge(path): path.write_bytes(odd.bomb())
def half(path):
    draw_animal('cat').save(path)
    path.write_bytes(path.read_bytes()[:3000])

@pytest.mark.parametrize('name, make, sentence', [
    ('letter.jpg', text_file, 'This file cannot be read: not a photo, or damaged at its start.'), ('letter.txt', text_file, 'letter.txt'),
    ('empty.jpg', lambda p: p.write_bytes(b''), 'This file cannot be read: the file is empty.'), ('half.jpg', half, 'This file cannot be read: damaged'),
    ('large.png', huge, 'more pixels than a photo has')])
def test_a_file_that_is_not_a_photo_is_reported(browser, served, saved, tmp_path, capfd, name, make, sentence):
    make(tmp_path/name)
    page, _ = opened(browser, served(make_app(saved[0])))
    upload(page, tmp_path/name)
    page.get_by_test_id('toast-text').get_by_text(sentence).wait_for()
    assert 'Traceback' not in ''.join(capfd.readouterr())
    upload(page, make_photo(tmp_path))
    page.locator('.output-class').wait_for()  # and the page still works
    page.close()

def make_photo(folder):
    draw_animal('cat').save(folder/'good.png')
    return folder/'good.png'

def test_odd_class_names_are_text(browser, served, oddly_named, photo):
    page, _ = opened(browser, served(make_app(oddly_named, examples=[photo])))
    title = ' or '.join(marked_up)
    assert page.title() == title and page.locator('h1').inner_text() == title
    page.locator('.gallery img').first.click()
    page.locator('.output-class').wait_for()
    assert page.locator('.output-class').inner_text().strip() in marked_up and page.title() == title, 'a name is not a tag'
    page.close()

def test_the_page_is_an_api(served, saved, photo, float32):
    from gradio_client import Client, handle_file
    said = Client(served(make_app(saved[1])), verbose=False, analytics_enabled=False).predict(handle_file(photo), api_name='/predict')
    assert close({o['label']: o['confidence'] for o in said['confidences']}, probs(saved[0], photo))

def test_the_page_opens_only_uploaded_files(served, saved, tmp_path):
    "The function gets what the browser sent, unchecked by Gradio's image input: its path must still be that of an upload"
    import httpx
    call = f'{served(make_app(saved[0]))}gradio_api/call/predict'
    def events(path):
        sent = httpx.post(call, json=dict(data=[dict(path=str(path), meta=dict(_type='gradio.FileData'))]))
        return httpx.get(f"{call}/{sent.json()['event_id']}", timeout=30).text
    uploaded, = httpx.post(call.replace('call/predict', 'upload'), files=dict(files=make_photo(tmp_path).read_bytes())).json()
    assert 'event: complete' in events(uploaded)
    assert 'event: error' in events(make_photo(tmp_path)) and 'cats' not in events(make_photo(tmp_path))

# --- ONNX ---

@pytest.fixture(scope='module')
def exported(saved, tmp_path_factory):
    return export_onnx(saved[0], tmp_path_factory.mktemp('onnx')/'model.onnx')

def test_onnx_includes_the_preprocessing(saved, exported, photo, drawn, float32):
    session = onnxruntime.InferenceSession(exported)
    assert [(o.name, o.shape) for o in (*session.get_inputs(), *session.get_outputs())] == [('photos', ['batch', 3, 64, 64]), ('probabilities', ['batch', 2]), ('features', ['batch', 1024])]
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about['classes']) == ['cats', 'dogs'] and about['size'] == '64'
    learn, files = saved[0], [photo, *sorted((drawn/'valid').rglob('*.jpg'))]
    for f in files: assert close(onnx_answer(session, f)[0], probs(learn, f))
    for n in (1, 3, 17):
        p = session.run(None, {'photos': np.random.default_rng(0).random((n, 3, 64, 64), np.float32)})[0]
        assert p.shape == (n, 2) and p.sum(1) == pytest.approx(1, abs=1e-5)
    onnx.checker.check_model(onnx.load(exported), full_check=True)

def test_onnx_names_no_paths_of_the_machine(exported):
    model = onnx.load(exported)
    for weights in model.graph.initializer: weights.ClearField('raw_data')  # random bytes may spell anything
    data = model.SerializeToString()
    assert not re.search(rb'\.py\b|site-packages|stack_trace', data) and str(Path.home()).encode() not in data
    assert [p.name for p in exported.parent.iterdir()] == ['model.onnx'], 'one file holds everything'

def test_onnx_of_another_network(drawn, tmp_path, float32):
    from torchvision.models import resnet18
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), arch=resnet18, weights=None)
    file = export_onnx(learn, tmp_path/'resnet.onnx')
    f = learn.dls.valid_ds.items[0]
    assert close(onnx_answer(onnxruntime.InferenceSession(file), f)[0], probs(learn, f))

def test_the_learner_is_unchanged(saved, tmp_path):
    learn = saved[0]
    learn.model.train()
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    export_onnx(learn, tmp_path/'m.onnx')
    assert learn.model.training and all(torch.equal(v, before[k]) for k, v in learn.model.state_dict().items())

def test_onnx_that_disagrees_is_not_written(saved, tmp_path, monkeypatch):
    true = onnx_file._to_onnx
    def wrong(whole, *args):
        whole.mean += 0.5
        true(whole, *args)
        whole.mean -= 0.5
    monkeypatch.setattr(onnx_file, '_to_onnx', wrong)
    with pytest.raises(ValueError, match='differ by'): export_onnx(saved[0], tmp_path/'m.onnx')
    monkeypatch.setattr(onnx_file, '_onnx_difference', lambda *args: float('nan'))
    with pytest.raises(ValueError, match='differ by'): export_onnx(saved[0], tmp_path/'m.onnx')
    assert list(tmp_path.iterdir()) == []

def test_nothing_is_overwritten(saved, tmp_path):
    (tmp_path/'mine.onnx').write_text('mine')
    with pytest.raises(FileExistsError, match='move it away'): export_onnx(saved[0], tmp_path/'mine.onnx')
    (tmp_path/'mine').mkdir()
    (tmp_path/'mine/app.py').write_text('mine')
    with pytest.raises(FileExistsError, match='move it away'): write_space(saved[0], tmp_path/'mine')
    with pytest.raises(FileNotFoundError, match='no folder'): export_onnx(saved[0], tmp_path/'nowhere/m.onnx')
    assert sorted(p.name for p in tmp_path.rglob('*')) == ['app.py', 'mine', 'mine.onnx'] and (tmp_path/'mine.onnx').read_text() == (tmp_path/'mine/app.py').read_text() == 'mine'

# --- the card ---

def front(text): return yaml.safe_load(text.split('---\n')[1])

def test_card_has_the_figures(saved):
    learn, folder = saved
    s, card = score(learn), model_card(folder)
    accuracy, low, high = (percent(s[k], 1) for k in ('accuracy', 'accuracy_low', 'accuracy_high'))
    assert f'{accuracy} (95 % interval {low} to {high})' in card and f"{s['log_loss']:.3f}" in card
    assert all(w in card for w in ('| validation photos | 16 |', '64×64', '| seed | 3 |'))
    assert front(card) == dict(license='unknown', library_name='dogscats_course', pipeline_tag='image-classification', tags=['vgg16_bn'], metrics=['accuracy'])
    assert 'CC BY 4.0' in card, 'required by the bundled filters'
    assert model_card(learn) == card.replace('| seed | 3 |', '| seed | not given |')

def test_card_invents_nothing(saved, tmp_path):
    folder = save_classifier(saved[0], tmp_path/'model')
    card = model_card(folder)
    assert card.count('not given') == 7 and 'metrics' not in front(card) and '%' not in card
    card = model_card(folder, title='Pets: a *test*', license='cc-by-4.0', data='[these](data.md)', use='Fun.')
    assert front(card)['license'] == 'cc-by-4.0' and 'Trained on: [these](data.md)' in card and '\nFun.\n' in card and '# Pets\\: a \\*test\\*\n' in card

def test_card_of_a_loaded_classifier_and_of_other_figures(saved, tmp_path):
    folder = save_classifier(load_classifier(saved[1]), tmp_path/'model', scores=dict(accuracy=float('nan'), log_loss='<b>', n_valid=None))
    assert model_card(folder).count('| not given |') == 4
    assert model_card(load_classifier(saved[1])).count('| not given |') == 4

def test_card_with_odd_names_is_text(oddly_named):
    from markdown_it import MarkdownIt
    card = model_card(oddly_named)
    page = MarkdownIt('commonmark').enable(['table', 'strikethrough']).render(card.split('---\n', 2)[2])
    assert page.count(html.escape(marked_up[0])) == page.count(html.escape(marked_up[1])) == 2, 'in the title and in the list'
    assert '<img' not in page and page.count('<a ') == 2 and '<s>' not in page and '<code>b' not in page
    assert card.startswith('---\n') and isinstance(front(card), dict)

# --- the Space ---

@pytest.fixture(scope='module')
def space(saved, tmp_path_factory): return write_space(saved[1], tmp_path_factory.mktemp('space')/'space', title="Cat's or \"dog's\"?", license='mit')

def test_space_is_complete(space, saved):
    assert sorted(p.relative_to(space).as_posix() for p in space.rglob('*.*')) == ['README.md', 'app.py', *(f'examples/{i}.jpg' for i in range(1, 5)), 'familiarity.npz', 'model.onnx', 'photos.py', 'requirements.txt']
    text = (space/'README.md').read_text(encoding='utf-8')
    assert front(text) == dict(title="Cat's or \"dog's\"?", sdk='gradio', sdk_version=gradio.__version__, python_version='{}.{}'.format(*sys.version_info), app_file='app.py', license='mit')
    assert percent(score(saved[0])['accuracy'], 1) in text and 'load_classifier' not in text and 'a warning stands beside the answer' in text
    for line in (space/'requirements.txt').read_text().splitlines(): assert re.fullmatch(r'(gradio|onnxruntime|numpy|pillow)==[\w.+]+', line)
    for name in ('app.py', 'photos.py'):
        code = (space/name).read_text(encoding='utf-8').split('"""', 2)[2]
        assert not re.search(r'^\s*(from|import) .*(dogscats_course|torch|fastai)', code, re.MULTILINE)

only_what_it_names = '''
import importlib.metadata, json, re, runpy, sys
from packaging.requirements import Requirement
def name(o): return re.sub(r'[-_.]+', '-', o).lower()
seen, todo = set(), [name(Requirement(l.strip()).name) for l in open('requirements.txt')]
while todo:
    if (n := todo.pop()) in seen: continue
    seen.add(n)
    try: needs = importlib.metadata.requires(n) or []
    except importlib.metadata.PackageNotFoundError: continue
    todo += [name(r.name) for r in map(Requirement, needs) if not r.marker or r.marker.evaluate({'extra': ''})]
owners = importlib.metadata.packages_distributions()
class Refuse:
    def find_spec(self, module, path=None, target=None):
        top = module.partition('.')[0]
        if top == 'dogscats_course' or top in owners and not {name(o) for o in owners[top]} & seen: raise ModuleNotFoundError(f'not among its requirements: {module}', name=module)
sys.meta_path.insert(0, Refuse())
try: import torch
except ModuleNotFoundError: pass
else: raise SystemExit('the test does not refuse')
app = runpy.run_path('app.py')
try: app['classify'](sys.argv[2])
except ValueError as e: print(e)
print(json.dumps(app['classify'](sys.argv[1])), type(app['app']).__name__)
'''

def test_space_runs_with_the_packages_it_names(space, saved, photo, tmp_path, float32):
    (tmp_path/'letter.jpg').write_text('Dear Sir')
    r = subprocess.run([sys.executable, '-c', only_what_it_names, photo, tmp_path/'letter.jpg'], cwd=space, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    sentence, line = r.stdout.splitlines()
    said, kind = line.rsplit(' ', 1)
    assert sentence == 'This file cannot be read: not a photo, or damaged at its start.' and kind == 'Blocks'
    assert close(json.loads(said), probs(saved[0], photo))

def test_the_space_warns_of_what_the_classifier_does_not_know(space, saved, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(space)
    warned, learn = [], saved[0]
    monkeypatch.setattr('gradio.Warning', lambda message, **kwargs: warned.append(message))
    classify = runpy.run_path(str(space/'app.py'))['classify']
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path/'noise.png')
    classify(tmp_path/'noise.png')
    assert len(warned) == 1 and 'unlike its training photos' in warned[0]
    classify(learn.dls.train_ds.items[0])
    assert len(warned) == 1

def test_a_space_of_a_classifier_that_knows_no_photos(saved, tmp_path):
    folder = save_classifier(saved[0], tmp_path/'model', familiarity=False)
    space = write_space(folder, tmp_path/'space')
    assert not (space/'familiarity.npz').exists() and 'a warning' not in (space/'README.md').read_text(encoding='utf-8')
    assert runpy.run_path(str(space/'app.py'))['known'] is None

def test_the_space_starts_no_other_program(space, tmp_path):
    "A .jpg that is PostScript, a pipe, and whatever else is no photo"
    files = odd.write(tmp_path, odd.not_photos())
    if hasattr(os, 'mkfifo'):
        os.mkfifo(tmp_path/'pipe.jpg')
        files.append(tmp_path/'pipe.jpg')
    code = f"""
import runpy, subprocess
class Refuse:
    def __init__(self, *args, **kwargs): raise SystemExit(f'a program was started: {{args}}')
subprocess.Popen = Refuse
classify = runpy.run_path('app.py')['classify']
for file in {list(map(str, files))!r}:
    try: print('classified', file, classify(file))
    except ValueError as e: print(e)
"""
    r = subprocess.run([sys.executable, '-c', code], cwd=space, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    said = r.stdout.splitlines()
    assert len(said) == len(files) and all(s.startswith('This file cannot be read: ') for s in said), said

def test_the_app_says_what_is_wrong(saved, tmp_path, monkeypatch):
    for file in odd.write(tmp_path, odd.not_photos()):
        with pytest.raises(ValueError, match='^This file cannot be read: ') as e: _photo_probs(saved[0], file)
        assert photo_error(file) in str(e.value)
    monkeypatch.setattr('dogscats_course.photos._formats', lambda: ('JPEG', 'PNG'))  # as without pillow-heif
    with pytest.raises(ValueError, match='HEIC'): _photo_probs(saved[0], tmp_path/'phone.jpg')

def test_a_space_of_odd_texts(saved, tmp_path):
    "What a stranger wrote into config.json goes into a README.md"
    folder = shutil.copytree(saved[1], tmp_path/'model')
    c = json.loads((folder/'config.json').read_text())
    for bad in ('\ud800', '\x1b[2J', ['\udcff'], {'a': '\ud800'}):
        (folder/'config.json').write_text(json.dumps({**c, 'seed': bad, 'scores': bad, 'versions': dict(torch=bad, dogscats_course=bad)}))
        assert model_card(folder).encode()
    (folder/'config.json').write_text(json.dumps({**c, 'weights': '\ud800'}))
    assert model_card(folder).encode()

def test_space_in_a_browser(browser, space, saved, photo, monkeypatch):
    monkeypatch.syspath_prepend(space)
    app = runpy.run_path(str(space/'app.py'))['app']
    try:
        page, asked = opened(browser, url := app.launch(prevent_thread_lock=True, quiet=True)[1])
        assert page.title() == "Cat's or \"dog's\"?"
        page.locator('.gallery img').nth(3).click()
        page.locator('.output-class').wait_for()
        assert [u for u in asked if not u.startswith((url, 'data:', 'blob:'))] == []
        page.close()
    finally: app.close(verbose=False)

def test_space_for_other_classes(oddly_named, tmp_path):
    space = write_space(oddly_named, tmp_path/'space')
    assert not (space/'examples').exists() and front((space/'README.md').read_text(encoding='utf-8'))['title'] == ' or '.join(marked_up)
    compile((space/'app.py').read_text(encoding='utf-8'), 'app.py', 'exec')
    assert repr(' or '.join(marked_up)) in (space/'app.py').read_text(encoding='utf-8')

def test_a_space_that_fails_leaves_nothing(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, '_onnx_difference', lambda *args: 1.)
    with pytest.raises(ValueError, match='differ'): write_space(saved[0], tmp_path/'space')
    assert list(tmp_path.iterdir()) == []

# --- what is missing ---

@pytest.mark.parametrize('call, needs', [(lambda m, d: make_app(m), ['gradio']), (lambda m, d: export_onnx(m, d/'m.onnx'), ['onnx', 'onnxscript', 'onnxruntime']), (lambda m, d: write_space(m, d/'s'), EXTRAS)])
def test_a_missing_package_is_reported_with_the_pip_command(saved, tmp_path, monkeypatch, call, needs):
    for missing in needs:
        with monkeypatch.context() as m:
            find = about.find_spec
            m.setattr(about, 'find_spec', lambda name: None if name == missing else find(name))
            with pytest.raises(ImportError, match=re.escape(f"{missing}: pip install 'dogscats_course[publish]'")): call(saved[0], tmp_path)
    assert list(tmp_path.iterdir()) == []

def test_the_module_imports_none_of_them():
    code = f"import sys; import dogscats_course.all; print([n for n in {EXTRAS} if n in sys.modules])"
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout == '[]\n'

@pytest.mark.parametrize('call', [make_app, model_card, lambda m: export_onnx(m, 'm.onnx'), lambda m: write_space(m, 's')])
def test_a_damaged_folder_is_refused(saved, tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    folder = shutil.copytree(saved[1], tmp_path/'model')
    (folder/'model.safetensors').write_bytes(b'')
    with pytest.raises(ValueError, match='damaged'): call(folder)
    with pytest.raises(FileNotFoundError, match='config.json'): call(tmp_path/'nowhere')
    assert [p.name for p in tmp_path.iterdir()] == ['model']
