"Architectures and settings are compared on the same photos, with intervals."
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from dogscats_course import compare
from dogscats_course.body import iter_features
from dogscats_course.compare import compare_archs, plot_archs, plot_sweep, sweep
from dogscats_course.data import make_dls
from dogscats_course.learner import vgg_learner
from dogscats_course.score import wilson_interval

@pytest.fixture(autouse=True)
def no_weights(monkeypatch, tmp_path):
    "A machine that no weights were downloaded to, and none can be"
    monkeypatch.setenv('TORCH_HOME', str(tmp_path/'torch'))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', lambda *_, **__: pytest.fail('weights were downloaded'))

@pytest.fixture
def computed(monkeypatch):
    "How many photos had their features computed for the cache, a number each time"
    calls = []
    def counted(learn, dl, *args):
        calls.append(len(dl.dataset))
        return iter_features(learn, dl, *args)
    monkeypatch.setattr('dogscats_course.features.iter_features', counted)
    return calls

def test_architectures(drawn, computed, cache_at, tmp_path):
    cache_at(tmp_path/'cache')
    table = compare_archs(drawn, ['resnet18', 'squeezenet1_1'], weights=None, size=64, epochs=1)
    assert table.arch.tolist() == ['resnet18', 'squeezenet1_1'] and set(table.dtype) <= {'bfloat16', 'float32'}
    assert sorted(computed) == [16, 16, 24, 24], 'each photo once a network'
    for row in table.itertuples():
        assert (row.accuracy_low, row.accuracy_high) == wilson_interval(round(16*row.accuracy), 16)
        assert row.log_loss > 0 and row.feature_seconds > 0 and row.head_seconds > 0
        assert row.parameters == sum(p.numel() for p in vgg_learner(make_dls(drawn, size=64), arch=row.arch, weights=None).model.parameters())
    again = compare_archs(drawn, ['squeezenet1_1', 'resnet18'], weights=None, size=64, epochs=1)
    assert len(computed) == 4, 'and never again'
    assert again[::-1].accuracy.tolist() == table.accuracy.tolist(), 'whatever else is compared'
    before = set(plt.get_fignums())
    plot_archs(table)
    fig = plt.figure((set(plt.get_fignums()) - before).pop())
    assert [t.get_text().strip() for t in fig.axes[0].texts] == table.arch.tolist()
    plt.close(fig)

def test_weights_that_are_not_on_this_machine(drawn, capsys):
    table = compare_archs(drawn, ['resnet18', 'vgg16_bn'], size=64, epochs=1, limit=4)
    out = capsys.readouterr().out
    assert table.arch.tolist() == ['vgg16_bn'] and 'Left out: resnet18.' in out and '--weights imagenet' in out

@pytest.mark.parametrize('archs, words', [(['vgg16_bn', 'resnet81'], 'nearest names'), (['vgg16_bn', 'vit_b_16'], 'cannot cut it'), (['resnet18'], 'no architecture to compare'), ([], 'no architecture to compare')])
def test_archs_that_cannot_be_compared_are_told_before_any_photo_is_opened(monkeypatch, archs, words):
    monkeypatch.setattr(compare, 'make_dls', lambda *_, **__: pytest.fail('photos were opened'))
    with pytest.raises(ValueError, match=words): compare_archs('nowhere', archs)

def test_sweep(drawn):
    table = sweep(drawn, limit=[3, None], epochs=(1, 2), size=64, seed=range(3), arch='squeezenet1_1', weights=None)
    assert table[['photos', 'epochs']].values.tolist() == [[6, 1], [6, 2], [24, 1], [24, 2]]
    assert (table.runs == 3).all() and set(table.arch) == {'squeezenet1_1'} and set(table['size']) == {64} and set(table.lr) == {3e-3}
    for row in table.itertuples(): assert (row.accuracy_low, row.accuracy_high) == wilson_interval(round(16*row.accuracy), 16)
    one = sweep(drawn, limit=3, epochs=2, size=64, seed=1, arch='squeezenet1_1', weights=None)
    assert len(one) == 1 and one.runs[0] == 1 and np.isnan(one.spread[0])

def test_a_row_is_the_mean_of_its_seeds(drawn):
    def accuracies(seed): return sweep(drawn, limit=[2, 8], epochs=1, size=64, seed=seed, weights='bundled')
    all_of, single = accuracies([3, 4]), [accuracies(s) for s in (3, 4)]
    pairs = np.array([t.accuracy for t in single])
    np.testing.assert_allclose(all_of.accuracy, pairs.mean(0))
    np.testing.assert_allclose(all_of.spread, pairs.std(0, ddof=1))

def test_sizes_and_architectures_and_rates(drawn):
    table = sweep(drawn, size=[32, 64], arch=['squeezenet1_1', 'resnet18'], lr=[1e-3, 1e-2], epochs=1, seed=0, weights=None)
    assert table[['arch', 'size', 'lr']].drop_duplicates().shape == (8, 3)

def test_photos_are_drawn_by_seed_and_evenly(drawn):
    dls = make_dls(drawn, size=64)
    few = compare._some(dls, 5, seed=1)
    assert [sum(f.parent.name == c for f in few) for c in dls.vocab] == [5, 5] and len(set(few)) == 10
    assert few == compare._some(dls, 5, seed=1) != compare._some(dls, 5, seed=2)
    assert compare._some(dls, 100, seed=1) and sorted(compare._some(dls, 100, seed=1)) == sorted(dls.train_ds.items)

@pytest.mark.parametrize('kwargs, words', [
    (dict(epochs=0), 'epochs must be at least 1, not 0'), (dict(epochs=[1, 'two']), 'epochs must be a whole number'), (dict(limit=0), 'limit must be at least 1'),
    (dict(size=[64, 20]), 'size must be at least 32'), (dict(seed=-1), 'seed must be at least 0'), (dict(lr=0), 'lr must be a number greater than 0'), (dict(lr=[1e-3, 'fast']), "not 'fast'"), (dict(lr=float('nan')), 'not nan'),
    (dict(lr=[]), 'lr has no values'), (dict(arch='resnet81'), 'nearest names'), (dict(arch=['vgg16_bn', 'vit_b_16'], weights=None), 'cannot cut it'), (dict(epochs=[None]), 'whole number')])
def test_settings_that_are_wrong_are_told_before_any_photo_is_opened(monkeypatch, kwargs, words):
    monkeypatch.setattr(compare, 'make_dls', lambda *_, **__: pytest.fail('photos were opened'))
    with pytest.raises(ValueError, match=words): sweep('nowhere', **kwargs)

def test_unknown_settings():
    with pytest.raises(TypeError, match='photos'): sweep('nowhere', photos=[1, 2])

@pytest.mark.parametrize('seed, label', [(range(2), 'spread over seeds'), (0, '95 % interval')])
def test_the_plot_of_a_sweep(drawn, seed, label):
    table = sweep(drawn, limit=[2, 8], epochs=[1, 2], size=64, seed=seed, arch='squeezenet1_1', weights=None)
    before = set(plt.get_fignums())
    plot_sweep(table)
    fig = plt.figure((set(plt.get_fignums()) - before).pop())
    ax, = fig.axes
    assert label in ax.get_ylabel() and [t.get_text() for t in ax.get_legend().get_texts()] == ['epochs: 1', 'epochs: 2']
    assert len(ax.containers) == 2 and [t.get_text() for t in ax.get_xticklabels()] == ['4', '16']
    plt.close(fig)
    with pytest.raises(ValueError, match='Nothing varies'): plot_sweep(table[:1])

def test_the_plot_of_architectures_alone(drawn):
    table = sweep(drawn, arch=['squeezenet1_1', 'resnet18'], size=64, epochs=1, seed=0, weights=None)
    before = set(plt.get_fignums())
    plot_sweep(table)
    fig = plt.figure((set(plt.get_fignums()) - before).pop())
    ax, = fig.axes
    assert [t.get_text() for t in ax.get_xticklabels()] == ['squeezenet1_1', 'resnet18'] and ax.get_legend() is None
    plt.close(fig)
