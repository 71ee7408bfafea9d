"""Photos per second from disk to features, against the bound set by running the body and opening the photos.

Measured on photos of 200 pixels, those of DOGSCATS_DATA, and of 12 megapixels, the same enlarged to 4,000 × 3,000."""
import tempfile
from pathlib import Path

from common import measure, photos, save, weights

def enlarged(files, folder):
    "Write the photos `files` to `folder` as 12-megapixel JPEGs, and return `folder`"
    from PIL import Image
    for i, f in enumerate(files):
        dest = folder/('train' if i % 3 else 'valid')/('cats' if i % 2 else 'dogs')/f'{i}.jpg'
        dest.parent.mkdir(parents=True, exist_ok=True)
        Image.open(f).convert('RGB').resize((4000, 3000), Image.Resampling.BICUBIC).save(dest, quality=90)
    return folder

if __name__ == '__main__':
    rows = []
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        file, small = weights(tmp/'weights.pth'), photos(tmp/'small', 200, 100)
        large = enlarged(sorted(small.rglob('*.jpg'))[::3], tmp/'large')
        for name, path in (('200 pixels', small), ('12 megapixels', large)):
            r = [measure('ours', 'decode', path=path, weights=file, bs=32) for _ in range(3)]
            rows.append(dict(photos=name, runs=r, part=sorted(o['part'] for o in r)[1]))
    save('decode', rows=rows)
