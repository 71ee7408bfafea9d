"From a folder of photos to the first features: a first run, which reads all photos, and again in a second process."
import argparse, os, sys, tempfile
from itertools import cycle, islice
from pathlib import Path

from common import measure, ratios, save, weights

def many(folder, n):
    "Make `n` files, half of them cats, of the training photos of DOGSCATS_DATA; a copy has a number after the picture's end"
    source = os.environ.get('DOGSCATS_DATA')
    if not source: sys.exit('Set DOGSCATS_DATA to the folder of real photos that holds train and valid.')
    for split, part in (('train', n*23//25), ('valid', n*2//25)):
        for c in ('cats', 'dogs'):
            dest = Path(folder)/split/c
            dest.mkdir(parents=True)
            files = sorted((Path(source)/'train'/c).glob('*.jpg'))
            for i, f in enumerate(islice(cycle(files), part//2)):
                (dest/f'{i}.jpg').write_bytes(f.read_bytes() + f'{split}{i}'.encode())
    return Path(folder)

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--photos', type=int, default=4000, help='number of photos (default 4000)')
    parser.add_argument('--pairs', type=int, default=3, help='pairs of runs (default 3)')
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        args = dict(path=many(Path(tmp)/'photos', a.photos), weights=weights(Path(tmp)/'weights.pth'), bs=64)
        def pair(i):
            cache = Path(tmp)/f'cache{i}'
            return {name: measure('ours', 'start', cache, **args, first=name == 'first') for name in ('first', 'again')}
        pairs = [pair(i) for i in range(a.pairs)]
    for p in pairs: p['ratio'] = round((p['first']['listed'] + p['first']['looked_up'])/(p['again']['listed'] + p['again']['looked_up']), 2)
    save('start', photos=a.photos, bs=args['bs'], pairs=pairs, ratio=ratios([p['ratio'] for p in pairs]))
