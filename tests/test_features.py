"The fast body computes the same as the plain one, in every dtype and for every architecture."
import json, subprocess, sys
from importlib.util import find_spec

import pytest
import torch
from fastai.vision.all import no_random, resnet18, set_seed
from torch import nn

from dogscats_course import body, fastbody, memory
from dogscats_course.cache import clear_features
from dogscats_course.data import make_dls
from dogscats_course.fastbody import dtype_of, fast_body
from dogscats_course.body import dtype_for, pooled_features, split_head
from dogscats_course.frozen import split_features
from dogscats_course.head import class_probs
from dogscats_course.learner import vgg_learner
from dogscats_course.predict import predict_files

needs_int8 = pytest.mark.skipif(not fastbody.has_int8(torch.device('cpu')), reason='this processor has no AVX2')
int8 = pytest.param('int8', marks=needs_int8)

def plain(learn, dl):
    "Return the pooled features of the plain body, in float32"
    learn.model.eval()
    pool, _ = split_head(learn.model[1])
    with torch.no_grad(): return torch.cat([pool(learn.model[0](b[0].as_subclass(torch.Tensor))) for b in dl])

@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', int8])
def test_dtypes_agree_with_the_plain_body(drawn, dtype):
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled')
    dl = learn.dls.test_dl([*learn.dls.train_ds.items, *learn.dls.valid_ds.items]*2, with_labels=True)
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    x, y = pooled_features(learn, dl, dtype=dtype)
    assert x.shape == (80, 1024) and x.dtype == torch.float32
    assert y.tolist() == [learn.dls.vocab.o2i[f.parent.name] for f in dl.items]
    cosines = torch.cosine_similarity(x, plain(learn, dl))
    coarser = dtype == 'int8' and not fastbody._has_vnni()  # its weights have a larger scale
    assert cosines.mean() > 0.999 and cosines.min() > (0.998 if coarser else 0.999)
    assert all(torch.equal(v, before[k]) for k, v in learn.model.state_dict().items()), 'the Learner is unchanged'

@pytest.mark.parametrize('dtype', [int8])
def test_odd_size(drawn, dtype):
    learn = vgg_learner(make_dls(drawn, size=75, bs=8), weights='bundled')
    x = learn.dls.valid.one_batch()[0].as_subclass(torch.Tensor)
    with torch.no_grad(): a, b = (fast_body(learn.model[0], x, f)(x) for f in ('float32', dtype))
    assert a.shape == b.shape and torch.cosine_similarity(a.flatten(1), b.flatten(1)).min() > 0.99

@needs_int8
def test_int8_sums_do_not_saturate():
    "Processors without VNNI add two products in 16 bits"
    conv, x = nn.Conv2d(64, 32, 3, padding=1).requires_grad_(False), torch.full((2, 64, 14, 14), 255.)
    conv.weight.uniform_(0.9, 1.)
    conv.weight[1::2] *= -1
    conv.bias.fill_(255*64*9)
    grid = fastbody._Grid(1., 0)
    bytes = fastbody._Quantize(grid)(x).contiguous(memory_format=torch.channels_last)
    y, exact = fastbody._Int8Conv(conv, x.shape, grid, None)(bytes), conv(x).relu()
    assert (y - exact).abs().max() < 0.01*exact.max()

@pytest.mark.parametrize('dtype', ['float32', 'int8'])
def test_other_architectures(drawn, dtype, float32):
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), arch=resnet18, weights=None)
    dl = learn.dls.test_dl(list(learn.dls.valid_ds.items)*4)
    assert torch.allclose(pooled_features(learn, dl, dtype=dtype)[0], plain(learn, dl), atol=1e-3), 'int8 is for VGG only'

def batch_norms(net): return [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]

def made(dls, arch, measured):
    "Return a random body, with BatchNorm as it is made or as it was measured on photos, and these photos"
    with no_random(1): net = vgg_learner(dls, arch=arch, weights=None).model[0]
    x = dls.valid.one_batch()[0].as_subclass(torch.Tensor)
    for m in batch_norms(net): m.momentum = None
    if measured:
        with torch.no_grad(): net.train()(x)
    return net.eval(), x

def cosine(a, b): return torch.cosine_similarity(*map(fastbody._pooled, (a, b))).min()

timm = pytest.mark.skipif(not find_spec('timm'), reason='the package timm is not installed')

@pytest.mark.parametrize('arch', ['resnet18', 'resnet34', 'resnet50', 'convnext_tiny', 'efficientnet_b0', 'mobilenet_v2', 'densenet121',
                                  pytest.param('timm/resnet18', marks=timm), pytest.param('timm/tf_efficientnet_b0', marks=timm)])
def test_fast_copies_of_other_networks_agree(drawn, arch):
    "A random body may be chaotic, and too much so for bfloat16: then it serves in float32"
    net, x = made(make_dls(drawn, size=64, bs=16), arch, measured=True)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    with torch.no_grad():
        wanted = net(x)
        for dtype in ('float32', 'bfloat16', 'int8'):
            fast = fast_body(net, x, dtype)
            assert cosine(fast(x), wanted) > (0.9999 if dtype_of(fast) == 'float32' else 0.998), dtype
            assert dtype_of(fast) != 'int8'
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items()), 'the body is unchanged'

@pytest.mark.parametrize('arch, n', [('resnet18', 20), ('resnet34', 36), ('resnet50', 53)])
def test_resnets_are_folded_and_served_in_bfloat16(drawn, arch, n):
    net, x = made(make_dls(drawn, size=64, bs=16), arch, measured=False)
    for dtype in ('float32', 'bfloat16'):
        fast = fast_body(net, x, dtype)
        assert (len(batch_norms(net)), len(batch_norms(fast)), dtype_of(fast)) == (n, 0, dtype)
        with torch.no_grad(): assert cosine(fast(x), net(x)) > 0.999

class Odd(nn.Module):
    "A body that torch.fx cannot follow, because its path depends on numbers"
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
    def forward(self, x): return self.bn(self.conv(x)) if x.sum() > -1e9 else x

class Twice(Odd):
    "A body whose convolution is used twice, before BatchNorm and without it"
    def forward(self, x):
        y = self.conv(x)
        return self.bn(y) + y

class NoBfloat16(Odd):
    "A body with a layer that knows float32 only"
    def forward(self, x): return self.bn(self.conv(x)) + torch.ones(1, 8, 1, 1)@torch.ones(1, 8, 1, 1)

@pytest.mark.parametrize('body', [Odd, Twice, NoBfloat16])
def test_bodies_of_ones_own(body):
    net, x = nn.Sequential(body()), torch.randn(4, 3, 32, 32)
    net.train()(x)
    net.eval()
    for dtype in ('float32', 'bfloat16', 'int8'):
        with torch.no_grad(): assert cosine(fast_body(net, x, dtype)(x), net(x)) > 0.999

@pytest.mark.parametrize('scale, served', [(1, 'bfloat16'), (1000, 'float32')])
def test_float32_if_bfloat16_is_too_coarse(scale, served):
    "The difference of two large numbers is lost in 8 bits of mantissa"
    class Difference(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)
        def forward(self, x): return (self.conv(x) + scale) - scale
    net, x = Difference().requires_grad_(False), torch.randn(4, 3, 32, 32)
    fast = fast_body(net, x, 'bfloat16')
    assert dtype_of(fast) == served and cosine(fast(x), net(x)) > 0.999

def test_other_networks_are_not_tried_in_int8(drawn, monkeypatch):
    monkeypatch.setattr(body, 'fast_dtype', lambda device: 'int8')
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), arch='resnet18', weights=None)
    assert dtype_for(learn, 1000) == dtype_for(learn) == fastbody.float_dtype(learn.dls.device)

def test_a_head_without_flatten():
    with pytest.raises(ValueError, match='no Flatten'): split_head(nn.Sequential(nn.Linear(2, 2)))

def test_out_of_memory_halves_the_batch(drawn, monkeypatch, capsys):
    learn, other = (vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled') for _ in range(2))
    wanted = pooled_features(other, other.dls.valid)[0]
    class Small(nn.Module):
        "A body on a GPU that has room for five photos"
        def __init__(self, body):
            super().__init__()
            self.body = body
        def forward(self, x):
            if len(x) > 5: raise torch.OutOfMemoryError
            return self.body(x)
    monkeypatch.setattr('dogscats_course.body.fast_body', lambda body, *args: Small(fast_body(body, *args)))
    assert torch.allclose(pooled_features(learn, learn.dls.valid)[0], wanted, atol=1e-4)
    out = capsys.readouterr().out
    assert 'too small for 16 photos at once: going on with 8' in out and 'too small for 8 photos at once: going on with 4' in out
    monkeypatch.setattr('dogscats_course.body._batch_size', lambda *_: 8)
    pooled_features(learn, learn.dls.valid)
    assert capsys.readouterr().out.count('going on') == 1, 'the second batch starts with the size found for the first'

@pytest.mark.parametrize('compiler', [True, False])
def test_compiled_if_it_pays(drawn, monkeypatch, compiler):
    "The body is compiled for many photos; without a compiler, it runs uncompiled, with no message"
    monkeypatch.setattr(body, '_compile_min_photos', 8)
    monkeypatch.setattr(body, 'float_dtype', lambda device: 'bfloat16')
    monkeypatch.setattr(body, '_batch_size', lambda *_: 6)
    if not compiler:
        def missing(*_): raise RuntimeError('no C++ compiler')
        monkeypatch.setattr(body.torch, 'compile', lambda body: missing)
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled')
    x, _ = pooled_features(learn, learn.dls.valid)  # 16 photos: the last batch is smaller
    assert isinstance(body.cached_body(learn, learn.dls.valid)[0], body._Compiled) == compiler
    assert torch.cosine_similarity(x, plain(learn, learn.dls.valid)).min() > 0.999

@needs_int8
def test_more_bits_if_int8_is_too_coarse(drawn, float32):
    "One channel with far greater values leaves too few of int8's 256 steps to the others"
    learn = vgg_learner(make_dls(drawn, size=64, bs=16), weights='bundled')
    layers = learn.model[0][0]
    with torch.no_grad():  # the same function: the next convolution takes back what this BatchNorm adds
        layers[1].weight[0] *= 3000
        layers[1].bias[0] *= 3000
        layers[3].weight[:, 0] /= 3000
    x, _ = pooled_features(learn, learn.dls.valid, 'int8')
    assert torch.cosine_similarity(x, plain(learn, learn.dls.valid)).min() > 0.9999
    assert not any(isinstance(m, fastbody._Int8Conv) for m in body.cached_body(learn, learn.dls.valid, 'int8')[0].modules())

@pytest.mark.parametrize('damage', [None, lambda text: text[:-9], lambda text: text.replace('[[', '[[9'), lambda text: text.replace('[[', '[["a", 1], ['), lambda text: '{}'])
@needs_int8
def test_int8_is_measured_once_for_all_processes(drawn, tmp_path, monkeypatch, damage):
    "And measured again if the file is damaged, or was made of other weights"
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    measured, grids = [], fastbody._measured_grids
    monkeypatch.setattr(fastbody, '_measured_grids', lambda *args: measured.append(1) or grids(*args))
    def features(change=False):
        learn = vgg_learner(make_dls(drawn, size=64, bs=16), weights='bundled')
        if change:
            with torch.no_grad(): learn.model[0][0][0].weight[0] *= 1.5
        return pooled_features(learn, learn.dls.valid, 'int8')[0]
    first = features()
    file, = tmp_path.rglob('int8_grids.json')
    if damage: file.write_text(damage(file.read_text()))
    assert torch.equal(features(), first) and len(measured) == (2 if damage else 1)
    features(change=True)
    assert len(measured) == (3 if damage else 2) and len(json.loads(file.read_text())) == 2
    clear_features()
    assert not file.exists()

@pytest.mark.skipif(not memory._glibc(), reason='only glibc can be told to keep memory')
def test_memory_is_returned_in_the_end():
    code = '''if True:
        import psutil, torch
        from dogscats_course.memory import held_memory, hold_memory, release_memory
        def used(): return psutil.Process().memory_info().rss/2**20
        def layers(): [torch.ones(50*2**20) for _ in range(2)]
        start, owner = used(), object()
        hold_memory(owner)
        with held_memory(): layers()
        kept = used() - start
        release_memory(owner)
        release_memory(owner)
        print(kept, used() - start)'''
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    kept, left = map(float, r.stdout.split())
    assert kept > 300 and left < 100

def test_a_photo_gets_the_same_answer_alone_and_among_many(learn, monkeypatch, tmp_path):
    "Whatever function is asked, however many photos and bad files go with it, and with or without training in int8"
    monkeypatch.setattr(body, '_int8_min_photos', 8)
    learn.fit_head(1)
    files = list(learn.dls.valid_ds.items)
    wanted, _ = class_probs(learn)
    bad = [tmp_path/f'{i}.jpg' for i in range(70)]
    for f in bad: f.write_bytes(b'no photo')
    answers = {
        'class_probs': class_probs(learn, learn.dls.test_dl(files))[0],
        'class_probs, one': class_probs(learn, learn.dls.test_dl(files[:1]))[0],
        'predict_files': torch.tensor(predict_files(learn, files).iloc[:, 2:4].values),
        'predict_files, one': torch.tensor(predict_files(learn, files[0]).iloc[:, 2:4].values),
        'predict_files, with bad ones': torch.tensor(predict_files(learn, files + bad).iloc[:16, 2:4].values.astype(float)),
        'learn.predict': torch.stack([learn.predict(f)[2] for f in files[:3]]),
        'get_preds': learn.get_preds()[0]}
    for name, probs in answers.items(): assert (probs - wanted[:len(probs)]).abs().max() < 0.002, name

def test_only_photos_to_train_on_are_computed_in_int8(learn, monkeypatch):
    monkeypatch.setattr(body, 'fast_dtype', lambda device: 'int8')
    assert dtype_for(learn, 64) == 'int8' and dtype_for(learn, 63) == dtype_for(learn) == fastbody.float_dtype(learn.dls.device)
    seen = []
    def rows(learn, files, upto=None, training=False, mirrored=False):
        seen.append(dtype_for(learn, 1000*len(files) if training else 0))
        return torch.zeros(len(files), 1024)
    monkeypatch.setattr('dogscats_course.frozen.cached_features', rows)
    for i in (0, 1): split_features(learn, i)
    assert seen == ['int8', dtype_for(learn)]

def test_get_preds_has_the_body_of_class_probs(learn, monkeypatch):
    "Unless a hook waits for the body's own layers; and the network is left as it was"
    for module in ('fastbody', 'frozen'): monkeypatch.setattr(f'dogscats_course.{module}.has_bfloat16', lambda device: True)
    learn.fit_head(1)
    layers = []
    learn.model[0].forward = lambda x: layers.append('whole') or nn.Sequential.forward(learn.model[0], x)
    probs, _ = learn.get_preds()
    del learn.model[0].forward
    assert not layers and 'forward' not in vars(learn.model)
    assert (probs - class_probs(learn)[0]).abs().max() < 0.002
    handle = learn.model[0][0][0].register_forward_hook(lambda *_: layers.append('hooked'))
    learn.get_preds()
    handle.remove()
    assert 'hooked' in layers

def test_answers_on_real_photos_are_those_of_float32(photos, monkeypatch):
    "Within 0.04, for the photos that it is least sure of; the head was trained on features of int8"
    set_seed(42)
    learn = vgg_learner(make_dls(photos, size=128, limit=100), weights='bundled')
    learn.fit_head(5)
    probs, _ = class_probs(learn)
    dl = learn.dls.test_dl(list(learn.dls.valid_ds.items))
    tail = split_head(learn.model[1])[1].eval()
    with torch.no_grad(): wanted = tail(pooled_features(learn, dl, 'float32')[0]).softmax(1)
    assert (probs - wanted).abs().max() < 0.04 and (probs.argmax(1) != wanted.argmax(1)).sum() <= 1
