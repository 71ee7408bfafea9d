"Copies are found, and other pictures are not; a plan does what it lists, and nothing else; nothing is ever lost."
import shutil, subprocess, sys

import numpy as np
import pandas as pd
import pytest
from fastai.vision.all import set_seed
from PIL import Image

from dogscats_course.duplicates import (_bits, _close_pairs, _photo_hashes, extra_copies, leaks, near_duplicates,
    show_pairs)
from dogscats_course.plan import apply_plan, clean_plan, removed_folder, undo_plan
from dogscats_course.clean import worst_losses
from dogscats_course.photos import open_photo
from dogscats_course.layout import check_layout
from dogscats_course.data import make_dls
from dogscats_course.draw import draw_dogscats
from dogscats_course.learner import vgg_learner

@pytest.fixture(scope='module')
def large(tmp_path_factory):
    "Pictures as large as the course's; read only"
    return draw_dogscats(tmp_path_factory.mktemp('large')/'pets', train=15, valid=5, test=2)

@pytest.fixture
def pets(drawn, tmp_path): return shutil.copytree(drawn, tmp_path/'pets')

@pytest.fixture
def photo(large): return large/'train/cats/cat.0.jpg'

def tree(path): return {f.relative_to(path).as_posix(): f.read_bytes() for f in sorted(path.rglob('*')) if f.is_file()}

# --- copies ---

def trim(im, part):
    w, h = im.size
    return im.crop((round(w*part), round(h*part), round(w*(1 - part)), round(h*(1 - part))))

@pytest.mark.parametrize('name, change, most', [
    ('copy.jpg', None, 0),
    ('small.jpg', lambda im: im.resize((90, 90)), 12),
    ('large.png', lambda im: im.resize((500, 500)), 12),
    ('saved_again.webp', lambda im: im, 12),
    ('greyscale.jpg', lambda im: im.convert('L'), 12),
    ('squeezed.jpg', lambda im: im.resize((300, 150)), 12),
    ('darker.jpg', lambda im: im.point(lambda v: int(v*.7)), 20),
    ('trimmed.jpg', lambda im: trim(im, .02), 56),
])
def test_each_kind_of_copy_is_found(large, photo, tmp_path, name, change, most):
    copy = tmp_path/name
    if change is None: shutil.copy(photo, copy)
    else: change(open_photo(photo)).save(copy, quality=50)
    others = [f for f in sorted((large/'train').rglob('*.jpg')) if f != photo]
    pairs = near_duplicates([photo, copy, *others])
    assert [(a, b) for a, b in zip(pairs.file_a, pairs.file_b)] == [(photo, copy)] and pairs.distance.item() <= most

def test_a_turned_camera_and_a_turned_file_are_the_same(photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    open_photo(photo).rotate(90).save(tmp_path/'turned.jpg', exif=exif)
    assert len(near_duplicates([photo, tmp_path/'turned.jpg'])) == 1

def test_different_pictures_are_not_copies(large): assert len(near_duplicates(large)) == 0

def test_pairs_are_those_of_a_plain_loop():
    bits = np.random.default_rng(0).integers(0, 2, (60, _bits))*2 - 1
    bits[40:50] = bits[:10]
    wanted = {(i, j): int((bits[i] != bits[j]).sum()) for i in range(60) for j in range(i + 1, 60) if (bits[i] != bits[j]).sum() <= 120}
    d, a, b = _close_pairs(bits.astype(np.float32), 120, block=7)
    assert dict(zip(zip(a.tolist(), b.tolist()), d.tolist())) == wanted and len(wanted) > 10

def test_table_of_pairs_and_leaks(large, photo, tmp_path):
    path = shutil.copytree(large, tmp_path/'pets')
    shutil.copy(photo, path/'valid/dogs/a.jpg')
    shutil.copy(photo, path/'train/cats/b.jpg')
    pairs = near_duplicates(path)
    assert list(pairs) == ['distance', 'split_a', 'class_a', 'file_a', 'split_b', 'class_b', 'file_b'] and len(pairs) == 3
    assert pairs.distance.tolist() == [0, 0, 0] and {'train', 'valid'} == {*pairs.split_a, *pairs.split_b}
    found = leaks(path)
    assert len(found) == 2 and (found.split_a != found.split_b).all() and (found.file_b == path/'valid/dogs/a.jpg').all()
    assert len(leaks(path, distance=0)) == 2 and len(near_duplicates(path/'train')) == 1

def test_damaged_files_are_left_out_and_reported(photo, tmp_path, capsys):
    (tmp_path/'half.jpg').write_bytes(photo.read_bytes()[:900])
    (tmp_path/'page.jpg').write_text('<html>')
    shutil.copy(photo, tmp_path/'copy.jpg')
    assert len(near_duplicates([photo, *tmp_path.iterdir()])) == 1
    assert 'Left out 2 of 4 photos that cannot be read' in capsys.readouterr().out
    assert len(near_duplicates([tmp_path/'page.jpg'])) == len(near_duplicates([])) == 0

def test_a_missing_package_is_reported_with_the_pip_command(drawn, monkeypatch):
    monkeypatch.setitem(sys.modules, 'imagehash', None)
    with pytest.raises(ImportError, match=r"pip install 'dogscats_course\[clean\]'"): near_duplicates(drawn)

def test_real_photos(photos):
    "Kaggle's own photos hold a few true pairs in thousands, some of them in test"
    pairs = near_duplicates(photos)
    n = check_layout(photos).photos.sum()
    assert 0 < len(pairs) < max(10, n/200)
    strangers = _close_pairs(_photo_hashes(sorted((photos/'valid').rglob('*.jpg'))[:1000]), _bits)[0]
    assert np.quantile(strangers, .001) > 80, 'far beyond the default distance of 56'

def test_show_pairs(large, photo, tmp_path):
    import matplotlib.pyplot as plt
    shutil.copy(photo, tmp_path/f'{"long_name_"*5}.jpg')
    show_pairs(near_duplicates([photo, *tmp_path.iterdir()]))
    titles = [ax.get_title() for ax in plt.gcf().axes]
    plt.close('all')
    assert 'CLASSES DIFFER' in titles[0] and '0 bits differ' in titles[0] and all(len(line) < 26 for t in titles for line in t.split('\n'))
    with pytest.raises(ValueError, match='no pairs'): show_pairs(near_duplicates([photo]))

def pairs_of(*rows):
    columns = ['distance', 'split_a', 'class_a', 'file_a', 'split_b', 'class_b', 'file_b']
    return pd.DataFrame([(0, *a, *b) for a, b in rows], columns=columns)

def test_extra_copies(tmp_path, capsys):
    def file(split, cls, name, size):
        f = tmp_path/split/cls/name
        f.parent.mkdir(parents=True, exist_ok=True)
        f.write_bytes(b'x'*size)
        return split, cls, f
    small, large, huge = (file('train', 'cats', f'{n}.jpg', n) for n in (10, 20, 30))
    held, tested = file('valid', 'cats', 'held.jpg', 5), file('test', '', 'tested.jpg', 5)
    def names(*rows): return sorted(f.name for f in extra_copies(pairs_of(*rows)))
    assert names((small, large), (large, huge)) == ['10.jpg', '20.jpg'], 'a group of three, though no pair joins the first and the last'
    assert names((small, held)) == ['10.jpg'] and names((huge, held), (held, tested)) == ['30.jpg', 'held.jpg']
    assert names((tested, file('test', '', 'again.jpg', 5))) == [], 'photos of test stay'
    assert capsys.readouterr().out == ''
    assert names((small, large), (huge, file('train', 'dogs', 'dog.jpg', 5))) == ['10.jpg'] and 'Left alone: 1 group' in capsys.readouterr().out
    assert extra_copies(pairs_of()) == []

# --- plans ---

def test_a_plan_is_shown_applied_and_undone(pets, tmp_path, capsys):
    before = tree(tmp_path)
    a, b = pets/'train/cats/cat.0.jpg', pets/'valid/dogs/dog.12.jpg'
    plan = clean_plan(pets, delete=[a], relabel={b: 'cats'})
    assert plan.values.tolist() == [['train/cats/cat.0.jpg', 'delete', '../pets-removed/train/cats/cat.0.jpg'], ['valid/dogs/dog.12.jpg', 'relabel', 'valid/cats/dog.12.jpg']]
    assert tree(tmp_path) == before, 'a plan moves nothing'
    apply_plan(pets, plan)
    after = tree(tmp_path)
    renamed = {'pets/train/cats/cat.0.jpg': 'pets-removed/train/cats/cat.0.jpg', 'pets/valid/dogs/dog.12.jpg': 'pets/valid/cats/dog.12.jpg'}
    assert after.pop('pets-removed/moves.csv') and after == {renamed.get(k, k): v for k, v in before.items()}
    undo_plan(pets)
    assert tree(tmp_path) == before and [p.name for p in tmp_path.iterdir()] == ['pets']
    assert 'Moved back: 2' in capsys.readouterr().out

def test_plans_are_undone_in_reverse_order(pets, tmp_path):
    states = [tree(pets)]
    for name in ('cat.0.jpg', 'cat.1.jpg', 'cat.2.jpg'):
        apply_plan(pets, clean_plan(pets, delete=[pets/'train/cats'/name]))
        states.append(tree(pets))
    for state in states[-2::-1]:
        undo_plan(pets)
        assert tree(pets) == state
    with pytest.raises(ValueError, match='no plan to undo'): undo_plan(pets)

def test_finished_moves_are_not_repeated(pets, tmp_path, capsys):
    a, b = pets/'train/cats/cat.0.jpg', pets/'train/dogs/dog.0.jpg'
    def work():
        apply_plan(pets, plan := clean_plan(pets, delete=[a], relabel={b: 'cats'}))
        return plan
    plan = work()
    after = tree(tmp_path)
    assert len(work()) == 0 and apply_plan(pets, plan) is None and tree(tmp_path) == after
    assert 'There is nothing to move.' in capsys.readouterr().out

def test_nothing_is_overwritten(pets, tmp_path):
    a = pets/'train/cats/cat.0.jpg'
    plan = clean_plan(pets, delete=[pets/'train/cats/cat.1.jpg'], relabel={a: 'dogs'})
    (pets/'train/dogs/cat.0.jpg').write_text('mine')
    before = tree(tmp_path)
    with pytest.raises(FileExistsError, match='would be overwritten. Nothing has been moved'): apply_plan(pets, plan)
    assert tree(tmp_path) == before
    assert clean_plan(pets, relabel={a: 'dogs'}).to.item() == 'train/dogs/cat.0_2.jpg', 'a new plan finds a free name'
    twice = pd.DataFrame([('train/cats/cat.1.jpg', 'relabel', 'train/dogs/x.jpg'), ('train/cats/cat.2.jpg', 'relabel', 'train/dogs/x.jpg')], columns=['file', 'action', 'to'])
    with pytest.raises(FileExistsError): apply_plan(pets, twice)
    assert tree(tmp_path) == before

def test_two_photos_of_one_name_get_two_names(pets):
    for split in ('a', 'b'):
        (pets/'train/cats'/split).mkdir()
        shutil.copy(pets/'train/cats/cat.0.jpg', pets/'train/cats'/split/'1.jpg')
    shutil.copy(pets/'train/cats/cat.0.jpg', pets/'train/dogs/1.jpg')
    plan = clean_plan(pets, relabel={pets/'train/cats/a/1.jpg': 'dogs', pets/'train/dogs/1.jpg': 'cats'})
    assert plan.to.tolist() == ['train/dogs/a/1.jpg', 'train/cats/1.jpg'], 'folders below a class are kept'

def test_undo_does_not_overwrite(pets, tmp_path):
    a = pets/'train/cats/cat.0.jpg'
    apply_plan(pets, clean_plan(pets, delete=[a]))
    a.write_text('a new one')
    before = tree(tmp_path)
    with pytest.raises(FileExistsError, match='would be overwritten'): undo_plan(pets)
    assert tree(tmp_path) == before

def test_an_interrupted_plan_can_be_undone_or_finished(pets, tmp_path, monkeypatch):
    before, move, moved = tree(tmp_path), shutil.move, []
    def stop(a, b):
        if len(moved) == 2: raise KeyboardInterrupt
        moved.append(move(a, b))
    plan = clean_plan(pets, delete=sorted((pets/'train/cats').iterdir())[:4])
    monkeypatch.setattr('dogscats_course.plan.shutil.move', stop)
    with pytest.raises(KeyboardInterrupt): apply_plan(pets, plan)
    monkeypatch.undo()
    undo_plan(pets)
    assert tree(tmp_path) == before
    apply_plan(pets, plan)
    assert len(tree(pets)) == len(before) - 4

@pytest.mark.parametrize('bad, words', [
    (lambda p: dict(delete=[p/'train/cats/none.jpg']), 'There is no photo'),
    (lambda p: dict(delete=[p.parent/'cat.jpg']), 'is not in'),
    (lambda p: dict(delete=[p/'../pets2/train/cats/cat.0.jpg']), 'is not in'),
    (lambda p: dict(delete=[p/'train/cats']), 'There is no photo'),
    (lambda p: dict(relabel={p/'train/cats/cat.0.jpg': 'birds'}), "cannot become 'birds'"),
    (lambda p: dict(relabel={p/'train/cats/cat.0.jpg': '../..'}), 'cannot become'),
    (lambda p: dict(relabel={p/'test1/1.jpg': 'cats'}), 'cannot become'),
    (lambda p: dict(delete=[p/'train/cats/cat.0.jpg'], relabel={p/'train/cats/cat.0.jpg': 'dogs'}), 'only one of them'),
])
def test_invalid_plans(pets, bad, words):
    with pytest.raises(ValueError, match=words): clean_plan(pets, **bad(pets))

@pytest.mark.parametrize('row', [('../outside.jpg', 'delete', '../pets-removed/x.jpg'), ('train/cats/cat.0.jpg', 'delete', '../../x.jpg')])
def test_a_plan_cannot_lead_outside_the_folder(pets, tmp_path, row):
    (tmp_path/'outside.jpg').touch()
    before = tree(tmp_path)
    with pytest.raises(ValueError, match='is neither in'): apply_plan(pets, pd.DataFrame([row], columns=['file', 'action', 'to']))
    assert tree(tmp_path) == before

def test_plans_of_class_folders_and_relative_paths(pets, tmp_path, monkeypatch):
    monkeypatch.chdir(pets/'train')
    apply_plan('.', clean_plan('.', delete=['cats/cat.0.jpg'], relabel={'cats/cat.1.jpg': 'dogs'}))
    assert (pets/'train-removed/cats/cat.0.jpg').exists() and (pets/'train/dogs/cat.1.jpg').exists()
    undo_plan('.')
    assert check_layout(pets).photos.tolist() == [12, 12, 8, 8, 6]

def test_a_plan_survives_as_csv(pets, tmp_path):
    clean_plan(pets, delete=[pets/'train/cats/cat.0.jpg']).to_csv(tmp_path/'plan.csv', index=False)
    apply_plan(pets, pd.read_csv(tmp_path/'plan.csv'))
    assert (removed_folder(pets)/'train/cats/cat.0.jpg').exists()

# --- wrong labels ---

@pytest.fixture(scope='module')
def judged(tmp_path_factory):
    "A Learner of pictures of which eight lie in the wrong class, and their paths"
    path = draw_dogscats(tmp_path_factory.mktemp('judged')/'pets', train=40, valid=20, test=0, size=112)
    wrong = {f: other for c, other in (('cats', 'dogs'), ('dogs', 'cats')) for split, n in (('train', 3), ('valid', 1)) for f in sorted((path/split/c).iterdir())[:n]}
    apply_plan(path, clean_plan(path, relabel=wrong))
    set_seed(42)
    learn = vgg_learner(make_dls(path, size=112), weights='bundled')
    with learn.no_bar(), learn.no_logging(): learn.fit_head(5)
    return learn, {path/f.relative_to(path).parts[0]/c/f.name for f, c in wrong.items()}

def test_wrong_labels_come_first(judged):
    learn, wrong = judged
    for ds_idx, planted in ((0, 6), (1, 2)):
        df = worst_losses(learn, None, ds_idx)
        assert len(df) == len(learn.dls[ds_idx].dataset) and df.loss.is_monotonic_decreasing and df.confidence.between(0.5, 1).all()
        assert df.file.head(2*planted).isin(wrong).sum() >= planted/2, 'half of them in the first tenth'
        assert (df.label == [f.parent.name for f in df.file]).all()
    assert len(worst_losses(learn)) == 20
    assert worst_losses(learn, 5, ds_idx=0).equals(worst_losses(learn, 5, ds_idx=0)), 'the same every time'

def test_a_class_of_one_photo_cannot_be_judged(pets):
    for f in sorted((pets/'train/cats').iterdir())[1:]: f.unlink()
    learn = vgg_learner(make_dls(pets, size=64), weights='bundled')
    with pytest.raises(ValueError, match='The class cats must have at least 2 training photos, not 1'): worst_losses(learn, ds_idx=0)

# --- the cleaner ---

def test_cleaner_without_a_display(judged):
    widgets = pytest.importorskip('fastai.vision.widgets')
    from dogscats_course.clean import ImageCleaner
    learn, _ = judged
    path, before = learn.dls.path, tree(learn.dls.path)
    cleaner = ImageCleaner(learn, max_n=6)
    assert isinstance(cleaner, widgets.ImageClassifierCleaner) and len(cleaner.plan()) == 0
    def card(i): return cleaner.iw.widget[i]
    assert card(0)[0].value[:2] == b'\xff\xd8' and card(0)[2].value.startswith('predicted: ')
    first = cleaner.iw.fns[0]
    card(0)[1].value, card(1)[1].value = 'dogs', '<Delete>'
    assert list(cleaner.delete()) == [1] and list(cleaner.change()) == [(0, 'dogs')], "as fastai's own cleaner reports it"
    cleaner.dd_cats.value = 'dogs'
    card(0)[1].value = 'cats'
    cleaner.dd_ds.value = 'Valid'
    assert all(v == '<Keep>' for v in cleaner.values())
    card(2)[1].value = '<Delete>'
    cleaner.dd_ds.value, cleaner.dd_cats.value = 'Train', 'cats'
    assert card(0)[1].value == 'dogs' and cleaner.iw.fns[0] == first, 'a choice is remembered'
    card(1)[1].value = '<Keep>'
    plan = cleaner.plan()
    assert plan.action.tolist() == ['delete', 'relabel', 'relabel'] and tree(path) == before, 'a choice moves nothing'
    apply_plan(path, plan)
    assert (path/'train/dogs'/first.name).exists() and (removed_folder(path)/'valid/dogs').exists()
    undo_plan(path)  # this one; that of the fixture stays
    assert tree(path) == before

def test_cleaner_computes_nothing_again(judged, monkeypatch):
    pytest.importorskip('ipywidgets')
    from dogscats_course.clean import ImageCleaner
    learn, _ = judged
    worst_losses(learn, ds_idx=0)
    def body(*args): raise AssertionError('the body was run')
    monkeypatch.setattr(learn.model[0], 'forward', body)
    monkeypatch.setattr('dogscats_course.frozen.cached_features', body)
    assert len(ImageCleaner(learn).iw.fns) == 30

def test_cleaner_without_ipywidgets(judged, monkeypatch):
    from dogscats_course.clean import ImageCleaner
    monkeypatch.setitem(sys.modules, 'ipywidgets', None)
    with pytest.raises(ImportError, match=r"pip install 'dogscats_course\[clean\]'"): ImageCleaner(judged[0])

def test_imports_without_ipywidgets():
    script = "import sys; sys.modules['ipywidgets'] = None; import dogscats_course.clean as c; print(c.ImageClassifierCleaner is object)"
    assert subprocess.run([sys.executable, '-c', script], capture_output=True, text=True).stdout == 'True\n'
