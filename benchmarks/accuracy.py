"""Accuracy against the number of photos, head only and last block, over five seeds; train.py has plain fastai beside it.

Features are kept between the seeds: it is accuracy that is measured here, not time. What was measured before on this machine is kept, unless it is measured anew."""
import argparse, statistics, tempfile
from pathlib import Path

from common import machine, measure, photos, result, save, seed, weights

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--sizes', nargs='+', default=['200/1000', '500/1000', '1000/1000', '2000/1000', '4000/1000'], metavar='TRAIN/VALID', help='photos')
    parser.add_argument('--seeds', type=int, default=5, help='runs of each (5)')
    parser.add_argument('--jobs', nargs='+', default=['head', 'block'], choices=['head', 'block'], help='what to train')
    a = parser.parse_args()
    old = result('accuracy')
    rows = {(r['what'], r['train'], r['valid']): r for r in old['rows']} if old and old['machine'] == machine() else {}
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        file = weights(tmp/'weights.pth')
        for i, size in enumerate(a.sizes):
            n, n_valid = map(int, size.split('/'))
            path = photos(tmp/str(i), n, n_valid)
            for job in a.jobs:
                found = [measure('ours', job, path=path, weights=file, bs=32, cache=tmp/'cache', seed=seed + k)['accuracy'] for k in range(a.seeds)]
                rows[job, n, n_valid] = dict(what=job, train=n, valid=n_valid, accuracy=found, mean=round(statistics.mean(found), 4),
                                             standard_error=round(statistics.stdev(found)/len(found)**0.5, 4) if len(found) > 1 else None)
                save('accuracy', rows=[rows[k] for k in sorted(rows)])
