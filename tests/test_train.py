"The whole training in one call, and the run folder that it writes."
import io, json, re, shutil, sys

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch
from PIL import Image

from dogscats_course import estimate
from dogscats_course.data import make_dls
from dogscats_course.layout import LayoutError, check_layout
from dogscats_course.head import class_probs
from dogscats_course.learner import vgg_learner
from dogscats_course.share import load_classifier
from dogscats_course.score import mistake_views
from dogscats_course.train import train_classifier

def test_run_folder(drawn, tmp_path, tmp_path_factory, capsys, cache_at):
    cache_at(tmp_path_factory.mktemp('cache'))
    plt.close('all')
    learn = train_classifier(drawn, epochs=2, size=64, bs=8, fine_tune=0, out=tmp_path/'run')
    assert [p.name for p in tmp_path.iterdir()] == ['run']
    run = tmp_path/'run'
    assert sorted(p.relative_to(run).as_posix() for p in run.rglob('*') if p.is_file()) == [
        'calibration.png', 'cam.png', 'confusion.png', 'history.csv', 'history.png', 'metrics.json', 'mistakes.png', 'model/config.json',
        'model/model.safetensors', 'predictions.csv', 'report.html', 'settings.json']
    m = json.loads((run/'metrics.json').read_text())
    assert {'accuracy', 'accuracy_low', 'accuracy_high', 'log_loss', 'n_train', 'n_valid', 'epochs', 'last_block', 'fine_tune', 'seconds', 'device', 'weights', 'arch', 'seed', 'versions'} == set(m)
    assert m['accuracy_low'] <= m['accuracy'] <= m['accuracy_high'] and (m['n_train'], m['n_valid'], m['fine_tune'], m['seed']) == (24, 16, 0, 42)
    assert len(pd.read_csv(run/'history.csv')) == 2
    for picture in run.glob('*.png'):
        with Image.open(picture) as im: assert im.width > 300 and len(im.convert('RGB').getcolors(im.width*im.height)) > 50, 'something is drawn'
    assert not plt.get_fignums(), 'no figure is left open'
    p = pd.read_csv(run/'predictions.csv')
    assert len(p) == 16 and (p.label == p.prediction).mean() == pytest.approx(m['accuracy'])
    assert p[['cats', 'dogs']].sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-4)
    assert (p.prediction == p[['cats', 'dogs']].idxmax(axis=1)).all() and all((drawn/f).is_file() for f in p.file)
    loaded = load_classifier(run/'model')
    probs = class_probs(loaded, loaded.dls.test_dl(learn.dls.valid_ds.items))[0].numpy()
    assert probs == pytest.approx(p[['cats', 'dogs']].to_numpy(), abs=2e-3), 'up to the precision of float16'
    assert 'about' in capsys.readouterr().out, 'the time is estimated'

def test_same_seed_same_result(drawn, tmp_path, cache_at):
    cache_at(tmp_path)  # computed, then cached
    a, b = (class_probs(train_classifier(drawn, epochs=1, size=64, bs=8, fine_tune=0))[0] for _ in range(2))
    assert (a == b).all()

def test_fine_tune(drawn, capsys):
    learn = train_classifier(drawn, epochs=1, size=64, bs=8, fine_tune=1)
    assert learn.history.fit.tolist() == [1, 2, 3]

def test_another_architecture(drawn, tmp_path, capsys, cache_at):
    cache_at(tmp_path/'cache')
    learn = train_classifier(drawn, epochs=1, size=64, bs=8, fine_tune=1, weights=None, arch='resnet18', out=tmp_path/'run')
    assert re.search(r'Features of 40 photos: about .* \(cpu, in (bfloat16|float32)\)', capsys.readouterr().out) or learn.dls.device.type != 'cpu'
    assert learn.history.fit.tolist() == [1, 2, 3]
    report = (tmp_path/'run'/'report.html').read_text()
    assert json.loads((tmp_path/'run'/'metrics.json').read_text())['arch'] == 'resnet18' and '--arch resnet18' in report and '<td>resnet18</td>' in report
    assert load_classifier(tmp_path/'run'/'model').recipe == dict(arch='resnet18', weights=None)

@pytest.mark.parametrize('arch, weights, words', [('resnet81', 'auto', 'nearest names are resnet18'), ('vit_b_16', None, 'cannot cut it'), ('alexnet', None, 'photos of 32×32'), ('resnet18', 'bundled', 'belong to vgg16_bn'), (42, 'auto', 'must be a name')])
def test_an_architecture_that_will_not_do_is_told_before_the_work(tmp_path, monkeypatch, arch, weights, words):
    monkeypatch.setattr('dogscats_course.train.make_dls', lambda *_, **__: pytest.fail('photos were opened'))
    with pytest.raises(ValueError, match=words): train_classifier('nowhere', arch=arch, weights=weights, size=32, out=tmp_path/'run')
    assert not list(tmp_path.iterdir())

def test_the_estimate_counts_the_frozen_epoch_of_other_networks(drawn, monkeypatch):
    "Its body runs over the photos; VGG16's rows are there already"
    monkeypatch.setattr(estimate, '_seconds_per_photo', lambda f, x: 2)
    for arch, frozen in (('vgg16_bn', 0), ('resnet18', 24 + 16)):
        learn = vgg_learner(make_dls(drawn, size=64, bs=8), arch=arch, weights=None)
        assert estimate._fine_tune_seconds(learn, 2) == 2*(3*24 + 16) + frozen

def test_out_of_memory_suggests_a_batch_size(drawn, monkeypatch):
    conv = torch.nn.Conv2d.forward
    def full(self, x):
        if torch.is_grad_enabled(): raise torch.OutOfMemoryError  # only in training
        return conv(self, x)
    monkeypatch.setattr(torch.nn.Conv2d, 'forward', full)
    monkeypatch.setattr('dogscats_course.estimate._fine_tune_seconds', lambda *_: 1)
    with pytest.raises(ValueError, match='on 8 photos at once: try bs=4'): train_classifier(drawn, epochs=1, size=64, bs=8, fine_tune=1)

def test_bad_input_is_reported_before_the_work(drawn, tmp_path):
    (tmp_path/'mine.txt').write_text('mine')
    with pytest.raises(FileExistsError): train_classifier(drawn, size=64, out=tmp_path)
    with pytest.raises(ValueError, match='at least'): train_classifier(drawn, epochs=0)
    with pytest.raises(ValueError, match='at least'): train_classifier(drawn, fine_tune=-1)
    for seed in (-1, 2**32, 1.5):
        with pytest.raises(ValueError, match='seed must be'): train_classifier(drawn, seed=seed)
    for size in (5000, 10**20):
        with pytest.raises(ValueError, match='size must be at most'): train_classifier(drawn, size=size)
    with pytest.raises(OSError, match='cannot be written to'): train_classifier(drawn, size=64, out=tmp_path/'mine.txt'/'run')
    with pytest.raises(LayoutError): train_classifier(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ['mine.txt']

def test_on_the_photos(photos):
    learn = train_classifier(photos, fine_tune=0, limit=300)
    probs, targets = class_probs(learn)
    n = len(targets)
    most = check_layout(photos).query("split != 'test'").assign(photos=lambda d: d.photos.clip(upper=300)).groupby('split').photos.sum()
    assert (len(learn.dls.train_ds), n) == (most['train'], most['valid'])
    assert (probs.argmax(1) == targets).float().mean() >= 0.94
    # the views count what the confusion matrix counts
    matrix = torch.zeros(2, 2, dtype=int).index_put((targets, probs.argmax(1)), torch.ones(n, dtype=int), accumulate=True)
    counts = [int(re.search(rf'(\d+)( of {n})?\)', title)[1]) for title in list(mistake_views(learn))[:-2]]
    assert counts == [matrix.diag().sum(), matrix.sum() - matrix.diag().sum(), matrix[0, 0], matrix[1, 1], matrix[0, 1], matrix[1, 0]]
    # the whole network in float32 agrees, on every tenth photo
    some = range(0, n, n//100)
    plain = learn.get_preds(dl=learn.dls.test_dl([learn.dls.valid_ds.items[i] for i in some], bs=16))[0]
    assert (plain.argmax(1) != probs[list(some)].argmax(1)).sum() <= 1

def test_a_folder_without_room_is_reported_before_the_work(drawn, tmp_path, monkeypatch):
    resource = pytest.importorskip('resource')
    monkeypatch.setattr('dogscats_course.train._choose', None)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    (tmp_path/'mine').mkdir()
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        for out in (tmp_path/'new'/'run', tmp_path/'mine'):
            with pytest.raises(OSError, match='A run cannot be written to .*File too large.*: choose another folder'):
                train_classifier(drawn, size=64, bs=8, fine_tune=0, out=out)
    finally: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [p.name for p in tmp_path.rglob('*')] == ['mine'], 'an empty folder stays, and none is left behind'

@pytest.mark.parametrize('problem', [KeyboardInterrupt, FileNotFoundError])
def test_a_model_that_cannot_be_scored_is_kept(drawn, tmp_path, monkeypatch, capsys, problem):
    def score(learn): raise problem
    monkeypatch.setattr('dogscats_course.train.score', score)
    with pytest.raises(problem): train_classifier(drawn, epochs=1, size=64, bs=8, fine_tune=0, out=tmp_path/'run')
    assert 'without figures' in capsys.readouterr().out
    load_classifier(tmp_path/'run'/'model')

class Closed(io.StringIO):
    def write(self, text): raise BrokenPipeError

@pytest.mark.parametrize('stdout', [lambda: io.TextIOWrapper(io.BytesIO(), 'ascii'), lambda: io.TextIOWrapper(io.BytesIO(), 'cp1252'), Closed, lambda: None])
def test_no_console_costs_a_run(drawn, tmp_path, monkeypatch, stdout):
    monkeypatch.setattr('dogscats_course.report._figures', {})
    for split in ('train', 'valid'):
        for old, new in (('cats', 'Ba$$in'), ('dogs', '猫')): shutil.copytree(drawn/split/old, tmp_path/'d'/split/new)
    monkeypatch.setattr(sys, 'stdout', stdout())
    train_classifier(tmp_path/'d', epochs=1, size=64, bs=8, fine_tune=0, out=tmp_path/'run')
    assert list(load_classifier(tmp_path/'run'/'model').dls.vocab) == ['Ba$$in', '猫'] and (tmp_path/'run'/'report.html').exists()
