"""From photos on disk to a trained model: plain `vision_learner(vgg16_bn).fine_tune(1)` against `fit_head(5)`, same photos and weights.

Every pair has a seed of its own, 42 and up. With --again, ours runs a second time, with the features kept from the first.
What was measured before on this machine with other numbers of photos is kept."""
import argparse, tempfile
from pathlib import Path

from common import machine, measure, photos, ratios, result, save, seed, weights

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--again', action='store_true', help='measure ours a second time too, with the features kept')
    parser.add_argument('--sizes', nargs='+', default=['600/200', '600/200', '600/200', '2000/1000'], metavar='TRAIN/VALID', help='photos of each pair of runs')
    parser.add_argument('--bs', type=int, default=32, help='photos a batch (32)')
    a = parser.parse_args()
    sides = dict(ratio='ours', again_ratio='again') if a.again else dict(ratio='ours')
    old = result('train')
    pairs = [p for p in old['pairs'] if p['photos'] not in a.sizes] if old and old['machine'] == machine() else []
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        file = weights(tmp/'weights.pth')
        for i, size in enumerate(a.sizes):
            args = dict(path=photos(tmp/f'photos{i}', *map(int, size.split('/'))), weights=file, bs=a.bs, cache=tmp/f'cache{i}', seed=seed + i)
            pair = dict(photos=size, seed=args['seed'], ours=measure('ours', 'train', **args))
            if a.again: pair['again'] = measure('ours', 'train', **args)
            pair['plain'] = measure('plain', 'train', **args)
            pairs.append(pair | {k: round(pair['plain']['seconds']/pair[side]['seconds'], 1) for k, side in sides.items()})
            save('train', bs=a.bs, pairs=pairs, **{k: ratios([p[k] for p in pairs if k in p]) for k in sides})  # after each, for all take more than an hour
