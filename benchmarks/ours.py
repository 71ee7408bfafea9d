"One measurement of this package, in its own process."
from functools import partial

from dogscats_course import body
from dogscats_course.all import *

from common import rate, report, timed

def learner(a): return vgg_learner(make_dls(a['path'], bs=a['bs'], seed=a['seed']), weights=a['weights'])

def train(a):
    learn = learner(a)
    learn.fit_head(5)
    return dict(accuracy=learn.recorder.values[-1][-1])

def fine_tune(a):
    learn = learner(a)
    learn.fine_tune(1)
    return dict(accuracy=learn.recorder.values[-1][-1])

def predict(a):
    learn = learner(a)
    return rate(lambda files: predict_files(learn, files), get_image_files(a['path']))

def last_block(a):
    learn = learner(a)
    learn.freeze_to(-2)
    def epoch(): learn.fit_one_cycle(1, slice(1e-5, 1e-3))
    return dict(first=timed(epoch), later=timed(epoch))

def unfrozen(a):
    learn = learner(a)
    learn.unfreeze()
    learn.fit_one_cycle(1, slice(1e-5, 1e-3))
    return dict(accuracy=learn.recorder.values[-1][-1])

def block(a):
    learn = learner(a)
    learn.fit_head(5)
    learn.freeze_to(-2)
    learn.fit_one_cycle(3, slice(1e-5, 1e-4))
    return dict(accuracy=learn.recorder.values[-1][-1])

def decode(a):
    """Return photos per second from disk to features, of body and opening alone, and the part of the bound reached

    The bound: on a CPU, body and opening share the cores, and their times add up; on a GPU, the slower one decides."""
    learn = learner(a)
    files = get_image_files(a['path'])
    dl = learn.dls.test_dl(files)
    n, cpu = len(files), learn.dls.device.type == 'cpu'
    learn.remove_cb(ProgressCallback)
    next(iter_features(learn, dl))  # prepares the body: int8's scales are measured here
    with torch.no_grad(), held_memory():
        fast, _ = cached_body(learn, dl)
        x = torch.rand(16 if cpu else max(dl.bs, 64), 3, 224, 224, device=learn.dls.device)
        x = x.contiguous(memory_format=torch.channels_last)
        sync = (lambda: None) if cpu else torch.cuda.synchronize
        def forward():
            for _ in range(n//len(x) + 1): fast(x)
            sync()
        body_s = timed(forward)/(n//len(x) + 1)/len(x)
    open_dl = dl.new(bs=16)
    if cpu: open_dl.create_batches = partial(body._in_threads, open_dl)
    open_s = timed(lambda: [b for b in open_dl])/n
    all_s = timed(lambda: [x for x, _ in iter_features(learn, dl)])/n
    bound = body_s + open_s if cpu else max(body_s, open_s)
    return dict(photos_a_second=1/all_s, body=1/body_s, opening=1/open_s, part=bound/all_s)

jobs = dict(train=train, fine_tune=fine_tune, predict=predict, last_block=last_block, unfrozen=unfrozen,
            head=train, block=block, decode=decode)

if __name__ == '__main__': report(jobs)
