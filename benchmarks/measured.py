"""Write the figures that lessons quote, from the committed results, to dogscats_course/assets/measured.json.

Each figure has a name, and `measured(name)` makes a sentence of it. If several results have the same figure, the newest
is taken. tests/test_measured.py fails if the file is not in step with the results."""
import json, statistics
from pathlib import Path

from dogscats_course.score import wilson_interval

root = Path(__file__).resolve().parent.parent
file = root/'dogscats_course/assets/measured.json'
words = dict(head='the head alone', block='the head, and then the last block')
names = dict(head='head', block='last block')

def per_cent(p): return f'{100*p:.1f}'

def of_size(name, n): return name if n == 4000 else f'{name}, {n} photos'

def accuracy(kind, train, valid, mean, error, seeds):
    "Return the name and the figure of an accuracy: the mean over seeds, with its standard error, and the interval of such a test"
    low, high = wilson_interval(round(mean*valid), valid)
    text = f'Trained on {train:,} real photos, {words[kind]}: {{}} of {valid:,} others right'
    how = f'mean and standard error of {seeds} seeds; 95 % interval of one test with {valid:,} photos: {per_cent(low)} to {per_cent(high)} %'
    return of_size(names[kind], train), dict(value=mean, figure=f'{per_cent(mean)} ± {per_cent(error)} %', text=text, how=how)

def gain(train, valid, mean, seeds):
    text = f'Trained on {train:,} real photos, the last block adds to the head alone: {{}} percentage points'
    return of_size('gain of the last block', train), dict(value=mean, figure=f'{100*mean:+.1f}', text=text, how=f'mean of {seeds} seeds, tested on {valid:,} others')

def times(name, text, values):
    "Return the name and the figure of a median of ratios or seconds"
    x, least, most = (f'{v:.3g}' for v in (statistics.median(values), min(values), max(values)))
    return name, dict(value=statistics.median(values), figure=x, text=text, how=f'median of {len(values)} runs, {least} to {most}')

# --- a function per benchmark: the figures of one of its results ---

def accuracy_figures(r):
    rows = {(o['what'], o['train'], o['valid']): o for o in r['rows']}
    for (kind, n, valid), o in rows.items(): yield accuracy(kind, n, valid, o['mean'], o['standard_error'], len(o['accuracy']))
    for (kind, n, valid), o in rows.items():
        if kind == 'block' and (head := rows.get(('head', n, valid))):
            yield gain(n, valid, round(o['mean'] - head['mean'], 4), len(o['accuracy']))

def rates_figures(r):
    for o in r['rows']:
        if o['photos'].startswith('4000/'): continue  # accuracy.py has 4,000 with more seeds
        n, valid = map(int, o['photos'].split('/'))
        kind = {'head': 'head', '3 epochs, 0.0001': 'block'}.get(o['setting'])  # the defaults of `fit_last_block`
        if kind: yield accuracy(kind, n, valid, o['mean'], o['standard_error'], o['seeds'])
        if kind == 'block': yield gain(n, valid, o['gain'], o['seeds'])

def train_figures(r):
    pairs = [p for p in r['pairs'] if p['photos'] == '600/200']
    way, plain = 'From 600 real photos to a trained model', "plain fastai's vision_learner(vgg16_bn).fine_tune(1)"
    sides = {'ours': ('', 'fit_head(5)'), 'again': (', again', 'fit_head(5) with cached features'), 'fine_tune': (', fine_tune', 'fine_tune(1)'), 'plain': (', plain fastai', plain)}
    for side, (name, words) in sides.items():
        if not all(side in p for p in pairs): continue
        yield times(f'seconds{name}', f'{way}, {words}: {{}} s', [p[side]['seconds'] for p in pairs])
        if side != 'plain': yield times(f'times as fast{name}', f'{way}, {words} is {{}} times as fast as {plain}', [p['plain']['seconds']/p[side]['seconds'] for p in pairs])
        if side in ('ours', 'plain'):
            values = [p[side]['accuracy'] for p in pairs]
            found = dict(value=round(statistics.mean(values), 4), figure=f'{per_cent(statistics.mean(values))} %', text=f'Trained on 600 real photos, {words}: {{}} of 200 others right',
                         how=f'mean of {len(values)} seeds, {per_cent(min(values))} to {per_cent(max(values))} %')
            yield f"{'head' if side == 'ours' else 'plain fastai'}, 600 photos", found

def lastblock_figures(r):
    n = r['photos'].partition('/')[0]
    for k, epoch in (('first', 'The first'), ('later', 'A later')):
        text = f"{epoch} epoch of the last block on {n} real photos is {{}} times as fast as plain fastai's"
        yield times(f'times as fast, last block, {k} epoch', text, [p[f'{k}_ratio'] for p in r['pairs']])

def predict_figures(r):
    text = f"predict_files with {r['photos']} real photos is {{}} times as fast as plain fastai's get_preds"
    yield times('times as fast, predict', text, [p['ratio'] for p in r['pairs']])
    yield times('photos per second, predict', f"predict_files with {r['photos']} real photos: {{}} photos per second", [p['ours']['photos_a_second'] for p in r['pairs']])

known = {'cats and dogs, not seen before', 'drawn cats and dogs', 'photos of cats and dogs'}

def flagged(name, text, rows, trained_on):
    n = sum(o['n'] for o in rows)
    count = round(sum(o['n']*o['familiarity_flagged'] for o in rows))
    low, high = wilson_interval(count, n)
    how = f'trained on {trained_on}; 95 % interval: {per_cent(low)} to {per_cent(high)} %'
    return name, dict(value=round(count/n, 4), figure=f'{count} of {n} ({per_cent(count/n)} %)', text=text, how=how)

def unfamiliar_figures(r):
    for trained_on, end in (('4,000 photos', ''), ('300 photos', ', 300 photos'), ('300 drawn pictures', ', drawn')):
        rows = {o['pictures']: o for o in r['rows'] if o['trained_on'] == trained_on}
        if not rows: continue
        real = trained_on if 'drawn' in trained_on else trained_on.replace('photos', 'real photos')
        other = [o for k, o in rows.items() if k not in known]
        yield flagged(f'unfamiliar{end}', f"Pictures of something else, such as {' and '.join(k for k in rows if k in ('noise', 'textures'))}, flagged as unlike the training photos: {{}}", other, real)
        for k in known & rows.keys():
            new = 'new drawn cats and dogs' if 'drawn' in trained_on else 'new photos of cats and dogs'
            about = {'cats and dogs, not seen before': new}.get(k, k)
            yield flagged(f'unfamiliar{end}: {about}', f'{about.capitalize()}, flagged as unlike the training photos: {{}}', [rows[k]], real)

def command_figures(r):
    n = r['photos'].partition('/')[0]
    said = dict(predict='dogscats predict of one photo', train_again=f'dogscats train on {n} real photos, with cached features')
    for k, words in said.items():
        o = r['seconds'][k]
        yield f"seconds, dogscats {k.replace('_', ' ')}", dict(value=o['median'], figure=f"{o['median']:.0f}", text=f'{words}: {{}} s', how=f"median of {o['n']} runs, {o['min']:.0f} to {o['max']:.0f}")
    yield 'seconds, dogscats train', dict(value=r['train_seconds'], figure=f"{r['train_seconds']:.0f}", text=f'dogscats train on {n} real photos: {{}} s', how='one run')

def page_figures(r):
    yield times('seconds per photo, page', f"A page of write_page ({r['megabytes']:.0f} MB) in Chromium {r['chromium'].partition('.')[0]}: {{}} s per real photo", [o['seconds_a_photo'] for o in r['runs']])

# --- all of them ---

def about(r):
    m = r['machine']
    return dict(machine=m['gpu'] or f"{m['cpu']}, {m['cores']} cores", versions=', '.join(f'{k} {m[k]}' for k in ('torch', 'fastai')), date=r['date'], benchmark=r['benchmark'])

def figures():
    "Return {name: figure} of all results, the newest of each name"
    results = [json.loads(f.read_text(encoding='utf-8')) for f in sorted((root/'benchmarks/results').glob('*/*.json'))]
    found = {}
    for r in sorted(results, key=lambda r: r['date']):
        of_benchmark = globals().get(f"{r['benchmark']}_figures")
        if of_benchmark: found |= {name: {**o, **about(r)} for name, o in of_benchmark(r)}
    return dict(sorted(found.items()))

def text(): return json.dumps(figures(), indent=1, ensure_ascii=False) + '\n'

if __name__ == '__main__':
    file.write_text(text(), encoding='utf-8', newline='\n')
    print(f'{len(figures())} figures in {file.relative_to(root)}')
