"The seven lines, as they stood in the course."
import numpy as np
import pytest
import torch
from PIL import Image

from dogscats_course.all import LayoutError, Vgg16, check_layout, plots, save_classifier, input_spec, set_seed

@pytest.fixture(scope='module')
def trained(drawn):
    vgg = Vgg16()
    batches     = vgg.get_batches(drawn/'train', batch_size=8)
    val_batches = vgg.get_batches(drawn/'valid', batch_size=8)
    vgg.finetune(batches)
    vgg.fit(batches, val_batches, nb_epoch=1)
    return vgg, batches, val_batches

def test_batches(drawn, capsys):
    batches = Vgg16().get_batches(drawn/'train', batch_size=10)
    assert capsys.readouterr().out == 'Found 24 images belonging to 2 classes.\n'
    assert (batches.classes, batches.class_indices, batches.n, len(batches.filenames)) == (['cats', 'dogs'], {'cats': 0, 'dogs': 1}, 24, 24)
    seen = [next(batches) for _ in range(6)]
    assert [len(imgs) for imgs, _ in seen] == [10, 10, 4]*2, 'endless, and each round holds every photo once'
    imgs, labels = seen[0]
    assert imgs.shape == (10, 224, 224, 3) and imgs.dtype == np.uint8 and labels.shape == (10, 2)
    assert (labels.sum(1) == 1).all() and sum(l.sum(0) for _, l in seen[:3]).tolist() == [12, 12]

def test_unlabelled_batches(drawn):
    batches = Vgg16().get_batches(drawn/'test1', batch_size=4, shuffle=False)
    imgs, labels = next(batches)
    assert labels is None and len(imgs) == 4 and batches.filenames == sorted(batches.filenames)

def test_fit_continues_undisturbed_by_batches(drawn):
    def run(draw):
        set_seed(3)
        vgg = Vgg16('bundled')
        a, b = (vgg.get_batches(drawn/s, batch_size=8) for s in ('train', 'valid'))
        vgg.finetune(a)
        if draw: next(a), next(b)
        vgg.fit(a, b)
        vgg.fit(a, b, nb_epoch=2)
        return vgg
    a, b = run(False), run(True)
    assert a.learn.history.fit.tolist() == [1, 2, 2]
    assert a.learn.history.valid_loss.tolist() == b.learn.history.valid_loss.tolist()

def test_predict(trained, drawn):
    vgg, _, val_batches = trained
    imgs, _ = next(val_batches)
    probs, idxs, names = vgg.predict(imgs)
    assert len(probs) == len(idxs) == len(names) == 8 and all(0.5 <= p <= 1 for p in probs)
    assert names == [vgg.classes[i] for i in idxs]
    f = drawn/'valid/cats/cat.12.jpg'
    (p, _, _), (q, _, _) = vgg.predict([f]), vgg.predict([Image.open(f)])
    assert p == pytest.approx(q)

def test_predict_shows_details(trained):
    import matplotlib.pyplot as plt
    plt.close('all')
    vgg, _, val_batches = trained
    _, _, names = vgg.predict(next(val_batches)[0][:3], details=True)
    assert [ax.get_title().split()[0] for ax in plt.gcf().axes[:3]] == names

def test_test(trained, drawn):
    vgg, *_ = trained
    batches, probs = vgg.test(drawn/'valid', batch_size=4)
    assert probs.shape == (16, 2) and probs.sum(1) == pytest.approx(1, abs=1e-5)
    right = np.mean([batches.classes[p.argmax()] == f.split('/')[0] for p, f in zip(probs, batches.filenames)])
    assert right == pytest.approx(vgg.learn.history.accuracy.iloc[-1])
    assert vgg.test(drawn/'test1')[1].shape == (6, 2)

def test_save_and_load(trained, drawn, tmp_path):
    vgg, batches, val_batches = trained
    vgg.save(tmp_path/'vgg')
    loaded = Vgg16.load(tmp_path/'vgg')
    assert loaded.classes == vgg.classes
    assert (loaded.test(drawn/'test1')[1] == vgg.test(drawn/'test1')[1]).all()
    loaded.fit(batches, val_batches)

def test_a_loaded_classifier_continues_with_its_own_preprocessing(learn, drawn, tmp_path):
    learn.fit_head(1)
    save_classifier(learn, tmp_path/'small')
    vgg = Vgg16.load(tmp_path/'small')
    vgg.fit(vgg.get_batches(drawn/'train', 8), vgg.get_batches(drawn/'valid', 8))
    size, normalize = input_spec(vgg.learn)
    assert size == 64 and torch.equal(normalize.mean.cpu(), input_spec(learn)[1].mean.cpu())

def test_three_classes(drawn, tmp_path):
    for split in ('train', 'valid'):
        for c, source in (('a', 'cats'), ('b', 'dogs'), ('c', 'cats')):
            (tmp_path/split/c).mkdir(parents=True)
            for f in sorted((drawn/split/source).iterdir())[:4]: (tmp_path/split/c/f.name).write_bytes(f.read_bytes())
    vgg = Vgg16('bundled')
    batches, val_batches = (vgg.get_batches(tmp_path/s, batch_size=4) for s in ('train', 'valid'))
    vgg.finetune(batches)
    vgg.fit(batches, val_batches)
    assert vgg.classes == ['a', 'b', 'c'] and vgg.test(tmp_path/'valid')[1].shape == (12, 3)

def test_titles(drawn):
    import matplotlib.pyplot as plt
    imgs, labels = next(Vgg16().get_batches(drawn/'train', batch_size=3, shuffle=False))
    plots(imgs, titles=labels)
    assert [ax.get_title() for ax in plt.gcf().axes] == ['cats [1 0]']*3 and 'cats, dogs' in plt.gcf().get_suptitle()
    plots([drawn/'valid/cats/cat.12.jpg', Image.new('L', (9, 9))], rows=2)
    with pytest.raises(ValueError, match='each image one title'): plots(imgs, titles=['a'])

def test_errors(trained, drawn, tmp_path):
    vgg, batches, val_batches = trained
    unlabelled = vgg.get_batches(drawn/'test1')
    with pytest.raises(ValueError, match='finetune'): Vgg16().fit(batches, val_batches)
    with pytest.raises(ValueError, match='finetune'): Vgg16().test(drawn/'valid')
    with pytest.raises(ValueError, match='classes of val_batches are none'): vgg.fit(batches, unlabelled)
    with pytest.raises(LayoutError, match='two classes'): Vgg16().finetune(unlabelled)
    with pytest.raises(FileNotFoundError, match='There is no folder'): vgg.get_batches(drawn/'nowhere')
    with pytest.raises(LayoutError, match='one of them'): vgg.get_batches(drawn)
    with pytest.raises(LayoutError, match='no photo'): vgg.get_batches(tmp_path)
    with pytest.raises(ValueError, match='at least'): vgg.get_batches(drawn/'train', batch_size=0)

def test_before_finetune(trained):
    imgs = next(trained[2])[0][:1]
    with pytest.raises(ValueError, match="528 MB.*finetune"): Vgg16('bundled').predict(imgs)
    assert len(Vgg16().classes) == 1000

def test_imagenet_classes(trained, monkeypatch):
    from torchvision.models import vgg16_bn
    monkeypatch.setattr('dogscats_course.vgg16.imagenet_weights', lambda: vgg16_bn().state_dict())
    probs, idxs, names = Vgg16('imagenet').predict(next(trained[2])[0][:2])
    assert names == [Vgg16().classes[i] for i in idxs] and (probs > 0).all()

def test_on_the_photos(photos):
    vgg, accuracies = Vgg16(), []
    batches     = vgg.get_batches(photos/'sample/train', batch_size=64)
    val_batches = vgg.get_batches(photos/'sample/valid', batch_size=128)
    for seed in (42, 43, 44):  # with so few validation photos, one seed is not enough
        set_seed(seed)
        vgg.finetune(batches)
        vgg.fit(batches, val_batches, nb_epoch=3)
        accuracies.append(vgg.learn.history.accuracy.iloc[-1])
    held = check_layout(photos/'sample').groupby('split').photos.sum()
    assert (batches.n, val_batches.n) == (held['train'], held['valid'])
    assert np.mean(accuracies) >= 0.9 and round(accuracies[0], 4) >= 0.9, accuracies  # float32 has 0.9 a little below 0.9
