"One measurement of plain fastai, in its own process; nothing of the package is imported."
import torch
from fastai.vision.all import *
from torchvision.models import vgg16_bn

from common import rate, report, timed

def learner(a, **kwargs):
    "Make a Learner as a user of fastai would, with the weights of a file in its body"
    normalize = Normalize.from_stats(*imagenet_stats)
    dls = ImageDataLoaders.from_folder(a['path'], valid='valid', item_tfms=Resize(224, method='squish'),
                                       batch_tfms=normalize, bs=a['bs'], seed=a['seed'])
    learn = vision_learner(dls, vgg16_bn, pretrained=False, metrics=accuracy, **kwargs)
    tensors = {k.replace('features', '0', 1): v for k, v in torch.load(a['weights']).items()}
    learn.model[0].load_state_dict(tensors, strict=False)
    learn.freeze()
    return learn.to_fp16() if torch.cuda.is_available() else learn

def train(a):
    learn = learner(a)
    learn.fine_tune(1)
    return dict(accuracy=learn.recorder.values[-1][-1])

def resnet34_train(a):
    "Train what fastai's own documentation takes; without a network its weights are random, so only the time counts"
    dls = ImageDataLoaders.from_folder(a['path'], valid='valid', item_tfms=Resize(224, method='squish'), bs=a['bs'],
                                       seed=a['seed'], batch_tfms=Normalize.from_stats(*imagenet_stats))
    learn = vision_learner(dls, resnet34, pretrained=False, metrics=accuracy)
    learn.freeze()
    (learn.to_fp16() if torch.cuda.is_available() else learn).fine_tune(1)
    return {}

def predict(a):
    learn = learner(a)
    def probs(files): return learn.get_preds(dl=learn.dls.test_dl(files, bs=a['bs']))
    return rate(probs, get_image_files(a['path']))

def vgg_blocks(m):
    "Split the parameters before the last block; fastai's own splitter would train two blocks"
    return L(m[0][0][:34], m[0][0][34:], m[1:]).map(params)

def last_block(a):
    learn = learner(a, splitter=vgg_blocks)
    learn.freeze_to(-2)
    def epoch(): learn.fit_one_cycle(1, slice(1e-5, 1e-3))
    return dict(first=timed(epoch), later=timed(epoch))

def unfrozen(a):
    learn = learner(a)
    learn.unfreeze()
    learn.fit_one_cycle(1, slice(1e-5, 1e-3))
    return dict(accuracy=learn.recorder.values[-1][-1])

if __name__ == '__main__': report(dict(train=train, resnet34=resnet34_train, predict=predict, last_block=last_block, unfrozen=unfrozen))
