"One measurement of this project."
from dogscats_course.all import *

from common import rate, report

def learner(a): return vgg_learner(make_dls(a['path'], bs=a['bs'], seed=a['seed']), weights=a['weights'])

def train(a):
    learn = learner(a)
    learn.fit_head(5)
    return dict(accuracy=learn.recorder.values[-1][-1])

def predict(a):
    learn = learner(a)
    return rate(lambda files: predict_files(learn, files), get_image_files(a['path']))

if __name__ == '__main__': report(dict(train=train, predict=predict))
