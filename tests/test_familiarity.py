"A photo of something else is recognised; a saved classifier keeps that, and an older or a damaged one loads as before."
import json, shutil

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from fastai.vision.all import ImageDataLoaders, Resize, set_seed
from PIL import Image
from safetensors.torch import load_file, save_file

from dogscats_course.clean import least_familiar
from dogscats_course.cli import main
from dogscats_course.data import make_dls, photo_dls
from dogscats_course.draw import draw_dogscats
from dogscats_course.drawing.scenes import _SCENES
from dogscats_course.familiarity import UNLIKE, _balanced, _lowest, split_familiarity
from dogscats_course.frozen import split_features
from dogscats_course.learner import vgg_learner
from dogscats_course.predict import predict_files
from dogscats_course.report import _cards
from dogscats_course.score import mistake_views
from dogscats_course.share import load_classifier, save_classifier
from dogscats_course.train import train_classifier
from dogscats_course.vgg16 import Vgg16

def noise(seed=0, size=224): return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8))

@pytest.fixture(scope='module')
def pets(tmp_path_factory):
    "60 training and 100 validation pictures of the course's size; read only"
    return draw_dogscats(tmp_path_factory.mktemp('familiarity')/'pets', train=30, valid=50, test=20)

@pytest.fixture(scope='module')
def strangers(tmp_path_factory):
    "Ten scenes without an animal, and ten pictures of noise"
    folder = tmp_path_factory.mktemp('strangers')
    for i in range(10):
        _SCENES[i](np.random.default_rng(i), 224).save(folder/f'scene{i}.png')
        noise(i, (224, 32)[i % 2]).save(folder/f'noise{i}.png')
    return folder

@pytest.fixture(scope='module')
def trained(pets):
    set_seed(42)
    learn = vgg_learner(make_dls(pets, bs=16), weights='bundled')
    learn.fit_head(10)
    return learn

@pytest.fixture(scope='module')
def saved(trained, tmp_path_factory): return save_classifier(trained, tmp_path_factory.mktemp('familiarity')/'model')

def small_learner(dls): return vgg_learner(dls, arch=torchvision.models.squeezenet1_1, weights=None)

@pytest.fixture(scope='module')
def small(pets, tmp_path_factory):
    "A classifier of 3 MB"
    learn = small_learner(make_dls(pets, size=64, bs=16))
    return learn, save_classifier(learn, tmp_path_factory.mktemp('familiarity')/'small')

def config(folder, **change):
    file = folder/'config.json'
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))

# --- what is recognised ---

def test_scenes_and_noise_are_recognised_and_cats_and_dogs_are_not_suspected(trained, pets, strangers):
    odd, fine = predict_files(trained, strangers), predict_files(trained, pets/'test1')
    assert odd.columns.tolist() == ['file', 'label', 'cats', 'dogs', 'familiarity', 'warning', 'error']
    assert (odd.warning == UNLIKE).sum() >= 18 and (fine.warning == UNLIKE).sum() <= 3 and set(odd.warning) | set(fine.warning) <= {'', UNLIKE}
    assert odd.familiarity.max() < fine.familiarity.median() and fine.familiarity.between(0, 1).all()
    assert (odd[['cats', 'dogs']].max(axis=1) > 0.9).any(), 'of some of them it is sure, all the same'

def test_two_of_a_hundred_validation_photos_lie_below_the_threshold(trained):
    values = split_familiarity(trained)
    assert len(values) == 100 and (values < trained.familiarity.threshold).sum() == 2
    rows, k = trained.familiarity.rows, trained.familiarity.k
    assert (rows.shape, rows.dtype, k) == ((60, 1024), torch.int8, 5)

def test_the_same_alone_and_among_many(trained, strangers, tmp_path):
    many = predict_files(trained, strangers)
    for i in (0, 7, 19):
        alone = predict_files(trained, many.file[i]).iloc[0]
        assert alone.familiarity == pytest.approx(many.familiarity[i], abs=1e-3) and alone.warning == many.warning[i]

def test_bad_files_have_none(trained, pets, tmp_path):
    (tmp_path/'bad.jpg').write_text('no photo')
    df = predict_files(trained, [tmp_path/'bad.jpg', *(pets/'test1').iterdir()][:3])
    assert np.isnan(df.familiarity[0]) and df.warning[0] == '' and df.error[0] and df.familiarity[1:].notna().all()

def test_classes_that_are_called_like_columns(pets, tmp_path):
    for split in ('train', 'valid'):
        for c, name in (('cats', 'familiarity'), ('dogs', 'warning')): shutil.copytree(pets/split/c, tmp_path/split/name)
    learn = small_learner(make_dls(tmp_path, size=64, bs=16, limit=10))
    assert predict_files(learn, pets/'test1').columns.tolist() == ['file', 'label', 'familiarity_probability', 'warning_probability', 'familiarity', 'warning', 'error']

def test_real_photos(photos, strangers, tmp_path):
    "The threshold is of some validation photos, and holds for others; drawn scenes and noise are no photos of cats and dogs"
    learn = vgg_learner(make_dls(photos, limit=100), weights='bundled')
    learn.fit_head(2)
    own = set(learn.dls.valid_ds.items)
    others = [f for f in sorted((photos/'valid').rglob('*.jpg')) if f not in own][::4][:150]
    assert (predict_files(learn, others).warning == UNLIKE).mean() < 0.06
    assert (predict_files(learn, strangers).warning == UNLIKE).all()

# --- its parts ---

def test_rows_are_taken_evenly_from_the_classes():
    labels = [2]*1000 + [0]*1000 + [1]*20
    idxs = _balanced(labels)
    assert len(set(idxs)) == 300 and np.bincount([labels[i] for i in idxs]).tolist() == [140, 20, 140]
    assert idxs == _balanced(labels) != list(range(300)) and _balanced([0, 1, 1]) == [0, 1, 2]
    assert np.bincount([i % 1000 for i in _balanced([i % 1000 for i in range(3000)])]).max() == 1

@pytest.mark.parametrize('n', [5, 16, 40, 99, 100, 1000])
def test_of_few_photos_too_about_two_percent_of_others_lie_below(n):
    below = [(torch.randn(1000, generator=g) < _lowest(torch.randn(n, generator=g))).float().mean() for g in [torch.manual_seed(0)] for _ in range(300)]
    assert 0.015 < np.mean(below) < 0.03

def test_a_photo_is_not_its_own_neighbour(pets, tmp_path):
    data = shutil.copytree(pets, tmp_path/'pets')
    noise().save(data/'train/cats/noise.png')
    _SCENES[5](np.random.default_rng(0), 224).save(data/'train/dogs/meadow.png')
    learn = vgg_learner(make_dls(data, bs=16), weights='bundled')
    learn.fit_head(2)
    df = least_familiar(learn, 5)
    assert {f.name for f in df.file[:2]} == {'noise.png', 'meadow.png'} and (df.warning[:2] == UNLIKE).all()
    assert dict(zip([f.name for f in df.file[:2]], df.label[:2])) == {'noise.png': 'cats', 'meadow.png': 'dogs'} and df.familiarity.is_monotonic_increasing
    x, known = split_features(learn, 0)[0][:], learn.familiarity
    wanted = [known._replace(rows=known.rows[[j for j in range(62) if j != i]]).of(x[i:i+1]).item() for i in range(62)]
    assert split_familiarity(learn, 0).tolist() == pytest.approx(wanted)
    assert len(least_familiar(learn, None, ds_idx=1)) == 100

# --- Learners that have none, or another ---

@pytest.mark.parametrize('train, valid', [(9, 50), (30, 4), (30, 0), (0, 0)])
def test_with_too_few_photos_there_is_none(pets, tmp_path, train, valid):
    train, valid = (sorted((pets/split).rglob('*.jpg'))[:n] for split, n in (('train', train), ('valid', valid)))
    dls = photo_dls(train, valid, ['cats', 'dogs'], bs=4, size=64) if train else make_dls(pets, bs=4, size=64).new_empty()
    learn = small_learner(dls)
    assert learn.familiarity is None and split_familiarity(learn) is None
    df = predict_files(learn, pets/'test1')
    assert df.familiarity.isna().all() and (df.warning == '').all()
    folder = save_classifier(learn, tmp_path/'model')
    assert json.loads((folder/'config.json').read_text())['familiarity'] is None and load_classifier(folder).familiarity is None
    with pytest.raises(ValueError, match='There is no familiarity: it takes 10 training photos'): least_familiar(learn)

def test_few_photos_are_enough(drawn, strangers):
    "24 training photos, of which the fourth nearest counts, and 16 validation photos"
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled')
    assert len(learn.familiarity.rows) == 24 and learn.familiarity.k == 4
    assert (predict_files(learn, sorted(strangers.glob('noise*'))).warning == UNLIKE).all()
    assert list(mistake_views(learn))[-1] == f'{UNLIKE} (0 of 16)'

def test_a_head_that_cannot_be_cut_has_none(pets):
    learn = vgg_learner(make_dls(pets, size=64, bs=16), weights=None, custom_head=torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Conv2d(512, 2, 1)))
    assert learn.familiarity is None

def test_photos_that_have_gone_since(pets, tmp_path):
    learn = small_learner(make_dls(shutil.copytree(pets, tmp_path/'pets'), size=64, bs=16))
    shutil.rmtree(tmp_path/'pets')
    assert learn.familiarity is None and predict_files(learn, pets/'test1').familiarity.isna().all()
    assert load_classifier(save_classifier(learn, tmp_path/'model')).familiarity is None, 'the model is saved all the same'

def test_a_body_that_diverged(learn, tmp_path):
    with torch.no_grad(): learn.model[0][0][0].weight.fill_(float('nan'))
    assert learn.familiarity is None and save_classifier(learn, tmp_path/'model')

def test_a_trained_body_makes_other_rows(learn, drawn, tmp_path):
    before = learn.familiarity
    assert learn.familiarity is before, 'nothing is computed twice'
    learn.fit_head(1)
    assert learn.familiarity is before, 'the head does not matter'
    loaded = load_classifier(save_classifier(learn, tmp_path/'model'))
    for l in (learn, loaded):
        with torch.no_grad(): l.model[0][0][40].weight.mul_(1.5)
    assert not torch.equal(learn.familiarity.rows, before.rows) and loaded.familiarity is None
    again = load_classifier(save_classifier(learn, tmp_path/'again'))
    assert predict_files(again, drawn/'valid').equals(predict_files(learn, drawn/'valid'))

def test_nothing_random_depends_on_it(learn):
    torch.manual_seed(1)
    learn.familiarity
    a = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(a, torch.rand(3))

def test_three_classes_of_another_architecture(pets, tmp_path):
    for split, n in (('train', 10), ('valid', 5)):
        for c, files in (('cats', pets/split/'cats'), ('dogs', pets/split/'dogs')): shutil.copytree(files, tmp_path/'d'/split/c)
        (tmp_path/'d'/split/'noise').mkdir()
        for i in range(n): noise(100*n + i).save(tmp_path/f'd/{split}/noise/{i}.png')
    learn = vgg_learner(make_dls(tmp_path/'d', bs=16, size=64), arch=torchvision.models.resnet18, weights=None)
    learn.fit_head(1)
    folder = save_classifier(learn, tmp_path/'model')
    loaded = load_classifier(folder)
    assert learn.familiarity.rows.shape == (70, 1024) and torch.equal(loaded.familiarity.rows, learn.familiarity.rows)
    assert predict_files(loaded, pets/'test1').equals(predict_files(learn, pets/'test1')) and predict_files(loaded, pets/'test1').familiarity.notna().all()

def test_photos_of_a_table(pets):
    files = [f.relative_to(pets).as_posix() for f in sorted(pets.glob('*/*/*.jpg'))]
    df = pd.DataFrame(dict(name=files, label=[f.split('/')[1] for f in files], is_valid=[f.startswith('valid') for f in files]))
    dls = ImageDataLoaders.from_df(df, pets, valid_col='is_valid', bs=16, num_workers=0, item_tfms=Resize(64, method='squish'))
    learn = small_learner(dls)
    assert len(learn.familiarity.rows) == 60 and len(least_familiar(learn, 3)) == 3

# --- saved and loaded ---

def test_a_saved_classifier_keeps_it(trained, saved, strangers):
    loaded, c = load_classifier(saved), json.loads((saved/'config.json').read_text())
    assert c['format'] == 2 and c['familiarity'] == dict(rows=60, k=5, threshold=trained.familiarity.threshold)
    assert torch.equal(loaded.familiarity.rows, trained.familiarity.rows) and loaded.familiarity[1:] == trained.familiarity[1:]
    assert predict_files(loaded, strangers).equals(predict_files(trained, strangers))
    tensors = load_file(saved/'model.safetensors')
    assert tensors['familiarity.rows'].nbytes == 60*1024

def test_saved_again_it_is_the_same(small, tmp_path):
    loaded = load_classifier(small[1])
    again = load_classifier(save_classifier(loaded, tmp_path/'again'))
    assert torch.equal(again.familiarity.rows, loaded.familiarity.rows) and again.familiarity[1:] == loaded.familiarity[1:]

def test_it_can_be_left_out(small, pets, tmp_path):
    folder = save_classifier(small[0], tmp_path/'model', familiarity=False)
    assert 'familiarity.rows' not in load_file(folder/'model.safetensors') and predict_files(load_classifier(folder), pets/'test1').familiarity.isna().all()

def format_1(folder):
    "Make the folder one of the first format, which knew nothing of familiarity"
    c, tensors = json.loads((folder/'config.json').read_text()), load_file(folder/'model.safetensors')
    del c['familiarity'], tensors['familiarity.rows']
    (folder/'config.json').write_text(json.dumps({**c, 'format': 1}))
    save_file(tensors, folder/'model.safetensors')
    return folder

def test_an_older_classifier_loads(small, pets, tmp_path):
    loaded = load_classifier(format_1(shutil.copytree(small[1], tmp_path/'model')))
    a, b = predict_files(loaded, pets/'test1'), predict_files(small[0], pets/'test1')
    assert loaded.familiarity is None and a.familiarity.isna().all() and a[['file', 'label', 'cats', 'dogs', 'error']].equals(b[['file', 'label', 'cats', 'dogs', 'error']])
    config(tmp_path/'model', familiarity='whatever')
    assert load_classifier(tmp_path/'model').familiarity is None, 'a field that this format does not have'

def rows(change):
    def damage(folder):
        tensors = load_file(folder/'model.safetensors')
        tensors = {**tensors, 'familiarity.rows': change(tensors['familiarity.rows'])}
        save_file({k: v for k, v in tensors.items() if v is not None}, folder/'model.safetensors')
    return damage

def described(**change): return lambda folder: config(folder, familiarity={**dict(rows=60, k=5, threshold=.5), **change})

@pytest.mark.parametrize('damage, words', [
    (rows(lambda r: None), 'familiarity.rows is missing'), (rows(lambda r: r[:, :512].contiguous()), 'must be int8 60×1024, not int8 60×512'),
    (rows(lambda r: r.float()), 'not float32'), (rows(lambda r: r[:10].contiguous()), 'not int8 10×1024'),
    (lambda folder: config(folder, familiarity=None), 'familiarity.rows does not belong there'), (lambda folder: config(folder, format=1), 'does not belong there'),
    (described(k=61), "'familiarity' is malformed"), (described(k=0), 'malformed'), (described(rows=10**9), 'malformed'), (described(rows=61), 'must be int8 61×1024'),
    (described(threshold=float('nan')), 'malformed'), (described(threshold=10**400), 'malformed'), (described(threshold='0.5'), 'malformed'), (described(k=True), 'malformed')])
def test_damage(small, tmp_path, damage, words):
    folder = shutil.copytree(small[1], tmp_path/'model')
    damage(folder)
    with pytest.raises(ValueError, match=words) as e: load_classifier(folder)
    assert str(folder) in str(e.value) and '\n' not in str(e.value)

def test_rows_of_nothing_do_no_harm(small, pets, tmp_path):
    folder = shutil.copytree(small[1], tmp_path/'model')
    rows(torch.zeros_like)(folder)
    df = predict_files(load_classifier(folder), pets/'test1')
    assert (df.familiarity == 0).all() and (df.warning == UNLIKE).all()

def test_vgg16_keeps_it(pets, strangers, tmp_path):
    vgg = Vgg16(weights='bundled')
    batches, val_batches = (vgg.get_batches(pets/split, batch_size=16) for split in ('train', 'valid'))
    vgg.finetune(batches)
    vgg.fit(batches, val_batches, nb_epoch=1)
    loaded = Vgg16.load(vgg.save(tmp_path/'model'))
    assert torch.equal(loaded.learn.familiarity.rows, vgg.learn.familiarity.rows)
    loaded.fit(*(loaded.get_batches(pets/'train', batch_size=16) for _ in range(2)))
    assert loaded.learn.familiarity.threshold != vgg.learn.familiarity.threshold, 'once it has photos, it is of these'

# --- where it is told ---

@pytest.fixture(scope='module')
def run(pets, tmp_path_factory):
    "A run whose validation photos have a stranger among them"
    data = shutil.copytree(pets, tmp_path_factory.mktemp('familiarity')/'pets')
    noise().save(data/'valid/cats/stranger.png')
    return train_classifier(data, epochs=1, fine_tune=0, bs=16, out=data.parent/'run'), data.parent/'run'

def test_the_command_line(run, pets, strangers, tmp_path, capsys):
    _, folder = run
    assert main(['predict', str(folder/'model'), str(strangers), str(pets/'test1')]) == 0
    head, *lines = capsys.readouterr().out.strip().split('\n')
    assert head.split() == ['file', 'label', 'cats', 'dogs', 'warning'] and 18 <= sum(UNLIKE in line for line in lines) <= 23
    assert main(['predict', str(folder/'model'), str(pets/'test1/1.jpg')]) == 0
    assert capsys.readouterr().out.split('\n')[0].split() == ['file', 'label', 'cats', 'dogs'], 'without warnings there is no such column'
    assert main(['predict', str(folder/'model'), str(strangers), '--csv', str(tmp_path/'p.csv')]) == 0
    df = pd.read_csv(tmp_path/'p.csv')
    assert df.columns.tolist() == ['file', 'label', 'cats', 'dogs', 'familiarity', 'warning', 'error'] and f'; {(df.warning == UNLIKE).sum()} of them {UNLIKE}.' in capsys.readouterr().out

def test_the_report_shows_them(run):
    learn, folder = run
    page = (folder/'report.html').read_text(encoding='utf-8')
    n = int((split_familiarity(learn) < learn.familiarity.threshold).sum())
    assert 1 <= n <= 3 and f'<h3>{UNLIKE} ({n} of 101)</h3>' in page and 'valid/cats/stranger.png' in page.partition(UNLIKE)[2]
    strange, *_ = mistake_views(learn)[f'{UNLIKE} ({n} of 101)']
    card, = _cards(learn, learn.dls.path, [strange])
    assert card['file'] == 'valid/cats/stranger.png' and card['src'].startswith('data:image/jpeg')

def test_the_app_warns(saved, pets, strangers, monkeypatch):
    gr = pytest.importorskip('gradio')
    from dogscats_course.publish import _photo_probs
    said, loaded = [], load_classifier(saved)
    monkeypatch.setattr(gr, 'Warning', lambda text, **kwargs: said.append(text))
    assert list(_photo_probs(loaded, strangers/'noise0.png')) == ['cats', 'dogs'] and UNLIKE in said[0]
    _photo_probs(loaded, pets/'train/cats/cat.0.jpg')
    assert len(said) == 1
