"One measurement of plain fastai. It imports none of the package."
import torch
from fastai.vision.all import *
from torchvision.models import vgg16_bn

from common import rate, report, timed

def learner(a, **kwargs):
    "What a user of fastai writes, with the weights of a file in the body"
    dls = ImageDataLoaders.from_folder(a['path'], valid='valid', item_tfms=Resize(224, method='squish'), batch_tfms=Normalize.from_stats(*imagenet_stats), bs=a['bs'], seed=a['seed'])
    learn = vision_learner(dls, vgg16_bn, pretrained=False, metrics=accuracy, **kwargs)
    learn.model[0].load_state_dict({k.replace('features', '0', 1): v for k, v in torch.load(a['weights']).items()}, strict=False)
    learn.freeze()
    return learn.to_fp16() if torch.cuda.is_available() else learn

def train(a):
    learn = learner(a)
    learn.fine_tune(1)
    return dict(accuracy=learn.recorder.values[-1][-1])

def predict(a):
    learn = learner(a)
    return rate(lambda files: learn.get_preds(dl=learn.dls.test_dl(files, bs=a['bs'])), get_image_files(a['path']))

def vgg_blocks(m): return L(m[0][0][:34], m[0][0][34:], m[1:]).map(params)  # fastai's own split would train two blocks

def last_block(a):
    learn = learner(a, splitter=vgg_blocks)
    learn.freeze_to(-2)
    return dict(first=timed(lambda: learn.fit_one_cycle(1, slice(1e-5, 1e-3))), later=timed(lambda: learn.fit_one_cycle(1, slice(1e-5, 1e-3))))

def unfrozen(a):
    learn = learner(a)
    learn.unfreeze()
    learn.fit_one_cycle(1, slice(1e-5, 1e-3))
    return dict(accuracy=learn.recorder.values[-1][-1])

if __name__ == '__main__': report(dict(train=train, predict=predict, last_block=last_block, unfrozen=unfrozen))
