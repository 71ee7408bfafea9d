"""Accuracy against the number of photos, for the head alone and the last block, over five seeds.

Features stay cached between the seeds, because accuracy is measured here, not time. Earlier results of this machine
are kept, except those that are measured again. train.py compares accuracy with plain fastai's."""
import argparse, statistics, tempfile
from pathlib import Path

from common import machine, measure, photos, result, save, seed, weights

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--sizes', nargs='+', default=[f'{n}/1000' for n in (200, 500, 1000, 2000, 4000)],
                        metavar='TRAIN/VALID', help='numbers of photos')
    parser.add_argument('--seeds', type=int, default=5, help='runs per number of photos (default 5)')
    parser.add_argument('--jobs', nargs='+', default=['head', 'block'], choices=['head', 'block'],
                        help='train the head, the last block, or both (default both)')
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
                args = dict(path=path, weights=file, bs=32, cache=tmp/'cache')
                found = [measure('ours', job, seed=seed + k, **args)['accuracy'] for k in range(a.seeds)]
                error = round(statistics.stdev(found)/len(found)**0.5, 4) if len(found) > 1 else None
                rows[job, n, n_valid] = dict(what=job, train=n, valid=n_valid, accuracy=found,
                                             mean=round(statistics.mean(found), 4), standard_error=error)
                save('accuracy', rows=[rows[k] for k in sorted(rows)])
