"The fast body computes the same as the plain one, in every dtype and for every architecture."
import subprocess, sys

import pytest
import torch
from fastai.vision.all import resnet18
from torch import nn

from dogscats_course import body, fastbody, memory
from dogscats_course.data import make_dls
from dogscats_course.fastbody import fast_body, fast_dtype
from dogscats_course.body import dtype_for, pooled_features, split_head
from dogscats_course.frozen import split_features
from dogscats_course.head import class_probs
from dogscats_course.learner import vgg_learner
from dogscats_course.predict import predict_files

int8 = pytest.param('int8', marks=pytest.mark.skipif(not torch.cpu.get_capabilities().get('avx512_vnni'), reason='this processor has no AVX-512 VNNI'))

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
    assert torch.cosine_similarity(x, plain(learn, dl)).min() > 0.999
    assert all(torch.equal(v, before[k]) for k, v in learn.model.state_dict().items()), 'the Learner is unchanged'

@pytest.mark.parametrize('dtype', [int8])
def test_odd_size(drawn, dtype):
    learn = vgg_learner(make_dls(drawn, size=75, bs=8), weights='bundled')
    x = learn.dls.valid.one_batch()[0].as_subclass(torch.Tensor)
    with torch.no_grad(): a, b = (fast_body(learn.model[0], x, f)(x) for f in ('float32', dtype))
    assert a.shape == b.shape and torch.cosine_similarity(a.flatten(1), b.flatten(1)).min() > 0.99

@pytest.mark.parametrize('dtype', ['float32', 'int8'])
def test_other_architectures(drawn, dtype, float32):
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), arch=resnet18, weights=None)
    dl = learn.dls.test_dl(list(learn.dls.valid_ds.items)*4)
    assert torch.allclose(pooled_features(learn, dl, dtype=dtype)[0], plain(learn, dl), atol=1e-3), 'int8 is for VGG only'

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

@pytest.mark.skipif(not torch.cpu.get_capabilities().get('avx512_vnni'), reason='this processor has no AVX-512 VNNI')
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
    def rows(learn, files, upto=None, training=False):
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
    "Within 0.02, the head trained on features of int8"
    learn = vgg_learner(make_dls(photos, size=128, limit=100), weights='bundled')
    learn.fit_head(5)
    probs, _ = class_probs(learn)
    dl = learn.dls.test_dl(list(learn.dls.valid_ds.items))
    tail = split_head(learn.model[1])[1].eval()
    with torch.no_grad(): wanted = tail(pooled_features(learn, dl, 'float32')[0]).softmax(1)
    assert (probs - wanted).abs().max() < 0.02 and (probs.argmax(1) != wanted.argmax(1)).sum() <= 1
