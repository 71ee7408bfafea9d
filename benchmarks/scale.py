"Time and peak memory of `fit_head(5)` with an empty cache, on 500, 1,000, 2,000 and 4,000 photos."
import tempfile
from pathlib import Path

from common import measure, photos, save, weights

if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        file = weights(tmp/'weights.pth')
        def row(n):
            path = photos(tmp/f'{n}', n*4//5, n//5)
            return dict(photos=n, **measure('ours', 'train', path=path, weights=file, bs=32))
        rows = [row(n) for n in (500, 1000, 2000, 4000)]
    for r in rows: r['milliseconds_a_photo'] = round(r['seconds']/r['photos']*1000, 1)
    save('scale', rows=rows)
