"One measurement of this project."
import json, resource, sys, time

from dogscats_course.all import *

def learner(a): return vgg_learner(make_dls(a['path'], bs=a['bs'], seed=a['seed']), weights=a['weights'])

def train(a):
    learn = learner(a)
    learn.fit_head(5)
    return dict(accuracy=learn.recorder.values[-1][-1])

def predict(a):
    learn = learner(a)
    files = get_image_files(a['path'])
    start = time.perf_counter()
    predict_files(learn, files)
    return dict(photos_a_second=len(files)/(time.perf_counter() - start))

if __name__ == '__main__':
    a = json.loads(sys.argv[1])
    set_seed(a['seed'])
    start = time.perf_counter()
    result = globals()[a['job']](a)
    seconds = time.perf_counter() - start
    print('\n' + json.dumps(dict(seconds=round(seconds, 2), peak_gb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1e6, 2), **{k: round(v, 4) for k, v in result.items()})))
