"An architecture is a name of torchvision's or timm's: found, or refused in a sentence before any work."
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torchvision import models

from dogscats_course.archs import arch_name, check_arch, find_arch, has_weights, is_listed, meta_model
from dogscats_course.cam import show_cam
from dogscats_course.data import make_dls
from dogscats_course.head import class_probs
from dogscats_course.learner import vgg_learner
from dogscats_course.share import load_classifier, save_classifier
from dogscats_course.weights import imagenet_file

@pytest.fixture
def no_weights(monkeypatch, tmp_path):
    "A machine that no weights were downloaded to, and none can be"
    monkeypatch.setenv('TORCH_HOME', str(tmp_path/'torch'))
    if find_spec('huggingface_hub'): monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE', str(tmp_path/'hf'))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', lambda *_, **__: pytest.fail('weights were downloaded'))

@pytest.fixture
def fake_timm(monkeypatch):
    "timm, as far as names go"
    monkeypatch.setattr('dogscats_course.archs.find_spec', lambda name: True)
    names = ['resnet18', 'convit_tiny']
    models = SimpleNamespace(is_model_pretrained=lambda name: name == 'convit_tiny.fb_in1k')
    monkeypatch.setitem(sys.modules, 'timm', SimpleNamespace(is_model=lambda n: n.split('.')[0] in names, list_models=lambda: names, models=models))

def test_every_name_of_torchvision_is_found():
    for name in models.list_models(module=models):
        arch = find_arch(name)
        assert arch is models.get_model_builder(name) is find_arch(arch) and arch_name(arch) == name and is_listed(arch)

@pytest.mark.parametrize('wrong, right', [('resnet81', 'resnet18'), ('VGG16_BN', 'vgg16_bn'), ('resnet-50', 'resnet50'), ('eficientnet_b0', 'efficientnet_b0'), ('fcn_resnet50', 'resnet50')])
def test_a_wrong_name_is_told_with_the_nearest_right_ones(wrong, right):
    with pytest.raises(ValueError, match=f"There is no architecture '{wrong}'. The nearest names are .*{right}"): find_arch(wrong)

@pytest.mark.parametrize('name', ['', '?', '猫', 'x'*10_000, 'a\x1b[2J\n', '__init__', 'os.system', '../resnet18', 'hf-hub:somebody/something', 'list_models', 'resnet18 '])
def test_what_is_no_name_is_a_short_sentence(name):
    with pytest.raises(ValueError, match='There is no architecture') as e: find_arch(name)
    assert len(str(e.value)) < 300 and str(e.value).isprintable()

def test_without_timm(monkeypatch):
    monkeypatch.setattr('dogscats_course.archs.find_spec', lambda name: None)
    with pytest.raises(ValueError, match='timm/resnet18 needs the package timm: pip install timm'): find_arch('timm/resnet18')
    with pytest.raises(ValueError, match="no architecture 'convit_tiny'.*pip install timm"): find_arch('convit_tiny')

def test_torchvision_comes_first_and_timm_has_a_prefix(fake_timm):
    assert find_arch('resnet18') is models.resnet18 and find_arch('timm/resnet18') == 'timm/resnet18'
    for name in ('convit_tiny', 'timm/convit_tiny', find_arch('convit_tiny')): assert find_arch(name) == 'timm/convit_tiny'
    assert find_arch('convit_tiny.fb_in1k') == 'timm/convit_tiny.fb_in1k'
    for name in ('convit_tiny.no_such_weights', 'timm/resnet50', 'hf-hub:somebody/something', 'timm/hf-hub:a/b', 'timm/'):
        with pytest.raises(ValueError, match='There is no architecture'): find_arch(name)
    with pytest.raises(ValueError, match='nearest names are convit_tiny'): find_arch('timm/convit_tini')

def test_nothing_is_downloaded_unless_asked_for(no_weights, drawn):
    dls = make_dls(drawn, size=64, bs=8)
    for call in (lambda: vgg_learner(dls, arch='resnet18'), lambda: check_arch(models.resnet18)):
        with pytest.raises(FileNotFoundError, match='weights of resnet18 are not on this machine: .*--weights imagenet.*--weights none'): call()
    assert check_arch(models.resnet18, 'imagenet') == 'imagenet' and check_arch(models.resnet18, None) is None and check_arch(models.vgg16_bn) == 'auto'

@pytest.mark.parametrize('name', ['resnet18', 'mobilenet_v2'])
def test_weights_on_this_machine_are_taken(no_weights, drawn, capsys, name):
    "resnet18 has one set of weights, and mobilenet_v2 two, of which the better is meant"
    build = models.get_model_builder(name)
    net = build()
    imagenet_file(build).parent.mkdir(parents=True)
    torch.save(net.state_dict(), imagenet_file(build))
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), arch=name)
    assert f'the ImageNet weights of {name}, found on this machine' in capsys.readouterr().out
    wanted = next(net.parameters())
    assert torch.equal(next(learn.model[0].parameters()), wanted) and learn.recipe == dict(arch=name, weights='imagenet')

def test_a_function_of_ones_own_has_no_weights_on_this_machine(no_weights):
    def tiny(pretrained): pass
    assert not has_weights(tiny)
    with pytest.raises(FileNotFoundError, match='weights of tiny are not on this machine'): check_arch(tiny)

@pytest.mark.parametrize('name', ['vit_b_16', 'inception_v3', 'googlenet'])
def test_a_body_that_cannot_be_cut_is_told_before_its_weights_are_looked_for(no_weights, name):
    for weights in ('auto', 'imagenet', None):
        with pytest.raises(ValueError, match=f'^{name} does not work here'): check_arch(find_arch(name), weights)

timm = pytest.mark.skipif(not find_spec('timm'), reason='the package timm is not installed')

@timm
def test_timms_weights_on_this_machine(no_weights, monkeypatch, tmp_path):
    "Those of Hugging Face lie in folders of its own, and a few in torch.hub's"
    import timm
    for name in ('resnet18', 'gcvit_tiny'):
        arch, cfg = find_arch(f'timm/{name}'), timm.get_pretrained_cfg(name)
        assert not has_weights(arch)
        with pytest.raises(FileNotFoundError, match=f'weights of timm/{name} are not on this machine'): check_arch(arch)
        file = Path(torch.hub.get_dir())/'checkpoints'/Path(cfg.url).name
        if cfg.hf_hub_id:
            repo = tmp_path/'hf'/f"models--{cfg.hf_hub_id.replace('/', '--')}"
            (repo/'refs').mkdir(parents=True)
            (repo/'refs'/'main').write_text('abc')
            file = repo/'snapshots'/'abc'/'model.safetensors'
        file.parent.mkdir(parents=True)
        file.touch()
        assert has_weights(arch)

@timm
@pytest.mark.parametrize('name, size', [('resnet18', 64), ('vit_tiny_patch16_224', 224), ('test_convnext', 64)])
def test_networks_of_timm_train_and_are_saved(drawn, tmp_path, name, size):
    "A transformer too, whose body gives rows"
    dls = make_dls(drawn, size=size, bs=8)
    learn = vgg_learner(dls, arch=f'timm/{name}', weights=None)
    learn.fit_head(1)
    learn.fit(1)
    if name.startswith('vit'):
        with pytest.raises(ValueError, match='its body gives no maps'): show_cam(learn, n=1)
    loaded, files = load_classifier(save_classifier(learn, tmp_path/'model')), list(dls.valid_ds.items)
    a, b = (class_probs(l, l.dls.test_dl(files))[0] for l in (learn, loaded))
    assert torch.equal(a, b) and loaded.recipe == dict(arch=f'timm/{name}', weights=None)

@timm
def test_a_network_of_timm_for_photos_of_one_size():
    with pytest.raises(ValueError, match='photos of 64×64 pixels, but for 224×224'): meta_model('vit_tiny_patch16_224', 2, 64)
    with pytest.raises(ValueError, match='photos of 64×64 pixels, but for 384×384'): meta_model('vit_tiny_patch16_384', 2, 64)
    assert meta_model('vit_tiny_patch16_384', 2)[1][-1].out_features == 2
