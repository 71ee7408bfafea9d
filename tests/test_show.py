"Pictures of results: the right photos in each view, and words instead of colour alone."
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from fastai.vision.all import ClassificationInterpretation, resnet18

from dogscats_course.photos import open_photo
from dogscats_course.data import make_dls
from dogscats_course.learner import vgg_learner
from dogscats_course.score import interpret, mistake_views, prediction_text, score, worst_predictions
from dogscats_course.cam import cam_maps, show_cam
from dogscats_course.show import plot_calibration, plot_confusion, plot_history, show_mistakes

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
                           'dogs: surest and right (of 7)', 'cats: surest and wrong (of 2)', 'dogs: surest and wrong (of 1)', 'least sure']
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
