"Mirror images: their rows are computed once, and drawn at random."
import pytest
import torch
from fastai.vision.all import Flip, aug_transforms
from PIL import Image, ImageOps

from dogscats_course import last_block  # gives Learners their `fit_last_block`
from dogscats_course.data import make_dls
from dogscats_course.estimate import last_block_seconds
from dogscats_course.features import cached_features, flip_chance, has_room, new_photos, rows_bytes
from dogscats_course.frozen import _why_photos, prepare_rows, split_features, training_rows
from dogscats_course.learner import vgg_learner

def learner(path, *batch_tfms):
    learn = vgg_learner(make_dls(path, size=64, bs=8), weights='bundled')
    learn.dls.add_tfms(batch_tfms, 'after_batch', loaders=0)
    return learn

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
    assert (split_features(learner(drawn))[0][:] == split_features(learner(drawn, Flip(p=1.)))[0][:]).all()

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
    monkeypatch.setattr('dogscats_course.estimate._seconds_per_photo', lambda *args: 1)
    seconds = last_block_seconds(learn, 1)
    learn.dls.add_tfms([Flip()], 'after_batch', loaders=0)
    both = rows_bytes(learn, 34)
    assert both/alone == (2*24 + 16)/(24 + 16) and last_block_seconds(learn, 1) == seconds + 24
    assert has_room(learn, 34)
    monkeypatch.setattr('dogscats_course.cache._cache_bytes', both - 1)
    assert not has_room(learn, 34)
