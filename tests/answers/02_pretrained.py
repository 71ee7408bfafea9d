# Exercise 1: the layers with random numbers in them
with learn.no_bar():
    blank = vgg_learner(make_dls(path, limit=limit), weights=None)
    with blank.no_bar(): z1 = pooled_features(blank, blank.dls.test_dl(files[::2]))[0].cpu()
assert .4 < same_class(F.normalize(z1), y[::2]) < .75
assert same_class(x[::2], y[::2]) > .85
assert abs(same_class(pixels[::2], y[::2]) - .63) < .04

# Exercise 2: which layer knows
def early(upto, maps):
    rows = iter_features(learn, learn.dls.test_dl(files[::2]), upto=upto)
    z = torch.cat([f.unflatten(1, (maps, -1)).mean(2).cpu() for f, _ in rows])
    return same_class(F.normalize(z), y[::2])

with learn.no_bar():
    for (upto, maps), said in {(14, 128): .71, (24, 256): .67, (34, 512): .64}.items():
        assert abs(early(upto, maps) - said) < .07, (upto, early(upto, maps))
assert abs(same_class(F.normalize(means[::2]), y[::2]) - .89) < .05

# Exercise 3: upside down, and mirrored
import PIL.ImageOps
with learn.no_bar():
    for turn, low, high in ((lambda im: im.rotate(180), .7, .87), (PIL.ImageOps.mirror, .93, 1)):
        turned = [turn(open_photo(files[i])) for i in some]
        z3 = F.normalize(pooled_features(learn, learn.dls.test_dl(turned))[0].cpu())
        for i, likeness in zip(some, z3 @ x.T): assert low < likeness[i] < high and likeness.argmax() == i

# Exercise 4: only dogs
dogs_only = y == 1
e = seen('ears')[dogs_only]
assert abs((e[neighbour(x[dogs_only])] == e).mean() - .62) < .05
assert abs((e[neighbour(pixels[dogs_only])] == e).mean() - .27) < .04
assert abs((e[:, None] == e).mean() - .29) < .01

# Exercise 5: build a classifier that remembers
def remember(x, y, new, k):
    nearest = (new @ x.T).topk(k).indices
    return y[nearest].mode(1).values

with learn.no_bar(): xv, yv = split_features(learn, 1)
xv, yv = F.normalize(xv[:].cpu()), yv.cpu()
for k in (1, 5, 15): assert abs((remember(x, y, xv, k) == yv).float().mean() - .94) < .03
class_mean = F.normalize(torch.stack([x[y == c].mean(0) for c in (0, 1)]))
assert abs(((xv @ class_mean.T).argmax(1) == yv).float().mean() - .935) < .02
with learn.no_bar(), learn.no_logging(): learn.fit_head(5)
assert abs(score(learn)['accuracy'] - .95) < .035

# What the prose says of figures that a plot shows
assert same.loc['scene', 'by pixels'] > .5 and same.loc['scene', 'by features'] < .35
assert same.loc['class', 'by features'] > .85 and same.loc[['muzzle', 'pose'], 'by features'].min() > .77
assert steps.loc[['brightness', 'scene', 'place'], 'by features'].max() < .22 < steps.loc[['brightness', 'scene', 'place'], 'by pixels'].min()
assert steps.loc[['eyes', 'ears'], 'by features'].min() > steps.loc['scene', 'by features'] > steps.loc[['eyes', 'ears'], 'by pixels'].max()
assert (answers.iloc[2:]['ears'] > .7).all() and answers.iloc[2:].drop(columns='ears').abs().max().max() < .5
assert abs(np.mean([from_few(x, 5, seed)[2] for seed in range(50)]) - .8) < .03
