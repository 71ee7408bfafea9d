"Pictures of results: the right photos in each view, words instead of colour alone, and names as they are."
import io, shutil, warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from fastai.vision.all import ClassificationInterpretation, resnet18


from dogscats_course import lettering
from dogscats_course.photos import open_photo
from dogscats_course.data import make_dls
from dogscats_course.learner import vgg_learner
from dogscats_course.lettering import class_labels, drawable
from dogscats_course.score import interpret, mistake_views, prediction_text, score, score_probs, worst_predictions
from dogscats_course.cam import cam_maps, show_cam
from dogscats_course.show import plot_calibration, plot_confusion, plot_history, plots, show_mistakes

def fake_probs(monkeypatch, probs):
    for module in ('score', 'cam', 'show'): monkeypatch.setattr(f'dogscats_course.{module}.class_probs', probs)

@pytest.fixture
def sixteen(learn, monkeypatch):
    "A Learner with known predictions: dogs are 8 to 15; cats 0 and 1 and dog 8 are wrong, and dog 9 is the least sure"
    p_dog = torch.tensor([.9, .6, *[.1]*6, .2, .55, *[.95]*6])
    targets = torch.tensor([0]*8 + [1]*8)
    fake_probs(monkeypatch, lambda learn: (torch.stack([1 - p_dog, p_dog], 1), targets))
    return learn

def test_views(sixteen):
    views = mistake_views(sixteen, n=3)
    assert list(views) == ['right at random (13 of 16)', 'wrong at random (3 of 16)', 'cats: surest and right (of 6)',
                           'dogs: surest and right (of 7)', 'cats: surest and wrong (of 2)', 'dogs: surest and wrong (of 1)', 'least sure', 'unlike its training photos (0 of 16)']
    right, wrong, *_ = views.values()
    assert sorted(wrong) == [0, 1, 8] and len(set(right)) == 3 and not {0, 1, 8} & set(right)
    assert views['cats: surest and wrong (of 2)'] == [0, 1] and views['dogs: surest and wrong (of 1)'] == [8]
    assert views['least sure'][:2] == [9, 1]
    assert mistake_views(sixteen, n=3) == views

def test_with_many_classes_those_with_most_mistakes_have_views(sixteen, monkeypatch):
    targets = torch.arange(16)
    probs = torch.eye(16)*.9 + .1/16
    probs[13:] = probs[:3]  # 13, 14 and 15 are taken for 0, 1 and 2
    fake_probs(monkeypatch, lambda learn: (probs, targets))
    sixteen.dls.vocab = [f'c{i:02}' for i in range(16)]
    wrong = [v for v in mistake_views(sixteen) if 'surest and wrong' in v]
    assert len(wrong) == 10 and wrong[-3:] == [f'c{i}: surest and wrong (of 1)' for i in (13, 14, 15)]

def test_prediction_text():
    assert prediction_text('cats', 0.98) == 'predicted: cats 98 %'
    assert prediction_text('cats', torch.tensor(0.9999), 'dogs') == 'actual: dogs\npredicted: cats >99 %'

def test_titles_tell_right_from_wrong_in_words(sixteen):
    show_mistakes(sixteen, n=3)
    titles = [t for ax in plt.gcf().get_axes() if (t := ax.get_title())]
    assert 'actual: cats\npredicted: dogs 90 %' in titles and 'actual: dogs\npredicted: dogs 55 %' in titles
    plt.close('all')

@pytest.mark.parametrize('n', [1, 2])
def test_an_absence_of_mistakes_is_reported(learn, monkeypatch, n):
    fake_probs(monkeypatch, lambda learn: (torch.tensor([[.9, .1]]*8 + [[.2, .8]]*8), torch.tensor([0]*8 + [1]*8)))
    show_mistakes(learn, n=n)
    assert 'wrong at random (0 of 16): none' in [f.get_suptitle() for f in plt.gcf().subfigs]
    plt.close('all')

def test_score(sixteen):
    s = score(sixteen)
    assert (s['accuracy'], s['photos']) == (13/16, 16)
    # Wilson's interval for 13 of 16, by his formula
    z, p, n = 1.959964, 13/16, 16
    half, mid = z*(p*(1-p)/n + z*z/(4*n*n))**.5/(1 + z*z/n), (p + z*z/(2*n))/(1 + z*z/n)
    assert (s['accuracy_low'], s['accuracy_high']) == pytest.approx((mid - half, mid + half), abs=1e-5)

def test_fastais_interpretation_without_computing_again(sixteen, monkeypatch, capsys):
    interp = interpret(sixteen)
    monkeypatch.setattr(sixteen, 'get_preds', None)
    assert isinstance(interp, ClassificationInterpretation) and interp.confusion_matrix().tolist() == [[6, 2], [1, 7]]
    assert [(str(a), str(b), int(n)) for a, b, n in interp.most_confused()] == [('cats', 'dogs', 2), ('dogs', 'cats', 1)]
    assert interp.top_losses(2)[1].tolist() == [0, 8] and interp.losses[0].item() == pytest.approx(-np.log(.1), rel=1e-4)
    interp.print_classification_report()
    assert 'cats       0.86      0.75' in capsys.readouterr().out
    plot_confusion(sixteen)
    assert {t.get_text() for t in plt.gca().texts} == {'6', '2', '1', '7'}
    plt.close('all')

def test_calibration(sixteen):
    plot_calibration(sixteen)
    ax = plt.gcf().axes[0]
    points = sorted((round(float(x), 3), round(float(y), 3)) for c in ax.containers for x, y in c.lines[0].get_xydata())
    # 0.55 right; 0.6 wrong; one of 0.8 and one of seven of 0.9 wrong (0.9 is a little less in float32); six of 0.95 right
    assert points == [(.55, 1), (.6, 0), (round((.8 + 7*.9)/8, 3), .75), (.95, 1)]
    assert [t.get_text() for t in ax.texts] == ['1', '1', '8', '6']
    assert (ax.get_xlabel(), ax.get_ylabel()) == ('confidence', 'accuracy')
    plt.close('all')

@pytest.mark.parametrize('arch', ['vgg16_bn', 'resnet18'])
def test_cam_by_its_formula(drawn, learn, arch):
    if arch == 'resnet18': learn = vgg_learner(make_dls(drawn, size=64, bs=8), arch=resnet18, weights=None)
    files = list(learn.dls.valid_ds.items[:3])
    state = {k: v.clone() for k, v in learn.model.state_dict().items()}
    photos, maps = cam_maps(learn, files, [0, 1, 1])
    assert photos.shape == (3, 64, 64, 3) and maps.shape == (3, 64, 64) and maps.min() >= 0
    assert set(maps.max(axis=(1, 2)).round(3)) <= {0, 1}, 'the map of an untrained network may be empty'
    assert all(abs(p.astype(float) - np.asarray(open_photo(f))).max() < 2 for p, f in zip(photos, files))
    assert all(torch.equal(v, state[k]) for k, v in learn.model.state_dict().items())
    # the gradient's mean a channel weighs the maps (Selvaraju et al. 2017, equations 1 and 2)
    x = learn.dls.test_dl(files).one_batch()[0].as_subclass(torch.Tensor)
    body, end = (learn.model[0][0][:43], learn.model[0][0][43:]) if arch == 'vgg16_bn' else (learn.model[0], torch.nn.Identity())
    a = body.eval()(x).detach().requires_grad_()
    out = learn.model[1].eval()(end(a))
    for i, c in enumerate([0, 1, 1]):
        g, = torch.autograd.grad(out[i, c], a, retain_graph=True)
        m = (g[i].mean((1, 2), keepdim=True)*a[i]).sum(0).relu()
        m = torch.nn.functional.interpolate(m[None, None], (64, 64), mode='bilinear')[0, 0].detach()
        assert torch.allclose(torch.from_numpy(maps[i]), m/m.max().clamp(min=1e-8), atol=1e-3)

def test_worst_mistakes_first(sixteen, monkeypatch, capsys):
    assert worst_predictions(sixteen) == ([0, 8, 1], True) and worst_predictions(sixteen, 1) == ([0], True)
    show_cam(sixteen, n=2)
    titles = [t for ax in plt.gcf().axes if (t := ax.get_title())]
    assert titles == ['actual: cats\npredicted: dogs 90 %', 'actual: dogs\npredicted: cats 80 %']
    fake_probs(monkeypatch, lambda learn: (torch.tensor([[.9, .1]]*7 + [[.6, .4]] + [[.2, .8]]*8), torch.tensor([0]*8 + [1]*8)))
    assert worst_predictions(sixteen, 1) == ([7], False)
    show_cam(sixteen, n=1)
    assert 'None of the 16 validation photos is wrong' in capsys.readouterr().out
    plt.close('all')

def test_history(learn):
    with pytest.raises(ValueError, match='train first'): plot_history(learn)
    learn.fit_head(2)
    learn.fit_head(1)
    plot_history(learn)
    loss, metric = plt.gcf().axes
    assert [len(l.get_xdata()) for l in loss.lines[:2]] == [3, 3] and len(loss.lines) == 3, 'two curves, and where the second fit begins'
    assert metric.get_legend().get_texts()[0].get_text() == 'accuracy'
    plt.close('all')

# --- names, as people give them ---

def drawn_texts():
    "Draw the current figure, with no warning, and return its titles and headings"
    fig = plt.gcf()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        plt.savefig(io.BytesIO())
    texts = [ax.get_title() for ax in fig.get_axes()] + [f.get_suptitle() for f in [fig, *fig.subfigs]]
    plt.close(fig)
    return list(filter(None, texts))

LONG = [f'{"x"*90}{i}{"y"*90}' for i in (1, 2)]
NAMES = [('Ba$$in', '$5-$10'), ('$a$', '$\\frac$'), ('_cat', 'a_b^{2}\\alpha'), ('گربه\u200cها', 'سگ\u200cها'), ('no\xa0break', 'wide\u3000space'),
    ('<b>&amp;', '100%'), ('🐱', '👩\u200d🚒'), ('猫', 'กา'), ('two\nlines', 'bell\a'), LONG]

@pytest.mark.parametrize('names', NAMES, ids=ascii)
def test_names_are_drawn_as_they_are(sixteen, names):
    sixteen.dls.vocab, labels = list(names), class_labels(names)
    assert len(set(labels)) == 2 and all(len(label) < 50 for label in labels)
    settings = dict(plt.rcParams)
    plot_confusion(sixteen)
    assert [t.get_text() for t in plt.gca().get_xticklabels()] == labels
    drawn_texts()
    show_mistakes(sixteen, n=1)
    text = ' '.join(drawn_texts())
    if names is not LONG: assert all(' '.join(label.split()) in ' '.join(text.split()) for label in labels)
    show_cam(sixteen, n=1)
    drawn_texts()
    plots([np.zeros((8, 8))]*3, titles=[*names, None])
    assert drawn_texts() == [drawable(n) for n in names]
    assert dict(plt.rcParams) == settings

def test_dollars_stay(sixteen):
    sixteen.dls.vocab = ['Ba$$in', '$5-$10']
    show_mistakes(sixteen, n=3)
    titles = [ax.title for ax in plt.gcf().get_axes() if ax.get_title()]
    assert 'actual: Ba$$in\npredicted: $5-$10 90 %' in [t.get_text() for t in titles] and not any(t.get_parse_math() for t in titles)
    plt.close('all')

def test_a_font_is_found_for_letters_that_the_chosen_one_lacks():
    with plt.rc_context({'font.family': ['DejaVu Sans Display']}):  # it has next to no letters; DejaVu Sans has them
        plots([np.zeros((8, 8))], titles=['снег'])
    assert plt.gca().title.get_fontfamily()[0] == 'DejaVu Sans Display' and len(plt.gca().title.get_fontfamily()) > 1
    assert drawn_texts() == ['снег']

def test_where_no_font_is_found_names_are_still_told_apart(monkeypatch):
    monkeypatch.setattr(lettering, '_installed', lambda: [])
    lettering._fonts_for.cache_clear()
    plots([np.zeros((8, 8))]*2, titles=['猫', '犬'])
    assert drawn_texts() == ['\\u732b', '\\u72ac']
    assert drawable(b'chat\xe9'.decode('utf-8', 'surrogateescape')) == 'chat\\udce9' and drawable('a\u3000b') == 'a b'
    lettering._fonts_for.cache_clear()

# --- odd results ---

def test_a_diverged_model_is_reported():
    with pytest.raises(ValueError, match='2 of 3 photos are not numbers .NaN.: the training has diverged'):
        score_probs(torch.tensor([[.9, .1], [torch.nan]*2, [torch.nan, 0]]), torch.tensor([0, 1, 1]))

def test_views_of_a_diverged_model(learn, monkeypatch):
    fake_probs(monkeypatch, lambda learn: (torch.full((16, 2), torch.nan), torch.tensor([0]*8 + [1]*8)))
    assert len(mistake_views(learn)) == 8
    plot_confusion(learn)
    plot_calibration(learn)
    plt.close('all')

def test_classes_without_validation_photos(sixteen, monkeypatch, capsys):
    fake_probs(monkeypatch, lambda learn: (torch.tensor([[.1, .8, .1]]), torch.tensor([1])))
    sixteen.dls.vocab = ['a', 'b', 'c']
    assert interpret(sixteen).confusion_matrix().tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]] and not interpret(sixteen).most_confused()
    interpret(sixteen).print_classification_report()
    assert 'c       0.00' in capsys.readouterr().out
    assert score(sixteen)['photos'] == 1 and worst_predictions(sixteen) == ([0], False)
    for show in (plot_confusion, plot_calibration, show_mistakes): show(sixteen)
    plt.close('all')

def test_a_photo_that_has_gone_is_left_out(drawn, tmp_path, monkeypatch, capsys):
    data = shutil.copytree(drawn, tmp_path/'pets')
    learn = vgg_learner(make_dls(data, size=64, bs=8), weights='bundled')
    fake_probs(monkeypatch, lambda learn: (torch.tensor([[.9, .1]]*16), torch.tensor([0]*8 + [1]*8)))
    learn.dls.valid_ds.items[8].unlink()
    learn.dls.valid_ds.items[9].write_bytes(b'no photo any more')
    show_mistakes(learn, n=4)
    titles = [' '.join(ax.get_title().split()) for ax in plt.gcf().get_axes()]
    assert any('left out: there is no such file' in t for t in titles) and any('left out: not a photo' in t for t in titles)
    assert all(len(ax.images) == ('left out' not in ax.get_title()) for ax in plt.gcf().get_axes() if ax.get_title())
    show_cam(learn, n=4)
    assert len(plt.gcf().get_axes()) == 4 and capsys.readouterr().out.count('is left out: ') == 2
    for f in learn.dls.valid_ds.items[10:]: f.unlink()
    with pytest.raises(ValueError, match='no photos to show'): show_cam(learn, n=4)
    plt.close('all')

def test_history_without_metrics(learn):
    learn.metrics = []
    learn.fit_head(1)
    plot_history(learn)
    assert drawn_texts() == ['loss', 'metrics on the validation photos']

def test_photos_of_a_table(drawn):
    import pandas as pd
    from fastai.vision.all import ImageDataLoaders, Resize, ResizeMethod
    files = [(p.relative_to(drawn).as_posix(), p.parent.name, p.parts[-3] == 'valid') for p in sorted(drawn.glob('*/*/*.jpg')) if p.parts[-3] != 'test']
    dls = ImageDataLoaders.from_df(pd.DataFrame(files, columns=['file', 'label', 'is_valid']), path=drawn, valid_col='is_valid', bs=8,
        item_tfms=Resize(64, method=ResizeMethod.Squish), num_workers=0)
    learn = vgg_learner(dls, weights='bundled')
    learn.fit_head(1)
    for show in (show_mistakes, show_cam):
        show(learn, n=2)
        assert len([t for t in drawn_texts() if t.startswith(('actual', 'predicted'))]) >= 2

def test_letters_take_back_only_their_own_settings(monkeypatch):
    "A notebook's backend turns `interactive` on at its first figure; were that taken back, later plots would not show"
    monkeypatch.setitem(plt.rcParams, 'interactive', False)
    math, family = plt.rcParams['text.parse_math'], plt.rcParams['font.family']
    with pytest.raises(KeyError), lettering.lettering(['$']):
        assert not plt.rcParams['text.parse_math']
        plt.rcParams['interactive'] = True
        raise KeyError
    assert plt.rcParams['interactive']
    assert (plt.rcParams['text.parse_math'], plt.rcParams['font.family']) == (math, family)
