"One epoch of the last block and the head: plain fastai against ours, the first epoch, and a later one that has the frozen part's output."
import argparse, tempfile
from pathlib import Path

from common import measure, photos, ratios, save, weights

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--size', default='200/100', metavar='TRAIN/VALID', help='photos (200/100)')
    parser.add_argument('--pairs', type=int, default=3, help='pairs of runs (3)')
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        args = dict(path=photos(Path(tmp)/'photos', *map(int, a.size.split('/'))), weights=weights(Path(tmp)/'weights.pth'), bs=32)
        pairs = [dict(ours=measure('ours', 'last_block', **args), plain=measure('plain', 'last_block', **args)) for _ in range(a.pairs)]
    for p in pairs: p |= {f'{k}_ratio': round(p['plain'][k]/p['ours'][k], 2) for k in ('first', 'later')}
    save('lastblock', photos=a.size, bs=args['bs'], pairs=pairs, **{f'{k}_ratio': ratios([p[f'{k}_ratio'] for p in pairs]) for k in ('first', 'later')})
