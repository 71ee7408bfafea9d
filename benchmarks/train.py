"""From photos on disk to a trained model: plain `vision_learner(vgg16_bn).fine_tune(1)` against our `fit_head(5)`.

Both sides of a pair have the same photos and the same weights. Each pair has its own seed, from 42 on, so five pairs
of one size show how far accuracy varies. With --resnet34, plain fastai also trains the network that its documentation
takes, from random weights, as there are none without a network: its time can be compared, not its accuracy. With --again, ours runs a second time, on features cached by the first run.
With --fine-tune, `vgg_learner(...).fine_tune(1)` runs too: the call of plain fastai, which trains the whole network.
Earlier results of this machine with the same batch size are kept, except for the sizes that are measured again."""
import argparse, tempfile
from pathlib import Path

from common import machine, measure, photos, ratios, result, save, seed, weights

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--again', action='store_true', help='also measure ours a second time, with cached features')
    parser.add_argument('--fine-tune', action='store_true', help='also measure fine_tune(1) of our learner')
    parser.add_argument('--resnet34', action='store_true', help='also measure plain fastai with resnet34')
    parser.add_argument('--sizes', nargs='+', default=['600/200']*5 + ['2000/1000'], metavar='TRAIN/VALID',
                        help='numbers of photos, one per pair of runs')
    parser.add_argument('--bs', type=int, default=32, help='photos per batch (default 32)')
    a = parser.parse_args()
    sides = ['ours'] + ['again']*a.again + ['fine_tune']*a.fine_tune
    ratio_of = dict(ours='ratio', again='again_ratio', fine_tune='fine_tune_ratio')
    old = result('train')
    comparable = old and (old['machine'], old['bs']) == (machine(), a.bs)
    pairs = [p for p in old['pairs'] if p['photos'] not in a.sizes] if comparable else []
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        file = weights(tmp/'weights.pth')
        for i, size in enumerate(a.sizes):
            args = dict(path=photos(tmp/f'photos{i}', *map(int, size.split('/'))), weights=file, bs=a.bs, seed=seed + i)
            pair = dict(photos=size, seed=args['seed'])
            for side in sides:
                if side == 'fine_tune': pair[side] = measure('ours', 'fine_tune', **args)
                else: pair[side] = measure('ours', 'train', cache=tmp/f'cache{i}', **args)
            pair['plain'] = measure('plain', 'train', **args)
            if a.resnet34: pair['resnet34'] = measure('plain', 'resnet34', **args)
            seconds = {side: pair[side]['seconds'] for side in [*sides, 'plain']}
            pairs.append(pair | {ratio_of[side]: round(seconds['plain']/seconds[side], 1) for side in sides})
            summary = {k: ratios([p[k] for p in pairs if k in p]) for k in map(ratio_of.get, sides)}
            save('train', bs=a.bs, pairs=pairs, **summary)  # after each pair: all take more than an hour
