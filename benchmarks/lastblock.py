"One epoch of the last block and the head, plain fastai against ours: the first, and a later one on cached features."
import argparse, tempfile
from pathlib import Path

from common import measure, photos, ratios, save, weights

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--size', default='200/100', metavar='TRAIN/VALID', help='numbers of photos (default 200/100)')
    parser.add_argument('--pairs', type=int, default=3, help='pairs of runs (default 3)')
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        path = photos(Path(tmp)/'photos', *map(int, a.size.split('/')))
        args = dict(path=path, weights=weights(Path(tmp)/'weights.pth'), bs=32)
        def pair(): return {side: measure(side, 'last_block', **args) for side in ('ours', 'plain')}
        pairs = [pair() for _ in range(a.pairs)]
    for p in pairs: p |= {f'{k}_ratio': round(p['plain'][k]/p['ours'][k], 2) for k in ('first', 'later')}
    summary = {k: ratios([p[k] for p in pairs]) for k in ('first_ratio', 'later_ratio')}
    summary |= {k: ratios([p['ours'][k] for p in pairs]) for k in ('photos_a_second', 'part_of_peak')}
    save('lastblock', photos=a.size, bs=args['bs'], pairs=pairs, **summary)
