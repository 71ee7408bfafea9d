"""From photos on disk to a trained model: plain `vision_learner(vgg16_bn).fine_tune(1)` against `fit_head(5)`, same photos and weights.

Every pair has a seed of its own, 42 and up, so that five of a size say what both sides' accuracy is worth. With --again, ours runs a second time, with the features kept from the first. With --fine-tune, `vgg_learner(...).fine_tune(1)` runs too: the same call as plain fastai's, all of the network trained.
What was measured before on this machine with as many photos a batch, and with other numbers of photos, is kept."""
import argparse, tempfile
from pathlib import Path

from common import machine, measure, photos, ratios, result, save, seed, weights

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--again', action='store_true', help='measure ours a second time too, with the features kept')
    parser.add_argument('--fine-tune', action='store_true', help='measure fine_tune(1) of our learner too')
    parser.add_argument('--sizes', nargs='+', default=['600/200']*5 + ['2000/1000'], metavar='TRAIN/VALID', help='photos of each pair of runs')
    parser.add_argument('--bs', type=int, default=32, help='photos a batch (32)')
    a = parser.parse_args()
    sides = ['ours'] + ['again']*a.again + ['fine_tune']*a.fine_tune
    ratio_of = dict(ours='ratio', again='again_ratio', fine_tune='fine_tune_ratio')
    old = result('train')
    pairs = [p for p in old['pairs'] if p['photos'] not in a.sizes] if old and (old['machine'], old['bs']) == (machine(), a.bs) else []
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        file = weights(tmp/'weights.pth')
        for i, size in enumerate(a.sizes):
            args = dict(path=photos(tmp/f'photos{i}', *map(int, size.split('/'))), weights=file, bs=a.bs, seed=seed + i)
            pair = dict(photos=size, seed=args['seed'])
            for side in sides: pair[side] = measure('ours', 'fine_tune', **args) if side == 'fine_tune' else measure('ours', 'train', cache=tmp/f'cache{i}', **args)
            pair['plain'] = measure('plain', 'train', **args)
            pairs.append(pair | {ratio_of[side]: round(pair['plain']['seconds']/pair[side]['seconds'], 1) for side in sides})
            save('train', bs=a.bs, pairs=pairs, **{k: ratios([p[k] for p in pairs if k in p]) for k in map(ratio_of.get, sides)})  # after each, for all take more than an hour
