"""Pictures of something other than cats and dogs: how many a classifier recognises, by its familiarity, and otherwise.

Beside `learn.familiarity`, in the same run: a fitted density of the features (the Mahalanobis distance to the nearer
class, with Ledoit and Wolf's covariance) and the greatest probability. Each has a threshold that lets 98 % of the
validation photos through. The pictures are drawn here or come with scikit-learn and scikit-image; without
scikit-image, its pictures are left out. No times are measured, so features stay cached."""
import argparse, random, tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from common import machine, photos, result, save, seed

n_drawn = 40

def rng(i): return np.random.default_rng([seed, i])

def noise(i):
    "Draw noise of dots of 1 to 28 pixels, coloured or grey"
    size, channels = (224, 56, 28, 8)[i % 4], (3, 1)[i//4 % 2]
    dots = np.repeat(rng(i).integers(0, 256, (size, size, channels), np.uint8), 3//channels, 2)
    return Image.fromarray(dots).resize((224, 224), Image.BICUBIC)

def texture(i):
    "Draw stripes, checks, dots or a gradient in two colours, at any angle"
    a, b = rng(i).integers(0, 256, (2, 3))
    n, angle = rng(i).integers(2, 24), rng(i).uniform(0, np.pi)
    y, x = np.mgrid[:224, :224]/224
    u, v = x*np.cos(angle) + y*np.sin(angle), y*np.cos(angle) - x*np.sin(angle)
    stripes, across = np.sin(6.28*n*u) > 0, np.sin(6.28*n*v) > 0
    dots = np.hypot(u*n % 1 - 0.5, v*n % 1 - 0.5) < 0.3
    mix = (stripes, stripes ^ across, dots, (u - u.min())/np.ptp(u))[i % 4].astype(float)
    return Image.fromarray((a + mix[..., None]*(b - a)).astype(np.uint8))

words = 'the of a and in photo page letter model table figure train network light house river green small long'.split()

def text(i):
    "Draw a page of words, dark on light or light on dark"
    dark, light = (40, 44, 52), (250, 250, 245)
    paper, ink = (dark, light) if i % 4 == 0 else (light, dark)
    im, size, choose = Image.new('RGB', (320, 320), paper), (12, 16, 24, 40)[i//4 % 4], random.Random(i)
    for y in range(8, 320, round(size*1.4)):
        line = ' '.join(choose.choices(words, k=12))
        ImageDraw.Draw(im).text((8, y), line, ink, ImageFont.load_default(size))
    return im

def scene(i):
    "Draw a scene of the drawn set, without its animal"
    from dogscats_course.drawing.scenes import _SCENES
    return _SCENES[i % len(_SCENES)](rng(i), 224)

def animal(i):
    from dogscats_course.draw import draw_animal
    return draw_animal(('cat', 'dog')[i % 2], seed=1000 + i)

def crops(im, n, first=0):
    "Cut `n` squares out of a photo"
    for i in range(first, first + n):
        size = rng(i).integers(160, 400)
        x, y = rng(i).integers(0, (im.width - size + 1, im.height - size + 1))
        yield im.crop((x, y, x + size, y + size))

def sklearn_pictures():
    from sklearn.datasets import load_sample_images
    two = map(Image.fromarray, load_sample_images().images)
    return [o for k, im in enumerate(two) for o in crops(im, n_drawn//2, 100*k)]

def skimage_pictures():
    "Return the pictures in scikit-image's package, without its cat; nothing is downloaded, or even imported"
    found = find_spec('skimage')
    if not found: return print('scikit-image is not installed: its pictures are left out.') or []
    files = sorted((Path(found.origin).parent/'data').glob('*'))
    left_out = 'chelsea', 'motorcycle_right'  # a cat; nearly the same picture as another
    files = [f for f in files if f.suffix in ('.png', '.jpg') and f.stem not in left_out]
    return [Image.open(f).convert('RGB') for f in files]

def strangers():
    kinds = dict(noise=noise, textures=texture, text=text, scenes=scene)
    drawn = {name: [draw(i) for i in range(n_drawn)] for name, draw in kinds.items()}
    packages = {"crops of scikit-learn's two photos": sklearn_pictures(), "scikit-image's pictures": skimage_pictures()}
    return {k: v for k, v in {**packages, **drawn}.items() if v}

def density(x, y):
    "Return a function of features: the negative squared Mahalanobis distance to the nearer class of `x`"
    from sklearn.covariance import LedoitWolf
    means = [x[y == c].mean(0) for c in np.unique(y)]
    fit = LedoitWolf(assume_centered=True).fit(np.concatenate([x[y == c] - m for c, m in enumerate(means)]))
    def score(x): return np.max([-fit.mahalanobis(np.asarray(x) - m) for m in means], 0)
    return score

def scorers(learn):
    "Return {what: (a function of features that is high for cats and dogs, the threshold)}"
    import dogscats_course.familiarity  # gives Learners theirs
    from dogscats_course.frozen import split_features
    from dogscats_course.head import head_probs
    x, y = split_features(learn, 0)
    def probability(x): return head_probs(learn, x).max(1).values.numpy()
    scores = dict(density=density(x[:].cpu().numpy(), y.cpu().numpy()), probability=probability)
    x_valid = split_features(learn)[0][:].cpu()
    def lowest(values): return np.sort(values)[int(len(values)*0.02)]
    known = learn.familiarity
    return dict(familiarity=(lambda x: known.of(x).numpy(), known.threshold),
                **{k: (f, lowest(f(x_valid))) for k, f in scores.items()})

def rows(learn, fresh, pictures):
    "Yield a row for cats and dogs that the Learner has not seen, and one for each of the other groups of `pictures`"
    from sklearn.metrics import roc_auc_score
    from dogscats_course.body import pooled_features
    from dogscats_course.head import head_probs
    def features(items): return pooled_features(learn, learn.dls.test_dl(items))[0].cpu()
    x_fresh, scores = features(fresh), scorers(learn)
    for name, items in {'cats and dogs, not seen before': fresh, **pictures}.items():
        x = features(items)
        row = dict(pictures=name, n=len(x), sure=(head_probs(learn, x).max(1).values > 0.9).double().mean().item())
        for what, (score, threshold) in scores.items():
            of_fresh, values = score(x_fresh), score(x)
            row[f'{what}_flagged'] = float((values < threshold).mean())
            if items is fresh: continue
            row[f'{what}_auroc'] = roc_auc_score([1]*len(of_fresh) + [0]*len(x), [*of_fresh, *values])
        yield {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}

def trained(path):
    from fastai.vision.all import ProgressCallback, set_seed
    from dogscats_course.data import make_dls
    from dogscats_course.learner import vgg_learner
    set_seed(seed)
    learn = vgg_learner(make_dls(path, seed=seed), weights='bundled')
    learn.remove_cb(ProgressCallback)
    learn.fit_head(5)
    return learn

def real_set(folder, n, n_valid):
    "Return a folder of real photos, and validation photos that are not in it"
    path, every = photos(folder/'some', n, n_valid), photos(folder/'all', 2, 1000)
    used = {f.name for f in (path/'valid').rglob('*.jpg')}
    return path, [f for f in sorted((every/'valid').rglob('*.jpg')) if f.name not in used]

def drawn_set(folder):
    "Return a folder of drawn pictures, and drawn pictures that neither train nor validate"
    from dogscats_course.draw import draw_dogscats
    path = draw_dogscats(folder/'drawn', train=150, valid=100, test=100)
    return path, sorted((path/'test1').iterdir())

def measured(which, folder):
    "Yield the rows of a classifier that is trained on TRAIN/VALID real photos, or on 'drawn' pictures"
    if which == 'drawn':
        name, (path, fresh) = '300 drawn pictures', drawn_set(folder)
        like = {'photos of cats and dogs': real_set(folder, 2, 2)[1][::1000//n_drawn]}
    else:
        n, n_valid = map(int, which.split('/'))
        name, (path, fresh) = f'{n:,} photos', real_set(folder, n, n_valid)
        like = {'drawn cats and dogs': [animal(i) for i in range(n_drawn)]}
    for row in rows(trained(path), fresh, {**strangers(), **like}):
        print(row, flush=True)
        yield dict(trained_on=name, **row)

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--on', nargs='+', default=['300/500', '4000/500', 'drawn'], metavar='TRAIN/VALID',
                        help="numbers of real photos, or 'drawn'; earlier results of other sets are kept")
    old = result('unfamiliar')
    found = old['rows'] if old and old['machine'] == machine() else []
    for which in parser.parse_args().on:
        with tempfile.TemporaryDirectory() as tmp: new = list(measured(which, Path(tmp)))
        found = [r for r in found if r['trained_on'] != new[0]['trained_on']] + new
        save('unfamiliar', rows=found)
