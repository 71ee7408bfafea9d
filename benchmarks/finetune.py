"One unfrozen epoch: plain fastai against ours."
import argparse, tempfile
from pathlib import Path

from common import measure, photos, ratios, save, weights

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--size', default='100/50', metavar='TRAIN/VALID', help='photos (100/50)')
    parser.add_argument('--pairs', type=int, default=3, help='pairs of runs (3)')
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        args = dict(path=photos(Path(tmp)/'photos', *map(int, a.size.split('/'))), weights=weights(Path(tmp)/'weights.pth'), bs=32)
        pairs = [dict(ours=measure('ours', 'unfrozen', **args), plain=measure('plain', 'unfrozen', **args)) for _ in range(a.pairs)]
    for p in pairs: p['ratio'] = round(p['plain']['seconds']/p['ours']['seconds'], 2)
    save('finetune', photos=a.size, bs=args['bs'], pairs=pairs, ratio=ratios([p['ratio'] for p in pairs]))
