"A fastai Learner: frozen means frozen, the head trains, all of fastai still works."
import copy

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.vision.all import (Callback, DataBlock, Flatten, ImageBlock, ImageDataLoaders, MixedPrecision, Normalize,
    PoolFlatten, RegressionBlock, Resize, TensorImage, Transform, aug_transforms, get_image_files, resnet18, set_seed,
    vision_learner)
from torch import nn
from torchvision import models
from torchvision.models import vgg16_bn

from dogscats_course import features, frozen
from dogscats_course.archs import meta_model
from dogscats_course.cache import clear_features
from dogscats_course.data import make_dls, photo_dls
from dogscats_course.frozen import prepare_rows, split_features
from dogscats_course.head import class_probs
from dogscats_course.learner import DefaultPrecision, trainable, vgg_learner
from dogscats_course.memory import OOMAdvice
from dogscats_course.share import load_classifier, save_classifier
import odd

def state(m): return {k: v.clone() for k, v in m.state_dict().items()}
def changed(m, before): return {k for k, v in m.state_dict().items() if not torch.equal(v, before[k])}

def test_fit_head_trains_only_the_head(learn, drawn):
    body, head, files = state(learn.model[0]), state(learn.model[1]), sorted(drawn.rglob('*'))
    learn.fit_head(3)
    assert not changed(learn.model[0], body) and changed(learn.model[1], head)
    assert len(learn.recorder.values) == 3
    loss, acc = learn.validate()
    assert acc == pytest.approx(learn.history.accuracy.iloc[-1], abs=1/16 + 1e-6) and loss == pytest.approx(learn.history.valid_loss.iloc[-1], abs=0.05)
    assert sorted(drawn.rglob('*')) == files, "nothing is written into the photos' folder"

def test_a_second_call_continues(learn, monkeypatch):
    learn.fit_head(2)
    after = state(learn.model[1])
    monkeypatch.setattr('dogscats_course.frozen.cached_features', None)  # not computed again
    learn.fit_head(1, lr=1e-9)
    for k, v in learn.model[1].state_dict().items():
        if 'running' not in k and 'num_batches' not in k: assert torch.allclose(v.float(), after[k].float(), atol=1e-5)
    assert learn.history.fit.tolist() == [1, 1, 2] and learn.history.epoch.tolist() == [0, 1, 0]
    assert {'fit', 'epoch', 'train_loss', 'valid_loss', 'accuracy', 'seconds'} <= set(learn.history)

def test_an_interrupted_fit_leaves_the_learner_intact(learn):
    from fastai.vision.all import Callback
    class Stop(Callback):
        def after_batch(self): raise KeyboardInterrupt
    model, dls = learn.model, learn.dls
    with pytest.raises(KeyboardInterrupt): learn.fit_head(1, cbs=Stop())
    assert learn.model is model and learn.dls is dls

def test_same_seed_same_result(drawn):
    def run():
        set_seed(7)
        learn = vgg_learner(make_dls(drawn, size=64, bs=8, seed=7), weights='bundled')
        learn.fit_head(2)
        return class_probs(learn)[0]
    assert torch.equal(run(), run())

def test_fine_tune_for_real(learn):
    learn.fit_head(2)
    body = state(learn.model[0])
    learn.fine_tune(1)
    assert {'0.0.weight', '0.40.weight'} <= changed(learn.model[0], body), 'first and last convolution trained'
    x = split_features(learn)[0][:]
    assert torch.isfinite(x).all() and learn.history.fit.tolist() == [1, 1, 2, 3]
    assert torch.allclose(class_probs(learn)[0], learn.get_preds()[0], atol=0.05), 'features follow the trained body'

def test_frozen_means_frozen(learn):
    body = state(learn.model[0])
    learn.fit_one_cycle(1)
    assert not changed(learn.model[0], body), 'neither weights nor BatchNorm statistics'

def test_train_bn_when_asked_for(drawn):
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled', train_bn=True)
    body = state(learn.model[0])
    learn.fit_one_cycle(1)
    assert '0.1.running_mean' in changed(learn.model[0], body)

def test_groups(learn):
    t = trainable(learn).set_index('group')
    assert t.trained_parameters[['body', 'last block']].sum() == 0 and t.trained_parameters['head'] == t.parameters['head'] == 528_384
    learn.freeze_to(-2)
    t = trainable(learn).set_index('group')
    assert t.trained_layers['last block'] == 6 and t.trained_layers['body'] == 0
    body = state(learn.model[0])
    learn.fit_one_cycle(1)
    trained = {int(k.split('.')[1]) for k in changed(learn.model[0], body)}
    assert trained and min(trained) == 34, 'the fifth block, from its first convolution'
    learn.unfreeze()
    t = trainable(learn).set_index('group')
    assert t.trained_parameters['all'] == t.parameters['all'] == sum(p.numel() for p in learn.model.parameters())

def test_lr_find_writes_nothing_beside_the_photos(learn, drawn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(drawn.rglob('*'))
    learn.lr_find(num_it=6, show_plot=False)
    assert sorted(drawn.rglob('*')) == before and learn.history.empty

def test_a_fit_after_an_interrupted_lr_find_is_in_the_history(learn):
    class Stop(Callback):
        def after_batch(self): raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), learn.added_cbs(Stop()): learn.lr_find(num_it=6, show_plot=False)
    learn.fit_head(2)
    assert len(learn.history) == 2

def test_no_photos_to_validate_on(learn, drawn):
    learn.dls = make_dls(drawn, size=64, bs=8).new_empty()
    with pytest.raises(ValueError, match='no training photos'): learn.fit_head(1)
    with pytest.raises(ValueError, match='no validation photos'): class_probs(learn)

def test_frozen_with_no_photos_to_validate_on(drawn):
    learn = vgg_learner(photo_dls(get_image_files(drawn/'train'), [], ['cats', 'dogs'], bs=8, size=64), weights='bundled')
    before = state(learn.model)
    learn.fit(1)
    assert {k.split('.')[0] for k in changed(learn.model, before)} == {'1'}

@pytest.mark.parametrize('head', [(nn.Conv2d(512, 8, 1), nn.AdaptiveAvgPool2d(1), Flatten(), nn.Linear(8, 2)), (PoolFlatten(), nn.Linear(512, 2))], ids=['learns before Flatten', 'no Flatten'])
def test_heads_that_cannot_be_cut_train_whole(drawn, head):
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled', custom_head=nn.Sequential(*head))
    before = state(learn.model)
    learn.fit(1)
    trained = changed(learn.model, before)
    assert {k for k in before if k.endswith('weight') and k.startswith('1.')} <= trained and not any(k.startswith('0.') for k in trained)
    with pytest.raises(ValueError, match='cannot be separated'): learn.fit_head(1)

def test_labels_that_are_not_classes(drawn):
    block = DataBlock((ImageBlock, RegressionBlock), get_items=get_image_files, get_y=lambda f: 0.9, item_tfms=Resize(64, method='squish'))
    dls = block.dataloaders(drawn/'train', bs=8)
    learn = vgg_learner(dls, weights='bundled', n_out=1, metrics=[])
    with pytest.raises(ValueError, match='do not have one class each'): learn.fit_head(1)

def test_photos_of_a_table(drawn):
    "fastai's `from_df`, whose items are rows"
    files = get_image_files(drawn/'train')
    df = pd.DataFrame(dict(name=[f.relative_to(drawn).as_posix() for f in files], label=[f.parent.name for f in files]))
    learn = vgg_learner(ImageDataLoaders.from_df(df, drawn, item_tfms=Resize(64, method='squish'), bs=8, seed=42), weights='bundled')
    learn.fit_head(1)
    assert len(class_probs(learn)[1]) == len(learn.dls.valid_ds) == 4

def test_data_parallel(learn):
    "On a CPU, nothing is copied, but the callback is the one for several GPUs"
    import fastai.distributed
    learn.to_parallel().fit(1)
    assert len(learn.history) == 1 and type(learn.model) is nn.Sequential

def test_the_users_precision_wins(learn, monkeypatch):
    "`to_fp16` of a Learner that has mixed precision already, as every Learner on a GPU has"
    begun, before_fit = [], MixedPrecision.before_fit
    monkeypatch.setattr(MixedPrecision, 'before_fit', lambda self: (begun.append(self), before_fit(self)))
    learn.add_cb(DefaultPrecision('bf16'))
    default = learn.mixed_precision
    learn.fit(1)
    learn.to_fp16()
    learn.fit(1)
    assert begun == [default, learn.mixed_precision] and default is not learn.mixed_precision
    assert not learn.to_fp32().cbs.filter(lambda cb: isinstance(cb, MixedPrecision))

def test_features_follow_the_photos(learn, drawn):
    a = class_probs(learn)[0]
    learn.dls.valid_ds.items = learn.dls.valid_ds.items[::-1]
    assert torch.equal(class_probs(learn)[0], a.flip(0))
    before = split_features(learn)[0][:]
    learn.dls.valid.after_item.fs[0].size = (32, 32)
    assert not torch.equal(split_features(learn)[0][:], before), 'and the preprocessing'

def test_predict_and_callbacks(learn, drawn):
    learn.fit_head(1, cbs=[])
    name, idx, probs = learn.predict(drawn/'valid/cats/cat.12.jpg')
    assert name == learn.dls.vocab[idx] and probs.sum() == pytest.approx(1, abs=1e-5)
    with learn.no_bar(): learn.fit_one_cycle(1)
    assert learn.metrics[0].name == 'accuracy'

def test_normalized_once(drawn):
    dls = make_dls(drawn, size=64, bs=8)
    for _ in range(2): vgg_learner(dls, weights=None)
    assert sum(isinstance(f, Normalize) for f in dls.after_batch.fs) == 1

def test_plain_fastai_stays_plain(drawn):
    learn = vision_learner(make_dls(drawn, size=64, bs=8), vgg16_bn, pretrained=False)
    assert not hasattr(learn, 'fit_history') and learn.train_bn

def test_other_architectures(drawn):
    dls = make_dls(drawn, size=64, bs=8)
    learn = vgg_learner(dls, arch=resnet18, weights=None)
    learn.fit_head(1)
    assert list(trainable(learn).group)[-2:] == ['head', 'all']
    with pytest.raises(ValueError, match="'bundled' weights belong to vgg16_bn. For resnet18, .*'imagenet'"): vgg_learner(dls, arch=resnet18, weights='bundled')
    assert vgg_learner(dls, arch='resnet18', weights=None).recipe == learn.recipe == dict(arch='resnet18', weights=None)
    assert vgg_learner(dls, arch='vgg16_bn').recipe['weights'] == 'bundled'

_CANNOT = 'googlenet', 'inception_v3', 'maxvit_t', 'vit_b_16', 'vit_b_32', 'vit_h_14', 'vit_l_16', 'vit_l_32'

def test_every_architecture_of_torchvision():
    "Each one becomes a body of the whole network and a head, or a sentence"
    for name in models.list_models(module=models):
        build = models.get_model_builder(name)
        if name in _CANNOT:
            with pytest.raises(ValueError, match=f'^{name} does not work here.*vgg16_bn'): meta_model(build, 3)
            continue
        model = meta_model(build, 3)
        stages = [m for m in model[0].modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert model[1][-1].out_features == 3 and len(stages) >= 5, name

@pytest.mark.parametrize('name', ['mobilenet_v2', 'mnasnet0_5', 'regnet_x_400mf', 'shufflenet_v2_x0_5', 'squeezenet1_1', 'mobilenet_v3_small'])
def test_other_families_train_and_are_saved(drawn, tmp_path, name):
    dls = make_dls(drawn, size=64, bs=8)
    learn = vgg_learner(dls, arch=models.get_model_builder(name), weights=None)
    learn.fit(1)
    loaded, files = load_classifier(save_classifier(learn, tmp_path/'model')), list(dls.valid_ds.items)
    a, b = (class_probs(l, l.dls.test_dl(files))[0] for l in (learn, loaded))
    assert torch.equal(a, b)

@pytest.mark.parametrize('name', _CANNOT)
def test_networks_that_cannot_be_cut(drawn, name, monkeypatch):
    monkeypatch.setattr(torch.hub, 'load_state_dict_from_url', lambda *_, **__: pytest.fail('its weights were downloaded'))
    for weights in ('imagenet', None):
        with pytest.raises(ValueError, match=f'^{name} does not work here'): vgg_learner(make_dls(drawn, size=64, bs=8), arch=models.get_model_builder(name), weights=weights)

def test_a_network_for_larger_photos(drawn):
    with pytest.raises(ValueError, match='alexnet cannot be used for photos of 32×32'): vgg_learner(make_dls(drawn, size=32, bs=8), arch=models.alexnet, weights=None)

@pytest.mark.parametrize('arch', [None, 42, models.resnet18(), ['resnet18']], ids=['None', 'number', 'network', 'list'])
def test_what_is_no_architecture(drawn, arch):
    with pytest.raises(ValueError, match='arch must be a name'): vgg_learner(make_dls(drawn, size=64, bs=8), arch=arch, weights=None)

@pytest.mark.parametrize('build', [lambda pretrained: models.vit_b_16(), lambda pretrained: models.segmentation.lraspp_mobilenet_v3_large(weights_backbone=None)])
def test_a_function_of_ones_own_that_cannot_be_cut(drawn, build):
    with pytest.raises(ValueError, match='does not work here'): vgg_learner(make_dls(drawn, size=64, bs=8), arch=build, weights=None)

def test_weights_that_are_damaged(drawn, monkeypatch):
    def damaged(*args, **kwargs): raise RuntimeError('invalid hash value')
    monkeypatch.setattr('dogscats_course.learner.vision_learner', damaged)
    with pytest.raises(ValueError, match='resnet18 does not work here, with weights=.imagenet.*invalid hash'): vgg_learner(make_dls(drawn, size=64, bs=8), arch=resnet18, weights='imagenet')

@pytest.mark.parametrize('wrong, close', [('metric', 'metrics'), ('ps_', 'ps'), ('callbacks', None), ('pretrained', None)])
def test_options_that_nobody_takes(drawn, wrong, close):
    with pytest.raises(TypeError, match=f"vgg_learner has no option '{wrong}'" + (f".*Did you mean '{close}'" if close else '')):
        vgg_learner(make_dls(drawn, size=64, bs=8), **{wrong: 1})

def named(dls, name):
    dls.train_ds.tls[1].tfms[-1].vocab = [name, 'dogs']
    return dls

@pytest.mark.parametrize('name', ['a\nb', 'a\x1b[2J', '\u202eb', 'chat\udce9', 'a/b', '..', 'x'*256])
def test_a_class_that_could_not_be_saved_is_refused_at_the_start(drawn, name):
    with pytest.raises(ValueError, match='A class cannot be called.*Rename its folder') as e: vgg_learner(named(make_dls(drawn, size=64, bs=8), name))
    assert str(e.value).encode() and str(e.value).isprintable(), 'the sentence itself can be printed'

def test_lawful_class_names_train(drawn):
    for name in odd.names.values(): vgg_learner(named(make_dls(drawn, size=64, bs=8), name), arch=models.squeezenet1_1, weights=None)

def test_weights_in_a_file_of_any_name(drawn, tmp_path):
    from dogscats_course.weights import vgg_weights
    from safetensors.torch import save
    file = tmp_path/'w\udce9.safetensors'
    file.write_bytes(save(vgg_weights('bundled')[0]))
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights=file)
    assert load_classifier(save_classifier(learn, tmp_path/'model')).recipe['weights'] == 'w\\xe9.safetensors'

def test_lines_in_place_of_bars_in_a_file(learn, capsys):
    learn.fit_head(2)
    out = capsys.readouterr().out
    assert '\r' not in out and '█' not in out and 'Epoch 1 of 2: ' in out and 'Epoch 2 of 2: ' in out and 'accuracy' in out

def test_export_still_works(learn, tmp_path):
    learn.fit_head(1)
    learn.path = tmp_path
    learn.export('model.pkl')
    assert (tmp_path/'model.pkl').stat().st_size > 1_000_000

@pytest.mark.parametrize('epochs', [0, -1])
def test_bad_epochs(learn, epochs):
    with pytest.raises(ValueError, match='at least'): learn.fit_head(epochs)

def test_last_block_is_trained_on_rows(learn, monkeypatch):
    "The layers before the block run once and stay unchanged, and the whole network agrees with the training"
    before = copy.deepcopy(learn.model[0][0].state_dict())
    learn.freeze_to(-2)
    learn.fit_one_cycle(1, slice(1e-5, 1e-3))
    monkeypatch.setattr(frozen, 'cached_features', None)  # not called again
    learn.fit_one_cycle(1, slice(1e-5, 1e-3))
    after = learn.model[0][0].state_dict()
    changed = {int(k.split('.')[0]) for k in before if not torch.equal(before[k], after[k])}
    assert changed and min(changed) == frozen._LAST_BLOCK
    assert 'forward' not in vars(learn.model)
    np.testing.assert_allclose(learn.validate(), learn.history[['valid_loss', 'accuracy']].iloc[-1], atol=0.05)

class Dimmed(Transform):
    split_idx = 0  # in training only
    def encodes(self, x:TensorImage): return x*0.9

@pytest.mark.parametrize('why', ['random photos', "the user's own transform", 'another callback', 'BatchNorm trains', 'no room'])
def test_photos_instead_of_rows(drawn, why, monkeypatch):
    "Photos go through the whole network if rows cannot replace them"
    class Darker(Callback):
        def before_batch(self): self.learn.xb = (self.xb[0]*0.9,)
    dls = make_dls(drawn, size=64, bs=8, batch_tfms={'random photos': aug_transforms(), "the user's own transform": Dimmed()}.get(why))
    learn = vgg_learner(dls, weights='bundled', cbs=Darker if why == 'another callback' else None, train_bn=why == 'BatchNorm trains')
    learn.freeze_to(-2)
    if why == 'no room': monkeypatch.setattr(frozen, 'has_room', lambda *_: False)
    monkeypatch.setattr(frozen, 'cached_features', None)
    learn.fit(1, 1e-5)
    assert len(learn.history) == 1

def test_frozen_epoch_of_fine_tune_runs_no_body(learn, monkeypatch):
    learn.freeze()
    learn.fit(1)
    learn.model[0].register_forward_hook(lambda *_: pytest.fail('the body was run'))
    learn.fit(1)

def test_frozen_after_training_is_frozen(learn):
    "fastai's optimizer keeps moving weights that have an old gradient"
    learn.unfreeze()
    learn.fit(1, 1e-5)
    learn.freeze()
    before = copy.deepcopy(learn.model[0].state_dict())
    learn.fit(1)
    assert all(torch.equal(v, before[k]) for k, v in learn.model[0].state_dict().items())

def test_bfloat16_on_a_cpu(learn, monkeypatch):
    monkeypatch.setattr(frozen, 'has_bfloat16', lambda device: True)
    seen = set()
    learn.model[0][0][40].register_forward_hook(lambda m, x, y: seen.add(y.dtype))
    learn.unfreeze()
    learn.fit(1, 1e-5)
    assert seen == {torch.bfloat16}
    assert {p.dtype for p in learn.model.parameters()} == {torch.float32}
    assert np.isfinite(learn.recorder.values[-1]).all()

@pytest.mark.parametrize('where', ['forward', 'backward'])
def test_out_of_memory_names_the_batch_size(learn, where):
    def full(*_): raise torch.OutOfMemoryError('CUDA out of memory')
    learn.add_cb(OOMAdvice)  # as on a GPU
    learn.unfreeze()
    if where == 'forward': learn.model[1].register_forward_pre_hook(full)
    else: learn.model[1][-1].weight.register_hook(full)
    with pytest.raises(ValueError) as e: learn.fine_tune(1)
    assert str(e.value) == "The GPU's memory is too small to train on 8 photos at once: try bs=4 (--bs 4)."

def test_a_misspelt_option_of_fit_head_is_told_before_the_work(learn, monkeypatch):
    monkeypatch.setattr('dogscats_course.head.split_features', lambda *args: pytest.fail('features were computed'))
    with pytest.raises(TypeError, match="fit_head has no option 'lrr'"): learn.fit_head(lrr=1)

def _trained_block(drawn, folded, monkeypatch):
    "Return the state of a network after an epoch of the last block, in float32"
    with monkeypatch.context() as m:
        m.setattr(frozen, '_pays_to_fold', lambda x: folded)
        set_seed(0)
        learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled')
        learn.freeze_to(-2)
        start = copy.deepcopy(learn.model.state_dict())
        learn.fit(1, slice(1e-6, 1e-4))
    return start, learn.model.state_dict(), learn.history.valid_loss.iloc[-1]

def test_a_folded_block_trains_as_an_unfolded_one(drawn, float32, monkeypatch):
    "Each parameter moves, BatchNorm's too, and to the same place; BatchNorm's statistics stand still"
    start, folded, loss = _trained_block(drawn, True, monkeypatch)
    _, unfolded, other_loss = _trained_block(drawn, False, monkeypatch)
    assert loss == pytest.approx(other_loss, rel=0.02)
    for k in (k for k in start if k.startswith('0.0.') and int(k.split('.')[2]) >= frozen._LAST_BLOCK):
        if 'running' in k or 'num_batches' in k: assert torch.equal(folded[k], start[k]), k
        elif k.endswith('weight'):
            moves = [(end[k] - start[k]).flatten() for end in (folded, unfolded)]
            assert moves[0].any() and torch.cosine_similarity(*moves, dim=0) > 0.95, k

def test_batchnorm_of_the_last_block_moves_if_it_is_to(drawn):
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled', train_bn=True)
    learn.freeze_to(-2)
    before = learn.model[0][0][35].running_mean.clone()
    learn.fit(1, 1e-5)
    assert not torch.equal(learn.model[0][0][35].running_mean, before)

def test_rows_and_features_from_one_reading(drawn, monkeypatch):
    "After `prepare_rows` no photo is opened any more, neither for the head nor for the last block"
    clear_features()
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled')
    passes, iter_features = [], features.iter_features
    monkeypatch.setattr(features, 'iter_features', lambda *args: passes.append(args[3]) or iter_features(*args))
    assert prepare_rows(learn) and passes == [34, 34]
    of_rows = features.cached_features(learn, learn.dls.valid_ds.items)[:]
    learn.fit_head(1)
    learn.freeze_to(-2)
    learn.fit(1, 1e-5)
    assert passes == [34, 34]
    clear_features()
    learn = vgg_learner(learn.dls, weights='bundled')
    of_photos = features.cached_features(learn, learn.dls.valid_ds.items)[:]
    assert torch.cosine_similarity(of_rows, of_photos).min() > 0.9999
    assert passes == [34, 34, None]

def test_only_photos_without_rows_are_opened(drawn, monkeypatch):
    clear_features()
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled')
    files = list(learn.dls.valid_ds.items)
    features.cached_features(learn, files[:5], upto=34)
    opened, test_dl = [], features._row_batches
    monkeypatch.setattr(features, '_row_batches', lambda learn, cached, new: opened.append(len(new)) or test_dl(learn, cached, new))
    mixed = features.cached_features(learn, files)[:]
    assert opened == [len(files) - 5]
    clear_features()
    assert torch.cosine_similarity(mixed, features.cached_features(learn, files)[:]).min() > 0.9999

def test_no_rows_are_prepared_that_are_of_no_use(drawn, monkeypatch):
    monkeypatch.setattr(frozen, 'cached_features', None)
    augmented = vgg_learner(make_dls(drawn, size=64, bs=8, batch_tfms=aug_transforms()), weights='bundled')
    assert not prepare_rows(augmented)
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled')
    monkeypatch.setattr(frozen, 'has_room', lambda *_: False)
    assert not prepare_rows(learn)
