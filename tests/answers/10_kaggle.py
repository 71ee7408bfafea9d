"What the answers to the exercises of lesson 10 say, in its kernel"
import contextlib, io
import matplotlib.pyplot as plt

# the text: one start is lucky or not, five are better than one, mirror images change next to nothing
assert max(single) > 1.5*min(single) and losses['five heads'] < np.mean(single) - 0.005
gained = np.mean([costs(p) for p in heads], axis=0) - costs(averaged)
assert gained.mean() > 1.96*gained.std()/np.sqrt(n)
assert abs(losses['first head'] - losses['first head, with mirror images']) < 0.01
assert loss_at(0) == min(map(loss_at, clips)) and clip == 1/n == 0.005
assert 0.003 <= min(clips, key=one_more) <= 0.015
assert one_more(0) - loss_at(0) > losses['one head, mean of five'] - losses['five heads']

# 1: the wrong column
turned = clip_losses(averaged.flip(1), targets).set_index('clip').log_loss
print('1:', turned[0], turned[0.1])
assert turned[0] > 5 and 2 < turned[0.1] < 2.35

# 2: ten heads
more = heads + [probs_of(train_head(learn, seed)) for seed in range(5, 10)]
means = {k: (np.mean([loss(p, targets) for p in more[:k]]), loss(torch.stack(more[:k]).mean(0), targets)) for k in (1, 2, 5, 10)}
print('2:', means)
with contextlib.redirect_stdout(io.StringIO()): assert torch.allclose(ensemble(learn)[0], averaged, atol=1e-6)
assert abs(means[1][0] - means[1][1]) < 1e-9 and means[2][0] - means[2][1] > 0.005
assert abs(means[5][1] - means[10][1]) < 0.01 < means[5][0] - means[5][1]

# 3: another seed
before = sorted(path.rglob('*.jpg'))
try: sort_kaggle(kaggle_zip, work/'dogscats', valid=valid, sample=(20, 10), seed=1)
except FileExistsError: pass
else: assert False, 'sorted again'
assert sorted(path.rglob('*.jpg')) == before and check_layout(path).photos.tolist()[:4] == [150, 150, 100, 100]

# 4: both at once
both = loss((mirrored + averaged)/2, targets)
print('4:', both, losses)
assert both <= (losses['first head, with mirror images'] + losses['five heads'])/2 + 1e-9 and both < losses['five heads'] + 0.005

# 5: a check of the file
def faults(csv, n):
    table, found = pd.read_csv(csv), []
    if list(table.columns) != ['id', 'label']: return [f'columns {list(table.columns)}']
    if sorted(table.id) != list(range(1, n + 1)): found.append('ids are not 1 to n, each once')
    if table.label.isna().any(): found.append('a probability is missing')
    if not table.label.dropna().between(0, 1).all(): found.append('not a probability')
    if not table.label.between(0.01, 0.99).any(): found.append('labels, not probabilities?')
    return found

def spoilt(table):
    table.to_csv(work/'spoilt.csv', index=False)
    return faults(work/'spoilt.csv', len(tests))
assert faults(csv, len(tests)) == []
assert spoilt(df.iloc[1:]) == ['ids are not 1 to n, each once'] and spoilt(df.assign(label=df.label.round())) == ['labels, not probabilities?']
assert spoilt(df.rename(columns=dict(label='dog')))[0].startswith('columns') and spoilt(df.assign(label=df.label.where(df.id > 1))) == ['a probability is missing']
assert spoilt(df.assign(label=2*df.label + 0.5))[0] == 'not a probability'
plt.close('all')
