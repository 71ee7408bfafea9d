"Saved and loaded, the predictions are the same; a damaged folder is told from a good one; nothing of a user's is lost."
import json, shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from dogscats_course.data import make_dls
from dogscats_course.learner import class_probs, vgg_learner
from dogscats_course.share import load_classifier, save_classifier

@pytest.fixture(scope='module')
def saved(drawn, tmp_path_factory):
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled')
    learn.fit_head(2)
    return learn, save_classifier(learn, tmp_path_factory.mktemp('share')/'model', scores=dict(accuracy=0.5), seed=3)

def test_two_files_that_say_all(saved):
    _, folder = saved
    assert sorted(p.name for p in folder.iterdir()) == ['config.json', 'model.safetensors']
    config = json.loads((folder/'config.json').read_text())
    assert (config['arch'], config['classes'], config['size'], config['weights'], config['seed']) == ('vgg16_bn', ['cats', 'dogs'], 64, 'bundled', 3)
    assert config['normalisation'] == dict(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
    assert config['scores'] == dict(accuracy=0.5) and 'torch' in config['versions']

def test_loaded_predicts_the_same(saved):
    learn, folder = saved
    loaded, files = load_classifier(folder), list(learn.dls.valid_ds.items)
    assert torch.equal(class_probs(loaded, loaded.dls.test_dl(files))[0], class_probs(learn, learn.dls.test_dl(files))[0])
    for a, b in zip(loaded.predict(files[0]), learn.predict(files[0])): assert a == b if isinstance(a, str) else torch.equal(a, b)
    assert loaded.recipe == learn.recipe

def test_saving_again_replaces_a_classifier_and_nothing_else(saved, tmp_path):
    learn, folder = saved
    copy = shutil.copytree(folder, tmp_path/'model')
    save_classifier(learn, copy)
    (copy/'notes.txt').write_text('mine')
    with pytest.raises(FileExistsError, match='move it away'): save_classifier(learn, copy)
    assert (copy/'notes.txt').read_text() == 'mine' and [p.name for p in tmp_path.iterdir()] == ['model']

def test_interrupted_saving_leaves_what_was_there(saved, tmp_path, monkeypatch):
    learn, folder = saved
    copy = shutil.copytree(folder, tmp_path/'model')
    before = {p.name: p.read_bytes() for p in copy.iterdir()}
    def stop(*args): raise KeyboardInterrupt
    monkeypatch.setattr('dogscats_course.share.save_file', stop)
    with pytest.raises(KeyboardInterrupt): save_classifier(learn, copy)
    assert {p.name: p.read_bytes() for p in copy.iterdir()} == before and [p.name for p in tmp_path.iterdir()] == ['model']

def test_a_head_of_ones_own_is_refused(drawn, tmp_path):
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights=None, lin_ftrs=[64])
    with pytest.raises(ValueError, match='learn.export'): save_classifier(learn, tmp_path/'model')
    assert not list(tmp_path.iterdir())

def config(**change):
    def damage(folder):
        c = json.loads((folder/'config.json').read_text())
        (folder/'config.json').write_text(json.dumps({**c, **change}))
    return damage

def cut(folder): (folder/'model.safetensors').write_bytes((folder/'model.safetensors').read_bytes()[:5000])
def pickled(folder): torch.save({}, folder/'model.safetensors')
def fewer_outputs(folder):
    t = load_file(folder/'model.safetensors')
    t['1.8.weight'] = torch.zeros(1, 512)
    save_file(t, folder/'model.safetensors')

@pytest.mark.parametrize('damage, words', [
    (lambda d: (d/'config.json').unlink(), 'no file .*config.json'),
    (lambda d: (d/'model.safetensors').unlink(), 'no file .*model.safetensors'),
    (lambda d: (d/'config.json').write_text('{'), 'not JSON'),
    (lambda d: (d/'config.json').write_text('[]'), 'no format number'),
    (config(format=2), 'newer'), (config(arch='vgg99'), 'vgg99'), (config(arch=3), "'arch'"), (config(classes=['a']), "'classes'"),
    (config(classes=['..', 'b']), "'classes'"), (config(classes=['a', 'b', 'c']), 'tensor'), (config(size=10**9), "'size'"),
    (config(normalisation={}), "'normalisation'"), (cut, 'whole safetensors'), (pickled, 'whole safetensors'), (fewer_outputs, '1.8.weight'),
])
def test_damage(saved, tmp_path, damage, words):
    folder = shutil.copytree(saved[1], tmp_path/'model')
    damage(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=words): load_classifier(folder)
