"What only a GPU can show: mixed precision, memory that is really full, and features as fast as the card computes them."
import time

import pytest
import torch

from dogscats_course.body import iter_features
from dogscats_course.data import make_dls
from dogscats_course.learner import vgg_learner
from dogscats_course.predict import predict_files
from dogscats_course.train import train_classifier

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no CUDA GPU here')

@pytest.fixture
def little_memory():
    "Let PyTorch have so little of the card's memory that a large batch does not fit"
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1., 1.5*2**30/total))
    yield
    torch.cuda.set_per_process_memory_fraction(1.)
    torch.cuda.empty_cache()

def test_fine_tune_in_mixed_precision(drawn):
    learn = vgg_learner(make_dls(drawn, bs=8, size=64), weights='bundled')
    learn.fine_tune(2)
    assert next(learn.model.parameters()).is_cuda and hasattr(learn, 'mixed_precision')
    assert len(learn.history) == 3 and learn.history.train_loss.notna().all()
    assert {p.dtype for p in learn.model.parameters()} == {torch.float32}, 'the weights themselves stay in float32'

def test_memory_that_is_really_full_suggests_a_batch_size(drawn, little_memory):
    with pytest.raises(ValueError, match=r'photos at once: try bs=\d+'):
        train_classifier(drawn, epochs=1, size=448, bs=24, fine_tune=1)

def test_features_fit_whatever_the_memory(drawn, little_memory):
    learn = vgg_learner(make_dls(drawn, bs=24, size=448), weights='bundled')
    learn.fit_head(1)
    assert len(learn.history) == 1, 'batches that do not fit are computed in parts'

def test_last_block(drawn):
    learn = train_classifier(drawn, epochs=1, last_block=1, size=64, bs=8)
    assert learn.history.fit.tolist() == [1, 2]

def test_answers_are_those_of_the_cpu(drawn):
    learn = train_classifier(drawn, epochs=1, fine_tune=0, size=64, bs=8)
    on_gpu = predict_files(learn, drawn/'valid')[['cats', 'dogs']].to_numpy()
    learn.dls.to('cpu')
    learn.model.cpu()
    assert predict_files(learn, drawn/'valid')[['cats', 'dogs']].to_numpy() == pytest.approx(on_gpu, abs=0.02)

def test_photos_a_second(drawn, record_property):
    "The rate is recorded, and no bound is asserted: cards differ"
    learn = vgg_learner(make_dls(drawn, bs=64), weights='bundled')
    dl = learn.dls.test_dl(list(learn.dls.train_ds.items)*20)
    next(iter_features(learn, dl))
    start = time.perf_counter()
    n = sum(len(x) for x, _ in iter_features(learn, dl))
    torch.cuda.synchronize()
    rate = n/(time.perf_counter() - start)
    record_property('photos_per_second', rate)
    print(f'{rate:.0f} photos per second from disk to features')
