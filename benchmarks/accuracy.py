"""Accuracy against the number of photos, head only and last block, over five seeds; and plain fastai at the sizes that --plain names.

Features are kept between the seeds: it is accuracy that is measured here, not time."""
import argparse, statistics, tempfile
from pathlib import Path

from common import measure, photos, save, weights

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--train', type=int, nargs='+', default=[200, 500, 1000, 2000, 4000], help='training photos')
    parser.add_argument('--valid', type=int, default=1000, help='validation photos (1000)')
    parser.add_argument('--seeds', type=int, default=5, help='runs of each (5)')
    parser.add_argument('--jobs', nargs='+', default=['head', 'block'], choices=['head', 'block', 'plain'], help="what to train; 'plain' is fastai's fine_tune(1)")
    a = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        file = weights(tmp/'weights.pth')
        for n in a.train:
            path = photos(tmp/str(n), n, a.valid)
            for job in a.jobs:
                side, what = ('plain', 'train') if job == 'plain' else ('ours', job)
                found = [measure(side, what, path=path, weights=file, bs=32, cache=tmp/'cache', seed=seed)['accuracy'] for seed in range(42, 42 + a.seeds)]
                rows.append(dict(train=n, valid=a.valid, what=job, accuracy=found, mean=round(statistics.mean(found), 4),
                                 standard_error=round(statistics.stdev(found)/len(found)**0.5, 4) if a.seeds > 1 else None))
    save('accuracy', rows=rows)
