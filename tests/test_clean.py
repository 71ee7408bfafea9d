"Copies are found, and other pictures are not; a plan does what it lists, and nothing else; nothing is ever lost."
import errno, os, re, shutil, subprocess, sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fastai.vision.all import ImageDataLoaders, Resize, set_seed
from PIL import Image

from dogscats_course.duplicates import (_bits, _close_pairs, _photo_hashes, extra_copies, leaks, near_duplicates,
    show_pairs)
from dogscats_course.plan import apply_plan, clean_plan, removed_folder, undo_plan
from dogscats_course.clean import worst_losses
from dogscats_course.photos import open_photo
from dogscats_course.layout import check_layout, find_photos
from dogscats_course.data import make_dls
from dogscats_course.draw import draw_dogscats
from dogscats_course.learner import vgg_learner
from odd import add_junk

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

# --- pictures with nothing in them ---

def saved_as(folder, **pictures):
    "Save pictures; the name before _ is the name, what comes after it the suffix"
    for name, im in pictures.items(): im.save(folder/'.'.join(name.rsplit('_', 1)))
    return sorted(folder.iterdir())

def pairs_in(files):
    pairs = near_duplicates(sorted(files))
    return {(a.name, b.name) for a, b in zip(pairs.file_a, pairs.file_b)}

def ramp(a, b, size=(120, 80)): return Image.composite(Image.new('RGB', size, a), Image.new('RGB', size, b), Image.linear_gradient('L').resize(size))

def test_plain_pictures_are_no_copies(tmp_path, photo):
    def plain(colour, size=(120, 80)): return Image.new('RGB', size, colour)
    noise = [Image.fromarray(np.random.default_rng(i).normal(c, 8, (200, 300)).clip(0, 255).astype(np.uint8)) for i, c in enumerate((60, 180))]
    stripes = [np.repeat(np.repeat(np.array([colours], np.uint8), 80, 0), 40, 1) for colours in ([(0, 0, 200), (250, 250, 250), (200, 0, 0)], [(0, 140, 60), (250, 250, 250), (220, 60, 0)])]
    files = saved_as(tmp_path, blue_png=plain('blue'), white_png=plain('white'), grey_jpg=plain('grey'), black_webp=plain('black'), sky_jpg=ramp('blue', 'white'), dusk_jpg=ramp('navy', 'orange'),
        noise_jpg=noise[0], light_noise_jpg=noise[1], france_png=Image.fromarray(stripes[0]), ireland_png=Image.fromarray(stripes[1]), cat_jpg=open_photo(photo))
    assert pairs_in(files) == set()
    saved_as(tmp_path, blue2_jpg=plain('blue', (300, 300)), cat2_jpg=open_photo(photo).convert('L').resize((90, 90)))
    for name in ('white.png', 'sky.jpg'): shutil.copy(tmp_path/name, tmp_path/name.replace('.', '2.'))
    assert pairs_in([*files, *tmp_path.glob('*2.*')]) == {('blue.png', 'blue2.jpg'), ('white.png', 'white2.png'), ('sky.jpg', 'sky2.jpg'), ('cat.jpg', 'cat2.jpg')}, 'these are'

def test_a_blurred_photo_has_something_in_it(tmp_path, photo):
    im = open_photo(photo)
    files = saved_as(tmp_path, sharp_jpg=im, blurred_jpg=im.resize((24, 24)).resize(im.size), dark_jpg=im.resize((24, 24)).resize(im.size).point(lambda v: v*.6))
    assert len(pairs_in(files)) == 3

# --- tables, links ---

def test_a_table_of_photos(large, photo, tmp_path, capsys):
    path = shutil.copytree(large, tmp_path/'pets')
    shutil.copy(photo, path/'valid/dogs/a.jpg')
    (path/'train/cats/page.jpg').write_text('<html>')
    add_junk(path)
    table = find_photos(path)
    capsys.readouterr()
    pairs = near_duplicates(table)
    said = capsys.readouterr().out
    assert said.count('page.jpg') == 1 and 'Left out 1 of' in said
    assert pairs.equals(near_duplicates(path)) and len(pairs) == 1 and leaks(table).equals(leaks(path))
    assert len(near_duplicates(table[table['split'] == 'train'])) == 0
    with pytest.raises(TypeError, match='seed'): near_duplicates(table, seed=1)
    with pytest.raises(TypeError, match='sede'): near_duplicates(path, sede=1)

def test_photos_that_vanish_meanwhile(large, photo, tmp_path, monkeypatch):
    copies = [shutil.copy(photo, tmp_path/f'{i}.jpg') for i in range(3)]
    table = pd.DataFrame([('train', 'cats', Path(f), '') for f in copies], columns=['split', 'class', 'file', 'error'])
    (tmp_path/'0.jpg').unlink()
    (tmp_path/'1.jpg').write_bytes(b'')
    assert len(near_duplicates(table)) == 0

links = pytest.mark.skipif(sys.platform == 'win32', reason='links of POSIX')

@links
def test_a_photo_and_links_to_it(large, tmp_path):
    path = shutil.copytree(large, tmp_path/'pets')
    before = tree(path)
    cats, valid = path/'train/cats', path/'valid/cats'
    real, copied, hard = sorted(cats.iterdir())[:3]
    (cats/'a_link.jpg').symlink_to(real.name)
    (valid/'a_link.jpg').symlink_to(f'../../train/cats/{real.name}')
    (cats/'linked_link.jpg').symlink_to('a_link.jpg')
    os.link(hard, cats/'hard.jpg')
    pairs = near_duplicates(path)
    extra = extra_copies(pairs)
    assert {f.name for f in extra} - {hard.name, 'hard.jpg'} == {'a_link.jpg', 'linked_link.jpg'} and len(extra) == 4, 'of two names of one file one goes'
    assert len(leaks(path)) == 3, 'a link in valid to a photo of train is a leak all the same'
    apply_plan(path, clean_plan(path, delete=extra))
    assert all(f.exists() and not f.is_symlink() for f in path.rglob('*')) and set(tree(path).values()) == set(before.values())
    assert len(near_duplicates(path)) == 0
    undo_plan(path)
    assert (cats/'a_link.jpg').is_symlink() and len(near_duplicates(path)) == len(pairs)

@links
def test_a_test_photo_that_is_a_link_keeps_its_file(large, photo, tmp_path):
    path = shutil.copytree(large, tmp_path/'pets')
    cat = path/'train/cats/cat.0.jpg'
    (path/'test1/900.jpg').symlink_to(cat)
    shutil.copy(cat, path/'valid/cats/copy.png')
    extra = extra_copies(near_duplicates(path))
    apply_plan(path, clean_plan(path, delete=extra))
    assert (path/'test1/900.jpg').exists() and cat not in extra

@links
def test_one_file_by_two_paths(large, photo, tmp_path):
    cats = tmp_path/'cats'
    cats.mkdir()
    shutil.copy(photo, cats/'a.jpg')
    (tmp_path/'other').symlink_to(cats)
    assert len(near_duplicates([cats/'a.jpg', cats/'a.jpg', cats/'../cats/a.jpg', tmp_path/'other/a.jpg'])) == 1, 'in two classes, by its folders'
    for split, folder in (('train', cats), ('valid', tmp_path/'other')):
        (tmp_path/'pets'/split).mkdir(parents=True)
        (tmp_path/'pets'/split/'cats').symlink_to(folder)
        (tmp_path/'pets'/split/'dogs').symlink_to(large/split/'dogs')
    pairs = near_duplicates(tmp_path/'pets')
    assert len(pairs) == len(leaks(tmp_path/'pets')) == 1 and extra_copies(pairs) == [], 'moving either would take both'
    shutil.copy(photo, cats/'b.jpg')
    extra = extra_copies(near_duplicates(tmp_path/'pets'))
    assert len(extra) == 1 and extra[0].name in ('a.jpg', 'b.jpg')

def test_titles_of_odd_names(photo, tmp_path):
    import matplotlib.pyplot as plt
    files = []
    for folder, name in (('Ba$$in', 'a$b$.jpg'), ('$5-$10', '$\\frac{.jpg'), ('猫', os.fsdecode(b'chat\xe9.jpg') if sys.platform != 'win32' else 'x.jpg')):
        (tmp_path/folder).mkdir()
        files.append(shutil.copy(photo, tmp_path/folder/name))
    show_pairs(near_duplicates(files))
    plt.gcf().canvas.draw()
    titles = ''.join(ax.get_title() for ax in plt.gcf().axes)
    plt.close('all')
    assert 'Ba$$in' in titles and '$5-$10' in titles and 'a$b$.jpg' in titles

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

odd_names = ['a, "b".jpg', "it's.jpg", 'two\nlines.jpg', 'old\rmac.jpg', ' .jpg', 'NA', '007', '=1+1.jpg', 'caf\u00e9.jpg', '\u732b.jpg', 'a\\b.jpg', '#.jpg', b'chat\xe9.jpg']

@pytest.mark.skipif(sys.platform == 'win32', reason='names that Windows does not allow')
def test_odd_names_go_and_come_back(pets, tmp_path):
    cats, dogs = pets/'train/cats', pets/'train/dogs'
    for name in map(os.fsdecode, odd_names):
        for folder in (cats, dogs): shutil.copy(pets/'train/cats/cat.0.jpg', folder/name)
    before = tree(tmp_path)
    names = list(map(os.fsdecode, odd_names))
    apply_plan(pets, clean_plan(pets, delete=[dogs/n for n in names], relabel={cats/n: 'dogs' for n in names[:3]}))
    assert len(tree(removed_folder(pets))) == len(names) + 1
    undo_plan(pets)
    assert tree(tmp_path) == before and not removed_folder(pets).exists()

@pytest.mark.parametrize('k', range(5))
@pytest.mark.parametrize('error', [KeyboardInterrupt(), OSError(errno.ENOSPC, 'No space left on device'), PermissionError(errno.EACCES, 'Permission denied')])
@pytest.mark.parametrize('after', [False, True])
def test_a_stop_at_the_kth_move(pets, tmp_path, monkeypatch, k, error, after):
    "in `apply_plan`, and in `undo_plan`: nothing is lost, and the second call does the rest"
    before, left, move = tree(tmp_path), [k], shutil.move
    def stop(a, b):
        left[0] -= 1
        if left[0] == -1 and not after: raise error
        move(a, b)
        if left[0] == -1: raise error
    plan = clean_plan(pets, delete=sorted((pets/'train/cats').iterdir())[:3], relabel={f: 'cats' for f in sorted((pets/'valid/dogs').iterdir())[:2]})
    def whole(): return sorted(v for p, v in tree(tmp_path).items() if not p.endswith('moves.csv')) == sorted(before.values())
    for call in (lambda: apply_plan(pets, plan), lambda: undo_plan(pets)):
        left[0] = k
        monkeypatch.setattr('dogscats_course.plan.shutil.move', stop)
        with pytest.raises(type(error)) as e: call()
        if isinstance(error, OSError): assert re.search(f'Moved before it: {k} of 5 photos', str(e.value)) and str(error.strerror) in str(e.value)
        monkeypatch.undo()
        assert whole()
        call()
        assert whole()
    assert tree(tmp_path) == before, 'a plan that was finished by a second call is one plan'

@pytest.mark.parametrize('where', ['dogscats_course.plan.csv.writer', 'pathlib.Path.replace', 'pathlib.Path.mkdir'])
def test_a_record_that_cannot_be_written(pets, tmp_path, monkeypatch, where):
    apply_plan(pets, clean_plan(pets, delete=[pets/'train/cats/cat.0.jpg']))
    before = tree(tmp_path)
    def full(*args, **kwargs): raise OSError(errno.ENOSPC, 'No space left on device')
    plan = clean_plan(pets, delete=[pets/'train/cats/cat.1.jpg'])
    if where.endswith('mkdir'):
        undo_plan(pets)
        before = tree(tmp_path)
    with monkeypatch.context() as m:
        m.setattr(where, full)
        with pytest.raises(OSError, match='No space left on device.*Nothing has been moved'): apply_plan(pets, plan)
    assert tree(tmp_path) == before and removed_folder(pets).exists() != where.endswith('mkdir')
    apply_plan(pets, plan)
    undo_plan(pets)
    assert tree(tmp_path) == before

def test_an_undo_whose_record_cannot_be_written(pets, tmp_path, monkeypatch):
    for name in ('cat.0.jpg', 'cat.1.jpg'):
        state = tree(pets)
        apply_plan(pets, clean_plan(pets, delete=[pets/'train/cats'/name]))
    def full(*args, **kwargs): raise OSError(errno.ENOSPC, 'No space left on device')
    with monkeypatch.context() as m:
        m.setattr('dogscats_course.plan.csv.writer', full)
        with pytest.raises(OSError, match='No space left'): undo_plan(pets)
    undo_plan(pets)
    assert tree(pets) == state
    undo_plan(pets)
    assert not removed_folder(pets).exists()

@pytest.mark.parametrize('text', ['', 'a,b\n1,2\n', 'plan,file,to\n1,x\n', 'plan,file,to\none,x,y\n', '\0\0', 'plan,file,to\n1,"' + 'x'*200_000, b'\xff\xfe\0\1'])
def test_moves_of_somebody_else(pets, tmp_path, text):
    removed_folder(pets).mkdir()
    (removed_folder(pets)/'moves.csv').write_bytes(text if isinstance(text, bytes) else text.encode())
    before = tree(tmp_path)
    for call in (lambda: undo_plan(pets), lambda: apply_plan(pets, clean_plan(pets, delete=[pets/'train/cats/cat.0.jpg']))):
        with pytest.raises(ValueError, match='moves.csv is not a record of moves'): call()
        assert tree(tmp_path) == before

@pytest.mark.skipif(sys.platform == 'win32', reason='there are no pipes')
def test_a_pipe_or_a_folder_for_moves(pets):
    removed_folder(pets).mkdir()
    for make in (os.mkfifo, os.mkdir):
        make(removed_folder(pets)/'moves.csv')
        with pytest.raises(ValueError, match='not a record of moves'): undo_plan(pets)
        if make is os.mkfifo: (removed_folder(pets)/'moves.csv').unlink()

def test_a_record_that_leads_elsewhere(pets, tmp_path):
    (tmp_path/'secret.txt').write_text('mine')
    removed_folder(pets).mkdir()
    (removed_folder(pets)/'moves.csv').write_text('plan,file,to\n1,train/cats/x.jpg,../secret.txt\n')
    before = tree(tmp_path)
    with pytest.raises(ValueError, match='is neither in'): undo_plan(pets)
    assert tree(tmp_path) == before

@pytest.mark.parametrize('table', [pd.DataFrame(dict(a=[1])), pd.DataFrame(dict(file=['train/cats/cat.0.jpg'], to=[float('nan')])), None, [('a', 'b')]])
def test_tables_that_are_no_plan(pets, table):
    with pytest.raises(ValueError, match='must be a table with a path in each row'): apply_plan(pets, table)

def test_rows_that_do_not_go_together(pets, tmp_path):
    before = tree(tmp_path)
    for rows in ([('cat.0.jpg', 'x.jpg'), ('cat.0.jpg', 'y.jpg')], [('cat.0.jpg', 'cat.1.jpg'), ('cat.1.jpg', 'x.jpg')]):
        with pytest.raises((ValueError, FileExistsError), match='Nothing has been moved'):
            apply_plan(pets, pd.DataFrame([(f'train/cats/{a}', f'train/cats/{b}') for a, b in rows], columns=['file', 'to']))
        assert tree(tmp_path) == before

@pytest.mark.skipif(sys.platform == 'win32', reason='links of POSIX')
def test_a_link_that_leads_nowhere_is_not_overwritten(pets):
    (pets/'train/dogs/cat.0.jpg').symlink_to('nowhere')
    plan = clean_plan(pets, relabel={pets/'train/cats/cat.0.jpg': 'dogs'})
    assert plan.to.item() == 'train/dogs/cat.0_2.jpg'
    with pytest.raises(FileExistsError): apply_plan(pets, plan.assign(to='train/dogs/cat.0.jpg'))

@pytest.mark.skipif(not os.path.isdir('/dev/shm') or os.stat('/dev/shm').st_dev == os.stat('/tmp').st_dev, reason='there is one disk alone')
@pytest.mark.parametrize('stop', [None, 'shutil.copy2', 'pathlib.Path.unlink'])
def test_from_one_disk_to_another(pets, monkeypatch, stop):
    import tempfile
    before, f = tree(pets), pets/'train/cats/cat.0.jpg'
    with tempfile.TemporaryDirectory(dir='/dev/shm') as other:
        removed_folder(pets).symlink_to(other)
        plan = clean_plan(pets, delete=[f])
        if stop:
            def interrupted(*args, **kwargs): raise KeyboardInterrupt
            with monkeypatch.context() as m:
                m.setattr(stop, interrupted)
                with pytest.raises(KeyboardInterrupt): apply_plan(pets, plan)
            assert tree(pets) == before
        apply_plan(pets, plan)
        assert not f.exists() and len(tree(pets)) == len(before) - 1
        assert {p for p in tree(removed_folder(pets)) if not p.rpartition('/')[2].startswith('.')} == {'train/cats/cat.0.jpg', 'moves.csv'}
        undo_plan(pets)
        assert tree(pets) == before

@pytest.mark.parametrize('train, valid', [('training_set', 'test_set/valid'), ('Training', 'val'), ('training_set/training_set', 'validation/validation')])
def test_relabelling_in_splits_of_other_names(pets, tmp_path, train, valid):
    if valid == 'test_set/valid': train, valid = 'training_set', 'dev'
    root = tmp_path/'others'
    shutil.copytree(pets/'train', root/train)
    shutil.copytree(pets/'valid', root/valid)
    (root/train/'cats/inner').mkdir()
    f = shutil.move(root/train/'cats/cat.0.jpg', root/train/'cats/inner')
    g = next((root/valid/'dogs').iterdir())
    before = tree(root)
    plan = clean_plan(root, relabel={f: 'dogs', g: 'cats'})
    assert plan.to.tolist() == [f'{train}/dogs/inner/cat.0.jpg', f'{valid}/cats/{g.name}']
    apply_plan(root, plan)
    undo_plan(root)
    assert tree(root) == before
    for wrong in ('valid', train, 'train', '..'):
        with pytest.raises(ValueError, match='cannot become'): clean_plan(root, relabel={f: wrong})

def test_relabelling_to_a_class_of_two_spellings(pets, tmp_path):
    nfc, nfd = 'caf\u00e9', 'cafe\u0301'
    (pets/'train/dogs').rename(pets/'train'/nfd)
    (pets/'valid/dogs').rename(pets/'valid'/nfc)
    cat = pets/'train/cats/cat.0.jpg'
    for spelling in (nfc, nfd): assert clean_plan(pets, relabel={cat: spelling}).to.item() == f'train/{nfd}/cat.0.jpg'
    assert len(clean_plan(pets, relabel={pets/'train'/nfd/'dog.0.jpg': nfc})) == 0, 'that is its class already'

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

def test_photos_of_a_table(judged):
    "fastai's `from_df`, whose items are rows with names below a folder"
    path = judged[0].dls.path
    files = sorted((path/'train').rglob('*.jpg'))[::4]
    df = pd.DataFrame(dict(name=[f.relative_to(path).as_posix() for f in files], label=[f.parent.name for f in files]))
    dls = ImageDataLoaders.from_df(df, path, item_tfms=Resize(112, method='squish'), bs=8, seed=42)
    learn = vgg_learner(dls, weights='bundled')
    found = [f for ds_idx in (0, 1) for f in worst_losses(learn, None, ds_idx).file]
    assert sorted(found) == files
    pytest.importorskip('ipywidgets')
    from dogscats_course.clean import ImageCleaner
    cleaner = ImageCleaner(learn)
    first = cleaner.iw.fns[0]
    cleaner.iw.widget[0][1].value = '<Delete>'
    assert cleaner.plan().file.tolist() == [first.relative_to(path).as_posix()]

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
