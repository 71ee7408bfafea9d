"One entry point for weights: files that fit are returned, and others are refused with a reason."
import hashlib

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import vgg16_bn

from dogscats_course import weights
from dogscats_course.weights import vgg_weights

@pytest.fixture(scope='module')
def bundled(): return vgg_weights('bundled')[0]

def test_bundled_fits_torchvision(bundled):
    missing, unexpected = vgg16_bn().load_state_dict(bundled, strict=False)
    assert not unexpected and all(k.startswith('classifier') or k.endswith('num_batches_tracked') for k in missing)
    assert all(t.dtype == torch.float32 and t.isfinite().all() for t in bundled.values())

def test_damaged_bundle(tmp_path, monkeypatch):
    (tmp_path/'w').write_bytes(weights._bundled.read_bytes()[:-1] + b'x')
    monkeypatch.setattr(weights, '_bundled', tmp_path/'w')
    with pytest.raises(ValueError, match='damaged'): vgg_weights('bundled')

def test_auto_prints_its_choice(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(weights, 'imagenet_file', lambda: tmp_path/'none')
    assert vgg_weights()[1] == 'bundled'
    said = capsys.readouterr().out
    assert said.count('\n') == 1 and 'bundled' in said and "weights='imagenet'" in said

def test_auto_prefers_cached_weights(monkeypatch, tmp_path, bundled):
    (tmp_path/'there').touch()
    monkeypatch.setattr(weights, 'imagenet_file', lambda: tmp_path/'there')
    monkeypatch.setattr(weights, 'imagenet_weights', lambda: bundled)
    assert vgg_weights()[1] == 'imagenet'

def test_offline(monkeypatch, tmp_path):
    def down(*args, **kwargs): raise OSError('the network is down')
    monkeypatch.setattr(torch.hub, 'download_url_to_file', down)
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    with pytest.raises(ConnectionError, match="the network is down.*'bundled'"): vgg_weights('imagenet')

@pytest.mark.parametrize('name', ['w.safetensors', 'w.pth'])
def test_a_file(tmp_path, bundled, name):
    bundled = {k: v.contiguous() for k, v in bundled.items()}
    (save_file if name.endswith('safetensors') else torch.save)(bundled, tmp_path/name)
    tensors, said = vgg_weights(tmp_path/name)
    assert said == name and all(torch.equal(tensors[k], bundled[k]) for k in bundled)

@pytest.mark.parametrize('change, words', [
    (lambda t: t.pop('features.3.weight'), 'features.3.weight is missing'),
    (lambda t: t.update({'features.3.weight': torch.zeros(2, 2)}), r'features.3.weight has the shape \(2, 2\)'),
    (lambda t: t.update({'features.99.weight': torch.zeros(2)}), 'features.99.weight'),
])
def test_a_file_that_does_not_fit(tmp_path, bundled, change, words):
    tensors = dict(bundled)
    change(tensors)
    torch.save(tensors, tmp_path/'w.pth')
    with pytest.raises(ValueError, match=words): vgg_weights(tmp_path/'w.pth')

class Mark:
    def __reduce__(self): return print, ('code ran',)

@pytest.mark.parametrize('name', ['w.safetensors', 'w.pth'])
def test_a_file_that_holds_no_weights(tmp_path, name, capsys):
    torch.save(Mark(), tmp_path/name)
    with pytest.raises(ValueError, match='cannot be read safely|not a weights file'): vgg_weights(tmp_path/name)
    assert 'code ran' not in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match="'bundled'"): vgg_weights(tmp_path/'nowhere.pth')

def test_the_bundled_file_is_the_released_one():
    released = '2790bd53d962b093bb9c351ba7f9368a5bbbc1652386075d04288c11798a9ec8'
    assert hashlib.sha256(weights._bundled.read_bytes()).hexdigest() == released
