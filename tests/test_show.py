"Pictures of what was learnt: the right photos in each view, and words where colour would not do."
import matplotlib.pyplot as plt
import pytest
import torch

from dogscats_course.show import mistake_views, plot_history, score, show_mistakes

@pytest.fixture
def sixteen(learn, monkeypatch):
    "A learner whose predictions are known: dogs 8 to 15; it gets cats 0 and 1 and dog 8 wrong, and is least sure of dog 9"
    p_dog = torch.tensor([.9, .6, *[.1]*6, .2, .55, *[.95]*6])
    targets = torch.tensor([0]*8 + [1]*8)
    monkeypatch.setattr('dogscats_course.show.class_probs', lambda learn: (torch.stack([1 - p_dog, p_dog], 1), targets))
    return learn

def test_views(sixteen):
    views = mistake_views(sixteen, n=3)
    assert list(views) == ['right at random (13 of 16)', 'wrong at random (3 of 16)', 'cats: surest and right (of 6)', 'dogs: surest and right (of 7)',
                           'cats: surest and wrong (of 2)', 'dogs: surest and wrong (of 1)', 'least sure']
    right, wrong, *_ = views.values()
    assert sorted(wrong) == [0, 1, 8] and len(set(right)) == 3 and not {0, 1, 8} & set(right)
    assert views['cats: surest and wrong (of 2)'] == [0, 1] and views['dogs: surest and wrong (of 1)'] == [8]
    assert views['least sure'][:2] == [9, 1]
    assert mistake_views(sixteen, n=3) == views

def test_titles_tell_right_from_wrong_in_words(sixteen):
    show_mistakes(sixteen, n=3)
    titles = [t for ax in plt.gcf().get_axes() if (t := ax.get_title())]
    assert 'WRONG: is cats,\nsaid dogs 90%' in titles and 'right: is dogs,\nsaid dogs 55%' in titles
    plt.close('all')

@pytest.mark.parametrize('n', [1, 2])
def test_none_wrong_is_said(learn, monkeypatch, n):
    monkeypatch.setattr('dogscats_course.show.class_probs', lambda learn: (torch.tensor([[.9, .1]]*8 + [[.2, .8]]*8), torch.tensor([0]*8 + [1]*8)))
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

def test_history(learn):
    with pytest.raises(ValueError, match='train first'): plot_history(learn)
    learn.fit_head(2)
    learn.fit_head(1)
    plot_history(learn)
    loss, metric = plt.gcf().axes
    assert [len(l.get_xdata()) for l in loss.lines[:2]] == [3, 3] and len(loss.lines) == 3, 'two curves, and where the second fit begins'
    assert metric.get_legend().get_texts()[0].get_text() == 'accuracy'
    plt.close('all')
