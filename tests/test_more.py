"Training beyond the head: the last block, the choice of what to train, and a run that is stopped and goes on."
import json, shutil, subprocess, sys, time

import pandas as pd
import pytest
import torch
from fastai.vision.all import Callback
from torchvision.models import resnet18

from dogscats_course.cli import main
from dogscats_course.data import make_dls
from dogscats_course.learner import vgg_learner
from dogscats_course.share import load_classifier
from dogscats_course.stages import Stages, asked_stages, best_stages, describe_stages
from dogscats_course.train import resume_training, train_classifier
from dogscats_course.vgg16 import Vgg16

def tensors(learn): return list(learn.model.state_dict().values())
def same(a, b): return all((x == y).all() for x, y in zip(tensors(a), tensors(b), strict=True))

class Stop(Callback):
    "Interrupt training at the beginning of an epoch of a fit, both counted from 1"
    order = 80
    def __init__(self, fit, epoch): self.stop, self.fits = (fit, epoch), 0
    def before_fit(self): self.fits += 1
    def before_epoch(self):
        if (self.fits, self.epoch + 1) == self.stop: raise KeyboardInterrupt

@pytest.fixture
def stops(monkeypatch):
    "Make the Learners of `train_classifier` stop"
    def at(fit, epoch):
        monkeypatch.setattr('dogscats_course.train.vgg_learner', lambda *args, **kwargs: vgg_learner(*args, cbs=Stop(fit, epoch), **kwargs))
    yield at

small = dict(epochs=1, size=64, bs=8)

def test_last_block_and_head_train_and_the_rest_stays(drawn):
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled')
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    learn.fit_head(1)
    learn.fit_last_block(1)
    moved = {k for k, v in learn.model.state_dict().items() if not torch.equal(v, before[k])}
    assert '0.0.34.weight' in moved and '0.0.40.weight' in moved and '1.8.weight' in moved
    assert not [k for k in moved if k.startswith('0.0.') and int(k.split('.')[2]) < 34], 'frozen layers, and their BatchNorm, stay'

def test_last_block_of_another_architecture_is_refused(drawn):
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), arch=resnet18, weights=None)
    with pytest.raises(ValueError, match='vgg16_bn only'): learn.fit_last_block(1)
    assert best_stages(learn) == Stages()

def test_no_room_for_rows_is_told_and_training_goes_on(drawn, monkeypatch, capsys):
    monkeypatch.setattr('dogscats_course.cache._cache_bytes', 1000)
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled')
    learn.fit_last_block(1)
    assert 'not kept but computed again in each epoch: no room' in capsys.readouterr().out and len(learn.history) == 1

def test_seven_lines_with_a_last_block(drawn):
    vgg = Vgg16('bundled')
    batches, val_batches = (vgg.get_batches(drawn/split, batch_size=8) for split in ('train', 'valid'))
    vgg.finetune(batches)
    block = vgg.learn.model[0][0][34].weight.clone()
    with pytest.raises(ValueError, match='at least 1'): vgg.fit(batches, val_batches, nb_epoch=0)
    vgg.fit(batches, val_batches, nb_epoch=1, last_block=1)
    assert vgg.learn.history.fit.tolist() == [1, 2] and not torch.equal(vgg.learn.model[0][0][34].weight, block)
    assert len(vgg.predict(next(batches)[0])[0]) == 8

def test_stages(drawn):
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled')
    assert asked_stages(learn, 5) == (5, 0, 0) and asked_stages(learn, 2, 3, 1) == (2, 3, 1)
    assert best_stages(learn) == Stages(5, 0, 0), 'with so few photos, the head alone'
    words = describe_stages(learn, Stages(5, 3, 1))
    assert words.startswith('5 epochs of the head, then 3 epochs of the last block (about ') and 'MB in the cache' in words and words.count('about') == 2

def test_best_trains_the_last_block_of_many_photos(drawn, monkeypatch, capsys):
    monkeypatch.setattr('dogscats_course.stages._least_photos', 10)
    learn = train_classifier(drawn, best=True, **small)
    assert learn.history.fit.nunique() == 2 and 'Best for 24 photos on this machine: 5 epochs of the head, then' in capsys.readouterr().out
    monkeypatch.setattr('dogscats_course.stages._most_seconds', 0)
    assert best_stages(learn) == Stages(), 'nobody waits for hours unasked'

def test_best_chooses_itself(drawn):
    for asked in (dict(last_block=1), dict(fine_tune=0)):
        with pytest.raises(ValueError, match=f'chooses {next(iter(asked))} itself'): train_classifier(drawn, best=True, **asked)

@pytest.mark.parametrize('stages, stop', [(dict(last_block=3, fine_tune=0), (2, 2)), (dict(last_block=3, fine_tune=0), (2, 1)), (dict(last_block=1, fine_tune=2), (4, 2))])
def test_a_stopped_run_goes_on_to_the_same_result(drawn, tmp_path, stops, monkeypatch, capsys, stages, stop):
    whole = train_classifier(drawn, out=tmp_path/'whole', **stages, **small)
    with monkeypatch.context() as m:
        m.setattr('dogscats_course.train.vgg_learner', lambda *args, **kwargs: vgg_learner(*args, cbs=Stop(*stop), **kwargs))
        with pytest.raises(KeyboardInterrupt): train_classifier(drawn, out=tmp_path/'run', **stages, **small)
    assert f'dogscats train --resume "{tmp_path}' in capsys.readouterr().out
    assert json.loads((tmp_path/'run/settings.json').read_text())['last_block'] == stages['last_block']
    resumed = resume_training(tmp_path/'run')
    assert same(whole, resumed)
    histories = [pd.read_csv(tmp_path/run/'history.csv').drop(columns='seconds') for run in ('whole', 'run')]
    assert histories[0].equals(histories[1]) or stop == (2, 1)
    assert not (tmp_path/'run/checkpoint.pt').exists() and (tmp_path/'run/report.html').exists()
    assert same(load_classifier(tmp_path/'run/model'), whole)
    with pytest.raises(ValueError, match='is complete'): resume_training(tmp_path/'run')

@pytest.fixture
def stopped(drawn, tmp_path, stops, monkeypatch):
    "The folder of a run that was stopped in its second epoch of the last block, and its photos"
    data = shutil.copytree(drawn, tmp_path/'data')
    with monkeypatch.context() as m:
        m.setattr('dogscats_course.train.vgg_learner', lambda *args, **kwargs: vgg_learner(*args, cbs=Stop(2, 2), **kwargs))
        with pytest.raises(KeyboardInterrupt): train_classifier(data, last_block=2, out=tmp_path/'run', **small)
    return tmp_path/'run', data

def test_what_cannot_go_on_is_told(stopped, capsys):
    run, data = stopped
    with pytest.raises(ValueError, match='was started with bs 8, not 16'): resume_training(run, bs=16)
    next((data/'train/cats').iterdir()).unlink()
    with pytest.raises(ValueError, match='The photos are not those of'): resume_training(run)
    (run/'checkpoint.pt').write_bytes((run/'checkpoint.pt').read_bytes()[:1000])
    with pytest.raises(ValueError, match='checkpoint.pt is damaged'): resume_training(run)
    for text in ('', '[]', '{"data": "drawn"}', '['*100_000):
        (run/'settings.json').write_text(text)
        with pytest.raises(ValueError, match='settings.json is damaged'): resume_training(run)
    (run/'settings.json').unlink()
    with pytest.raises(ValueError, match='holds no run to resume'): resume_training(run)
    with pytest.raises(FileNotFoundError, match='There is no folder'): resume_training(run/'nowhere')

def test_a_checkpoint_runs_no_code(stopped):
    run, _ = stopped
    class Evil:
        def __reduce__(self): return (run/'owned').touch, ()
    torch.save(dict(format=1, model=Evil()), run/'checkpoint.pt')
    with pytest.raises(ValueError, match='is damaged'): resume_training(run)
    assert not (run/'owned').exists()

def test_resume_on_the_command_line(stopped, capsys, monkeypatch):
    run, data = stopped
    assert main(['train', str(data), '--epochs', '2', '--resume', str(run)]) == 2 and 'was started with epochs 1, not 2' in capsys.readouterr().err
    assert main(['train', str(data), '--resume', str(run)]) == 0
    assert load_classifier(run.parent/'latest'/'model') and 'Epoch 2 of 2' in capsys.readouterr().out
    assert main(['train', '--resume', str(run)]) == 2 and 'is complete' in capsys.readouterr().err

def test_killed_for_real(drawn, tmp_path):
    "The power fails while the last block trains; what was written goes on"
    command = [sys.executable, '-m', 'dogscats_course', 'train', str(drawn), '--size', '64', '--bs', '8', '--epochs', '1', '--last-block', '40', '--out', str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 300
        while not (found := list(tmp_path.glob('*/checkpoint.pt'))) and time.monotonic() < end and process.poll() is None: time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert found and process.returncode == -9, 'it was killed in the middle'
    learn = resume_training(found[0].parent)
    assert len(learn.history) == 41 and (found[0].parent/'model').is_dir()
