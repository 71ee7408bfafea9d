"Mirror images: rows of them are drawn at random, and they are left out if left and right matter."
import json, random, re

import pytest
import torch
from fastai.vision.all import Flip, aug_transforms
from PIL import Image, ImageDraw, ImageOps

from dogscats_course.cli import main
from dogscats_course.data import make_dls
from dogscats_course.features import cached_features, flip_chance, has_room, new_photos, rows_bytes
from dogscats_course.frozen import _why_photos, prepare_rows, split_features, training_rows
from dogscats_course.learner import vgg_learner
from dogscats_course.stages import Stages, best_stages, flipping, train_head
from dogscats_course.train import resume_training, train_classifier

small = dict(epochs=2, size=64, bs=8)

def learner(path, *batch_tfms):
    learn = vgg_learner(make_dls(path, size=64, bs=8), weights='bundled')
    learn.dls.add_tfms(batch_tfms, 'after_batch', loaders=0)
    return learn

@pytest.fixture(scope='session')
def arrows(tmp_path_factory):
    "Pictures of arrows to the left and to the right, of any size and anywhere"
    path, rng = tmp_path_factory.mktemp('arrows'), random.Random(0)
    for split, n in (('train', 40), ('valid', 20)):
        for side in ('left', 'right'):
            (path/split/side).mkdir(parents=True)
            for i in range(n):
                im, r = Image.new('RGB', (64, 64), rng.choice(('white', 'khaki', 'pink'))), rng.randint(10, 18)
                x, y = rng.randint(r, 64 - r), rng.randint(r, 64 - r)
                ImageDraw.Draw(im).polygon([(x - r, y), (x + r, y - r), (x + r//3, y), (x + r, y + r)], fill='black')
                (im if side == 'left' else ImageOps.mirror(im)).save(path/split/side/f'{i}.png')
    return path

def test_mirrored_features_are_those_of_a_mirrored_picture(learn, float32, tmp_path):
    file = learn.dls.train_ds.items[0]
    with Image.open(file) as im: ImageOps.mirror(im.convert('RGB')).save(tmp_path/'mirror.png')
    of_mirrored, of_photo = (cached_features(learn, [file], mirrored=m)[:] for m in (True, False))
    of_picture = cached_features(learn, [tmp_path/'mirror.png'])[:]
    similar = torch.cosine_similarity
    assert similar(of_mirrored, of_picture) > .9999 > .999 > similar(of_mirrored, of_photo)

def test_mirrored_rows_are_kept_by_themselves(learn, cache_at, tmp_path):
    cache_at(tmp_path)
    files = list(learn.dls.train_ds.items)
    cached_features(learn, files, mirrored=True, training=True)
    assert new_photos(learn, files, training=True, mirrored=True) == [] and len(new_photos(learn, files, training=True)) == len(files)

@pytest.mark.parametrize('tfms, chance, why', [([], 0, ''), ([Flip()], .5, ''), ([Flip(p=.2)], .2, ''),
    *((tfms, 0, 'a transform may change photos') for tfms in ([Flip(draw=1)], [Flip(batch=True)], [Flip(size=32)], aug_transforms()))])
def test_only_mirroring_at_random_has_rows(drawn, tfms, chance, why):
    learn = learner(drawn, *tfms)
    assert flip_chance(learn.dls.train) == chance and _why_photos(learn) == why

def test_rows_are_drawn_as_often_as_asked_for(drawn):
    always, never, often = (training_rows(learner(drawn, *tfms))[0] for tfms in ([Flip(p=1.)], [], [Flip()]))
    mirrored = split_features(learner(drawn), 0, mirrored=True)[0][:]
    assert (always[:] == mirrored).all() and not (mirrored == never[:]).all(1).any()
    share = torch.stack([(often[:] == mirrored).all(1).float() for _ in range(20)]).mean().item()
    assert .4 < share < .6 and len(often) == 24

def test_validation_photos_are_not_mirrored(drawn):
    plain, flipped = learner(drawn), learner(drawn)
    with flipping(flipped): assert (split_features(plain)[0][:] == split_features(flipped)[0][:]).all()

def test_training_with_flip_opens_each_photo_once(drawn, monkeypatch):
    learn = vgg_learner(make_dls(drawn, size=64, bs=8, batch_tfms=Flip()), weights='bundled')
    assert prepare_rows(learn)
    def opened(photo, *args): raise AssertionError(f'{photo} was opened')
    monkeypatch.setattr('dogscats_course.body._in_threads', opened)
    learn.fit_head(1)
    learn.fit_last_block(1)
    assert learn.history.fit.tolist() == [1, 2]

def test_room_and_estimates_count_mirror_images(learn, monkeypatch):
    alone = rows_bytes(learn, 34)
    with flipping(learn):
        both = rows_bytes(learn, 34)
        assert both/alone == (2*24 + 16)/(24 + 16)
        monkeypatch.setattr('dogscats_course.cache._cache_bytes', both - 1)
        assert not has_room(learn, 34)
    assert has_room(learn, 34) and flip_chance(learn.dls.train) == 0

def test_best_learns_from_mirror_images(drawn, monkeypatch, capsys):
    monkeypatch.setattr('dogscats_course.stages._least_photos', 10)
    learn = train_classifier(drawn, best=True, **small)
    said = capsys.readouterr().out
    assert 'in the cache), with mirror images.' in said
    assert learn.history.fit.tolist() == [1]*5 + [2]*3 and flip_chance(learn.dls.train) == 0

def test_mirror_images_are_left_out_if_left_and_right_matter(arrows, capsys):
    learn = learner(arrows)
    assert train_head(learn, Stages(8, last_block=1, flip=True)) == Stages(8, last_block=1)
    assert 'left and right seem to matter here, so mirror images are left out' in capsys.readouterr().out

def test_without_room_for_mirror_images_the_last_block_does_without(learn, monkeypatch):
    monkeypatch.setattr('dogscats_course.stages._least_photos', 10)
    assert best_stages(learn) == Stages(last_block=3, flip=True)
    monkeypatch.setattr('dogscats_course.cache._cache_bytes', rows_bytes(learn, 34) + 1)
    assert best_stages(learn) == Stages(last_block=3)

def test_flip_can_be_asked_for(drawn, tmp_path, capsys):
    main(['train', str(drawn), '--flip', '--last-block', '1', '--fine-tune', '0', '--epochs', '1', '--size', '64', '--bs', '8', '--out', str(tmp_path/'runs')])
    run = (tmp_path/'runs'/'latest').resolve()
    assert re.search(r'To be trained: 1 epoch of the head, then 1 epoch of the last block \(about .*\), with mirror images\.', capsys.readouterr().out)
    assert all(json.loads((run/name).read_text())['flip'] is True for name in ('settings.json', 'metrics.json'))
    report = (run/'report.html').read_text(encoding='utf-8')
    assert 'every other photo, at random' in report and '--flip' in report and '--flip True' not in report

@pytest.mark.parametrize('asked, why', [(dict(best=True), 'chooses flip itself'), (dict(fine_tune=0), 'is for what is trained after the head')])
def test_flip_alone_is_refused(drawn, asked, why):
    with pytest.raises(ValueError, match=why): train_classifier(drawn, flip=True, **asked, **small)

def test_a_stopped_run_goes_on_with_mirror_images(drawn, tmp_path, monkeypatch):
    from test_more import Stop, same
    asked = dict(flip=True, last_block=2, fine_tune=0, **small)
    whole = train_classifier(drawn, **asked)
    with monkeypatch.context() as m:
        m.setattr('dogscats_course.train.vgg_learner', lambda *args, **kwargs: vgg_learner(*args, cbs=Stop(2, 2), **kwargs))
        with pytest.raises(KeyboardInterrupt): train_classifier(drawn, out=tmp_path/'run', **asked)
    assert same(resume_training(tmp_path/'run'), whole)
