"""All photos of DOGSCATS_DATA once: the head, then the last block, each with its time, accuracy and room in the cache.

With 25,000 photos that takes an hour or more, and 5 GB of disk. The cache is empty at the start."""
import argparse, os, sys, tempfile
from pathlib import Path

from common import measure, save, weights

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--bs', type=int, default=64, help='photos per batch (default 64)')
    a = parser.parse_args()
    path = os.environ.get('DOGSCATS_DATA') or sys.exit('Set DOGSCATS_DATA to the folder of real photos that holds train and valid.')
    count = {split: sum(1 for _ in Path(path, split).glob('*/*.jpg')) for split in ('train', 'valid')}
    with tempfile.TemporaryDirectory() as tmp:
        row = measure('ours', 'full', path=path, weights=weights(Path(tmp)/'weights.pth'), bs=a.bs)
    save('full', bs=a.bs, **count, **row)
