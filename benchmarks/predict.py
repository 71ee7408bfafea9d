"Photos per second: plain `get_preds` against `predict_files`, in three pairs of runs."
import tempfile
from pathlib import Path

from common import measure, photos, ratios, save, weights

if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as tmp:
        args = dict(path=photos(Path(tmp)/'photos', 200, 100), weights=weights(Path(tmp)/'weights.pth'), bs=32)
        def pair(): return {side: measure(side, 'predict', **args) for side in ('ours', 'plain')}
        pairs = [pair() for _ in range(3)]
    for p in pairs: p['ratio'] = round(p['ours']['photos_a_second']/p['plain']['photos_a_second'], 2)
    save('predict', photos=300, bs=args['bs'], pairs=pairs, ratio=ratios([p['ratio'] for p in pairs]))
