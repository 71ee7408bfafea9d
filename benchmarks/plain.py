"One measurement of plain fastai. It imports none of the package."
import torch
from fastai.vision.all import *
from torchvision.models import vgg16_bn

from common import rate, report

def learner(a):
    "What a user of fastai writes, with the weights of a file in the body"
    dls = ImageDataLoaders.from_folder(a['path'], valid='valid', item_tfms=Resize(224, method='squish'), batch_tfms=Normalize.from_stats(*imagenet_stats), bs=a['bs'], seed=a['seed'])
    learn = vision_learner(dls, vgg16_bn, pretrained=False, metrics=accuracy)
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

if __name__ == '__main__': report(dict(train=train, predict=predict))
