"""Accuracy of the last block by learning rate and number of epochs, against the head alone, over several seeds.

All of a seed's rows begin with the same head. Features and rows stay cached: accuracy is measured here, not time.
Earlier results of this machine are kept, except for the sizes that are measured again."""
import argparse, statistics, tempfile
from pathlib import Path

from common import machine, measure, photos, result, save, seed, weights

def summary(size, runs):
    "Return a row for each setting: its mean accuracy, the standard error, and the mean gain over the head"
    def row(name):
        values = [r[name] for r in runs]
        error = round(statistics.stdev(values)/len(values)**0.5, 4) if len(values) > 1 else None
        gain = statistics.mean(r[name] - r['head'] for r in runs)
        return dict(photos=size, setting=name, seeds=len(runs), mean=round(statistics.mean(values), 4), standard_error=error, gain=round(gain, 4))
    return [row(name) for name in runs[0] if name not in ('seconds', 'peak_gb')]

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--sizes', nargs='+', default=['500/1000', '1000/1000', '4000/1000'], metavar='TRAIN/VALID',
                        help='numbers of photos')
    parser.add_argument('--seeds', type=int, default=5, help='runs per number of photos (default 5)')
    parser.add_argument('--rates', nargs='+', type=float, default=[3e-5, 1e-4, 3e-4, 1e-3], metavar='LR',
                        help="greatest learning rates of the head; the last block's are a tenth of them")
    parser.add_argument('--epochs', nargs='+', type=int, default=[1, 3], metavar='N', help='numbers of epochs')
    parser.add_argument('--flip', action='store_true', help='measure each setting with photos mirrored at random as well; written to flip.json')
    a = parser.parse_args()
    flips = (False, True) if a.flip else (False,)
    settings = [(epochs, lr, flip) for epochs in a.epochs for lr in a.rates for flip in flips]
    name = 'flip' if a.flip else 'rates'
    old = result(name)
    rows = [r for r in old['rows'] if r['photos'] not in a.sizes] if old and old['machine'] == machine() else []
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        file = weights(tmp/'weights.pth')
        for i, size in enumerate(a.sizes):
            path = photos(tmp/str(i), *map(int, size.split('/')))
            args = dict(path=path, weights=file, bs=64, cache=tmp/'cache', settings=settings)
            rows += summary(size, [measure('ours', 'rates', seed=seed + k, **args) for k in range(a.seeds)])
            save(name, bs=64, rows=rows)
