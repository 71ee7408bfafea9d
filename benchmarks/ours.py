"One measurement of this package, in its own process."
from contextlib import contextmanager
from functools import partial

from dogscats_course import body
from dogscats_course.all import *
from dogscats_course.body import dtype_for

from common import rate, report, timed
from roofline import best, matrix

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
    learn.familiarity  # of all its photos, once: a saved classifier brings it along
    return rate(lambda files: predict_files(learn, files), get_image_files(a['path']))

def last_block(a):
    learn = learner(a)
    learn.freeze_to(-2)
    def epoch(): learn.fit_one_cycle(1, slice(1e-5, 1e-3))
    first, later = timed(epoch), timed(epoch)
    # a training photo: three convolutions forward, three gradients of weights, two of inputs; a validation photo: three
    n, n_valid = len(learn.dls.train_ds), len(learn.dls.valid_ds)
    flops = (8*n + 3*n_valid)*2*512*512*9*14**2
    device = learn.dls.device
    seconds, _ = best(matrix('bfloat16' if has_bfloat16(device) else 'float32', device), 3)
    return dict(first=first, later=later, photos_a_second=n/later, part_of_peak=flops/later/(2*2048**3/seconds))

def start(a):
    "Return the seconds from a folder to `ImageDataLoaders`, and from these to the first features (or all, if kept)"
    dls = {}
    listed = timed(lambda: dls.update(made=make_dls(a['path'], bs=a['bs'], seed=a['seed'])))
    learn = vgg_learner(dls['made'], weights=a['weights'])
    files = list(learn.dls.train_ds.items)
    found = timed(lambda: cached_features(learn, files[:a['bs']], training=True)) if a['first'] else 0
    looked_up = timed(lambda: new_photos(learn, files, training=True))
    return dict(listed=listed, first_features=found, looked_up=looked_up)

def unfrozen(a):
    learn = learner(a)
    learn.unfreeze()
    learn.fit_one_cycle(1, slice(1e-5, 1e-3))
    return dict(accuracy=learn.recorder.values[-1][-1])

def block(a):
    learn = learner(a)
    learn.fit_head(5)
    learn.fit_last_block(3)
    return dict(accuracy=learn.recorder.values[-1][-1])

class LastEpochOnly(Callback):
    "Validate after the last epoch only: here the others are no more than time"
    order = 1
    def before_validate(self):
        if self.epoch < self.n_epoch - 1: raise CancelValidException

@contextmanager
def flipping(learn, on):
    "Mirror every other training photo at random for a block of code"
    pipeline = learn.dls.train.after_batch
    own = pipeline.fs
    if on: pipeline.fs = (own + [Flip()]).sorted(key='order')
    try: yield
    finally: pipeline.fs = own

def rates(a):
    "Return the accuracy of a head, and of the last block trained from there with several learning rates and epochs"
    learn = learner(a)
    learn.remove_cb(ProgressCallback)
    with flipping(learn, any(flip for *_, flip in a['settings'])): prepare_rows(learn)
    learn.fit_head(5)
    found = dict(head=learn.recorder.values[-1][-1])
    start = {k: v.clone() for k, v in learn.model.state_dict().items()}
    for epochs, lr, flip in a['settings']:
        learn.model.load_state_dict(start)
        learn.opt = None
        with flipping(learn, flip): learn.fit_last_block(epochs, lr, cbs=LastEpochOnly())
        found[f"{epochs} epochs, {lr:g}{', Flip' if flip else ''}"] = learn.recorder.values[-1][-1]
    return found

def full(a):
    "Return the seconds, accuracy and log-loss of each stage, and the gigabytes that it leaves in the cache"
    learn = learner(a)
    def stage(name, train):
        seconds = timed(train)
        _, loss, accuracy = learn.recorder.values[-1]
        cached = cache_table().megabytes.sum()/1000
        return {f'{name}_{k}': v for k, v in dict(seconds=seconds, accuracy=accuracy, log_loss=loss, cache_gb=cached).items()}
    return stage('head', lambda: learn.fit_head(5)) | stage('last_block', lambda: learn.fit_last_block(3))

def decode(a):
    """Return photos per second from disk to features, of body and opening alone, and the part of the bound reached

    The bound: on a CPU, body and opening share the cores, and their times add up; on a GPU, the slower one decides."""
    learn = learner(a)
    files = get_image_files(a['path'])
    dl = learn.dls.test_dl(files)
    n, cpu = len(files), learn.dls.device.type == 'cpu'
    dtype = dtype_for(learn, n)
    learn.remove_cb(ProgressCallback)
    next(iter_features(learn, dl, dtype))  # prepares the body: int8's scales are measured here
    with torch.no_grad(), held_memory():
        fast, _ = cached_body(learn, dl, dtype)
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
    all_s = timed(lambda: [x for x, _ in iter_features(learn, dl, dtype)])/n
    bound = body_s + open_s if cpu else max(body_s, open_s)
    return dict(photos_a_second=1/all_s, body=1/body_s, opening=1/open_s, part=bound/all_s)

jobs = dict(train=train, fine_tune=fine_tune, predict=predict, last_block=last_block, start=start, unfrozen=unfrozen,
            head=train, block=block, decode=decode, full=full, rates=rates)

if __name__ == '__main__': report(jobs)
