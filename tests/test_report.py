"The run folder: the model first and whatever happens; the report, opened in a browser, complete, self-contained, and fit for a phone."
import json, re, shlex, shutil, sys, tempfile

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from fastai.vision.all import ImageDataLoaders, Resize, ResizeMethod

from dogscats_course import report
from dogscats_course.about import percent
from dogscats_course.cli import _parser
from dogscats_course.data import make_dls
from dogscats_course.learner import vgg_learner
from dogscats_course.report import write_run
from dogscats_course.share import load_classifier
from dogscats_course.show import plot_confusion
from dogscats_course.train import train_classifier

@pytest.fixture(scope='module')
def run(drawn, tmp_path_factory):
    "A run with class and file names that a page must not take for tags"
    path = tmp_path_factory.mktemp('report')
    data = shutil.copytree(drawn, path/'my photos')
    if sys.platform != 'win32':
        for split in ('train', 'valid'): (data/split/'dogs').rename(data/split/'<img src=x onerror=document.title=1>')
    train_classifier(data, epochs=2, size=64, bs=8, fine_tune=0, limit=10, out=path/'run')
    return path/'run'

@pytest.mark.parametrize('width, scheme', [(1300, 'light'), (390, 'light'), (1300, 'dark'), (390, 'dark')])
def test_in_a_browser(browser, run, width, scheme):
    page, requests, errors = browser.new_page(viewport=dict(width=width, height=900), color_scheme=scheme), [], []
    page.on('request', lambda r: requests.append(r.url))
    page.on('console', lambda m: errors.append(m.text))
    page.goto((run/'report.html').as_uri())
    assert [u for u in requests if not u.startswith('data:')] == [(run/'report.html').as_uri()] and not errors, 'it loads no other file'
    m = json.loads((run/'metrics.json').read_text())
    text = page.inner_text('body')
    accuracy, low, high = (percent(m[k], 1) for k in ('accuracy', 'accuracy_low', 'accuracy_high'))
    wanted = f'{accuracy} accuracy', f'{low} to {high}', f"{m['log_loss']:.3f}", 'surest and wrong', 'least sure', m['versions']['torch']
    assert all(w in text for w in wanted)
    assert re.search(r'actual: .+\npredicted: .+\s%', text), 'each photo has its actual and its predicted class'
    if sys.platform != 'win32': assert '<img src=x onerror' in text and page.title() != '1', 'a name is text'
    width_used, images = page.evaluate('[document.documentElement.scrollWidth, [...document.images].map(i => [i.naturalWidth, i.alt, i.clientWidth])]')
    assert width_used <= width and len(images) > 20
    assert all(natural > 50 and len(alt) > 20 and shown > 100 for natural, alt, shown in images), 'every picture is there, is visible, and has alternative text'
    light = sum(map(int, page.evaluate("getComputedStyle(document.body).backgroundColor").strip('rgb()').split(',')[:3]))
    assert (light < 200) == (scheme == 'dark')
    page.emulate_media(media='print')
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == 'rgb(255, 255, 255)', 'white paper'
    page.close()

def test_the_command_in_it_gives_the_same_result(browser, run, tmp_path):
    page = browser.new_page()
    page.goto((run/'report.html').as_uri())
    args = vars(_parser().parse_args(shlex.split(page.inner_text('pre'))[1:]))
    assert args.pop('run').__name__ == '_train_command'
    for name in ('debug', 'resume'): args.pop(name)
    learn = train_classifier(args.pop('data'), **{**args, 'out': tmp_path/'again'})
    a, b = (json.loads((r/'metrics.json').read_text()) for r in (run, tmp_path/'again'))
    assert a['log_loss'] == b['log_loss'] and len(learn.history) == 2

# --- nothing lost ---

settings = dict(data='pets', epochs=1, last_block=0, fine_tune=0, weights='bundled', size=64, bs=8, seed=42, limit=None)
metrics = dict(accuracy=.5, accuracy_low=.3, accuracy_high=.7, log_loss=.7, n_train=24, n_valid=16, epochs=1, last_block=0, fine_tune=0,
    seconds=1, device='cpu', weights='bundled', seed=42, versions={})

@pytest.fixture
def fast_pictures(monkeypatch): monkeypatch.setattr(report, '_figures', dict(confusion=plot_confusion))

def files_of(out): return {p.relative_to(out).as_posix() for p in out.rglob('*') if p.is_file()}
MODEL = {'metrics.json', 'settings.json', 'model/config.json', 'model/model.safetensors'}

def test_each_part_may_fail_alone(drawn, learn, tmp_path, monkeypatch, capsys):
    learn.fit_head(1)
    def broken(*args):
        plt.figure()
        raise RuntimeError('no such picture')
    monkeypatch.setattr(report, '_figures', dict(history=broken, confusion=plot_confusion))
    monkeypatch.setattr(report, '_predictions', lambda *_: 1/0)
    monkeypatch.setattr(report, '_cams', lambda *_: 1/0)
    mine = plt.figure()
    write_run(learn, tmp_path/'run', drawn, metrics, settings)
    assert files_of(tmp_path/'run') == MODEL | {'history.csv', 'confusion.png', 'report.html'}
    out = capsys.readouterr().out
    assert 'history.png could not be made: no such picture' in out and 'predictions.csv could not be made: division by zero' in out
    page = (tmp_path/'run/report.html').read_text(encoding='utf-8')
    assert 'alt="Line plots' not in page and 'alt="Confusion matrix' in page and 'This could not be drawn: division by zero' in page
    assert plt.get_fignums() == [mine.number], 'what was open stays open, and nothing else'
    plt.close('all')

def test_a_stop_while_pictures_are_drawn_keeps_the_model(drawn, learn, tmp_path, monkeypatch, capsys):
    def stop(learn): raise KeyboardInterrupt
    monkeypatch.setattr(report, '_figures', dict(mistakes=stop))
    with pytest.raises(KeyboardInterrupt): write_run(learn, tmp_path/'run', drawn, metrics, settings)
    assert files_of(tmp_path/'run') == MODEL | {'history.csv', 'predictions.csv'}
    assert 'Stopped before mistakes.png was made. The model is in' in capsys.readouterr().out
    load_classifier(tmp_path/'run/model')

def test_a_model_that_cannot_be_saved_there_is_saved_elsewhere(drawn, learn, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path/'tmp'))
    (tmp_path/'tmp').mkdir()
    (tmp_path/'full').mkdir()
    save = report.save_classifier
    def on_a_full_disk(learn, folder, **kwargs):
        if 'full' in folder.parts: raise OSError(28, 'No space left on device')
        return save(learn, folder, **kwargs)
    monkeypatch.setattr(report, 'save_classifier', on_a_full_disk)
    with pytest.raises(OSError, match='No space left.*The trained model is in .*rescued') as e:
        write_run(learn, tmp_path/'full/run', drawn, metrics, settings)
    rescued, = (tmp_path/'tmp').iterdir()
    assert files_of(rescued) == MODEL - {'settings.json'} and rescued.name in str(e.value) and not list((tmp_path/'full').iterdir())
    monkeypatch.setattr(report, 'save_classifier', lambda *_, **__: 1/0)
    with pytest.raises(OSError, match='The trained model is lost'): write_run(learn, tmp_path/'run', drawn, metrics, settings)

def test_a_folder_that_was_filled_meanwhile(drawn, learn, tmp_path):
    (tmp_path/'run').mkdir()
    (tmp_path/'run/mine.txt').write_text('mine')
    with pytest.raises(FileExistsError, match='The trained model is in'): write_run(learn, tmp_path/'run', drawn, metrics, settings)
    assert files_of(tmp_path/'run') == {'mine.txt'} and len(list(tmp_path.glob('dogscats-rescued-*/model/*'))) == 2

def test_photos_that_have_gone(drawn, tmp_path, fast_pictures):
    data = shutil.copytree(drawn, tmp_path/'pets')
    learn = vgg_learner(make_dls(data, size=64, bs=8), weights='bundled')
    learn.fit_head(1)
    gone, damaged, *_ = learn.dls.valid_ds.items
    gone.unlink()
    damaged.write_bytes(damaged.read_bytes()[:200])
    write_run(learn, tmp_path/'run', data, metrics, {**settings, 'data': data})
    assert files_of(tmp_path/'run') == MODEL | {'history.csv', 'predictions.csv', 'confusion.png', 'report.html'}
    page = (tmp_path/'run/report.html').read_text(encoding='utf-8')
    assert 'left out: there is no such file' in page and len(pd.read_csv(tmp_path/'run/predictions.csv')) == 16

@pytest.mark.skipif(sys.platform in ('win32', 'darwin'), reason='names there are Unicode')
def test_names_that_are_not_utf8(drawn, tmp_path, fast_pictures, capsys):
    odd = b'chat\xe9 <b>.jpg'.decode('utf-8', 'surrogateescape')
    data = shutil.copytree(drawn, tmp_path/odd)
    for c in ('cats', 'dogs'):
        for f in (data/'valid'/c).iterdir(): f.rename(f.with_name(f.stem + odd))
    learn = vgg_learner(make_dls(data, size=64, bs=8), weights='bundled')
    learn.fit_head(1)
    write_run(learn, tmp_path/'run', data, metrics, {**settings, 'data': data})
    assert 'could not' not in capsys.readouterr().out and 'report.html' in files_of(tmp_path/'run')
    files = pd.read_csv(tmp_path/'run/predictions.csv').file
    assert len(files) == 16 and files.str.endswith('chat\\xe9 <b>.jpg').all()
    page = (tmp_path/'run/report.html').read_text(encoding='utf-8')
    assert 'chat\\xe9 &lt;b&gt;.jpg' in page and '<b>.jpg' not in page

def test_photos_of_a_table_some_of_them_elsewhere(drawn, tmp_path, fast_pictures, capsys):
    near, far = (shutil.copytree(drawn, tmp_path/name) for name in ('near', 'far'))
    photos = [(p.relative_to(tmp_path).as_posix(), p.parent.name, p.parts[-3] == 'valid')
              for p in [*sorted(near.glob('train/*/*')), *sorted(near.glob('valid/cats/*')), *sorted(far.glob('valid/dogs/*'))]]
    table = pd.DataFrame(photos, columns=['file', 'label', 'is_valid'])
    dls = ImageDataLoaders.from_df(table, path=tmp_path, valid_col='is_valid', bs=8, num_workers=0, item_tfms=Resize(64, method=ResizeMethod.Squish))
    learn = vgg_learner(dls, weights='bundled')
    learn.fit_head(1)
    write_run(learn, tmp_path/'run', near, metrics, settings)
    assert 'could not' not in capsys.readouterr().out and 'report.html' in files_of(tmp_path/'run')
    files = pd.read_csv(tmp_path/'run/predictions.csv').file
    assert len(files) == 16 and all((near/f).is_file() for f in files) and files[0].startswith('valid/cats') and files[8].startswith(far.as_posix())

def test_class_names_that_are_columns_too(drawn, tmp_path):
    for split in ('train', 'valid'):
        for old, new in (('cats', 'file'), ('dogs', 'file_probability')): shutil.copytree(drawn/split/old, tmp_path/'d'/split/new)
    learn = vgg_learner(make_dls(tmp_path/'d', size=64, bs=8), weights='bundled')
    learn.fit_head(1)
    assert list(report._predictions(learn, tmp_path/'d')) == ['file', 'label', 'prediction', 'file_probability', 'file_probability_probability']
