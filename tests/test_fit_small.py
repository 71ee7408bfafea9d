"A few photos, and batches of one: refused before the work, or trained on."
import pytest
from fastai.vision.all import DataLoaders

from dogscats_course.data import make_dls
from dogscats_course.frozen import check_batches
from dogscats_course.learner import vgg_learner

@pytest.fixture
def learner(drawn):
    "A function that returns a Learner of `n` training photos in batches of `bs`"
    dls = make_dls(drawn, size=32, bs=8)
    def make(n, bs, drop_last, **kwargs):
        files = list(dls.train_ds.items)[:n]
        train = dls.test_dl(files, with_labels=True, bs=bs, shuffle=True, drop_last=drop_last)
        valid = dls.test_dl(list(dls.valid_ds.items)[:2], with_labels=True, bs=2)
        return vgg_learner(DataLoaders(train, valid), weights='bundled', **kwargs)
    return make

sizes = [(n, bs, drop_last) for n in (1, 2, 3) for bs in sorted({1, 2, n, 8}) for drop_last in (False, True)]

def refusal(n, bs, drop_last):
    "The words with which a training of `n` photos is refused, or None"
    if n < 2: return 'There must be at least 2 training photos, not 1'
    if bs < 2: return 'bs must be at least 2, not 1'
    if drop_last and n < bs: return f'{n} training photos are fewer than a batch of {bs}'

@pytest.mark.parametrize('n, bs, drop_last', sizes)
@pytest.mark.parametrize('way', ['rows', 'photos'])
def test_fine_tune(learner, way, n, bs, drop_last, monkeypatch):
    learn = learner(n, bs, drop_last)
    train = (lambda: learn.fit(1)) if way == 'rows' else (lambda: learn.fine_tune(1, freeze_epochs=0))
    if words := refusal(n, bs, drop_last):
        monkeypatch.setattr('dogscats_course.photos._read', None)  # before a photo is opened
        with pytest.raises(ValueError, match=words): train()
    else:
        before = [p.detach().clone() for p in learn.model[1].parameters()]
        train()
        assert any((a != b).any() for a, b in zip(before, learn.model[1].parameters())), 'it was trained'
        assert len(learn.history) == 1 and learn.history.valid_loss.notna().all()

@pytest.mark.parametrize('n, bs', [(1, 1), (1, 8), (2, 1), (2, 8), (3, 2), (5, 4)])
def test_fit_head(learner, n, bs):
    learn = learner(n, bs, True)
    if n < 2:
        with pytest.raises(ValueError, match='a single photo'): learn.fit_head(1)
    else:
        learn.fit_head(1)
        assert len(learn.history) == 1 and learn.history.train_loss.notna().all(), 'in batches of its own'

def test_a_head_without_batchnorm_needs_no_second_photo(learner):
    learn = learner(1, 1, False, bn_final=False)
    with pytest.raises(ValueError): check_batches(learn)
    learn.model[1] = type(learn.model[1])(*[l for l in learn.model[1] if not type(l).__name__.startswith('BatchNorm')])
    check_batches(learn)
