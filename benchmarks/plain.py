"One measurement of plain fastai. It imports none of our code."
import json, resource, sys, time

import torch
from fastai.vision.all import *
from torchvision.models import vgg16_bn

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
    files = get_image_files(a['path'])
    start = time.perf_counter()
    learn.get_preds(dl=learn.dls.test_dl(files, bs=a['bs']))
    return dict(photos_a_second=len(files)/(time.perf_counter() - start))

if __name__ == '__main__':
    a = json.loads(sys.argv[1])
    set_seed(a['seed'])
    start = time.perf_counter()
    result = globals()[a['job']](a)
    seconds = time.perf_counter() - start
    print('\n' + json.dumps(dict(seconds=round(seconds, 2), peak_gb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1e6, 2), **{k: round(v, 4) for k, v in result.items()})))
