"Time of one epoch of the whole network: plain fastai against ours."
import argparse, tempfile
from pathlib import Path

from common import measure, photos, ratios, save, weights

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--size', default='100/50', metavar='TRAIN/VALID', help='numbers of photos (default 100/50)')
    parser.add_argument('--pairs', type=int, default=3, help='pairs of runs (default 3)')
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        path = photos(Path(tmp)/'photos', *map(int, a.size.split('/')))
        args = dict(path=path, weights=weights(Path(tmp)/'weights.pth'), bs=32)
        def pair(): return {side: measure(side, 'unfrozen', **args) for side in ('ours', 'plain')}
        pairs = [pair() for _ in range(a.pairs)]
    for p in pairs: p['ratio'] = round(p['plain']['seconds']/p['ours']['seconds'], 2)
    save('finetune', photos=a.size, bs=args['bs'], pairs=pairs, ratio=ratios([p['ratio'] for p in pairs]))
