"Folders: every mistake has its message, every photo its pixels, and no other file is read."
import shutil, zipfile

import numpy as np
import pytest
from PIL import Image

from dogscats_course import data
from dogscats_course.photos import open_photo
from dogscats_course.layout import LayoutError, check_layout, find_photos
from dogscats_course.data import Photo, dogscats, make_dls

def counts(table): return {(s, c): n for s, c, n in table.itertuples(index=False)}

def copy(drawn, tmp_path): return shutil.copytree(drawn, tmp_path/'pets')

def test_table(drawn):
    wanted = {('train', 'cats'): 12, ('train', 'dogs'): 12, ('valid', 'cats'): 8, ('valid', 'dogs'): 8, ('test', ''): 6}
    assert counts(check_layout(drawn)) == counts(check_layout(f'{drawn}/')) == wanted

@pytest.mark.parametrize('name', ['test', 'test1', 'test/unknown'])
def test_every_name_of_the_test_folder(drawn, tmp_path, name):
    path = copy(drawn, tmp_path)
    (path/name).parent.mkdir(exist_ok=True)
    if name != 'test1': (path/'test1').rename(path/name)
    assert counts(check_layout(path))['test', ''] == 6

def test_class_folders_are_split(drawn):
    table = counts(check_layout(drawn/'train', valid_pct=0.25))
    assert table == {('train', 'cats'): 9, ('train', 'dogs'): 9, ('valid', 'cats'): 3, ('valid', 'dogs'): 3}
    photos = find_photos(drawn/'train', seed=1)
    assert photos.equals(find_photos(drawn/'train', seed=1)) and not photos.equals(find_photos(drawn/'train', seed=2))
    assert photos.file.is_unique

def test_a_folder_inside_a_class_that_has_the_name_of_another(drawn, tmp_path):
    path = copy(drawn, tmp_path)
    (path/'train/dogs/cats').mkdir()
    shutil.copy(next((path/'train/dogs').glob('*.jpg')), path/'train/dogs/cats/1.jpg')
    words = r'1\.jpg lies in the class dogs, and .* the class cats: rename'
    with pytest.raises(LayoutError, match=words): make_dls(path)
    (path/'train/dogs/cats').rename(path/'train/dogs/others')
    assert counts(check_layout(path))['train', 'dogs'] == 13

def move(*moves):
    def slip(path):
        for a, b in moves:
            (path/b).parent.mkdir(parents=True, exist_ok=True)
            (path/a).rename(path/b)
    return slip

def flat(path):
    for f in list((path/'train').rglob('*.jpg')): f.rename(path/'train'/f.name)
    for d in ('cats', 'dogs'): (path/'train'/d).rmdir()

def flat_alone(path):
    flat(path)
    for d in ('valid', 'test1'): shutil.rmtree(path/d)

def with_kaggle_zip(path):
    shutil.rmtree(path/'train')
    (path/'dogs-vs-cats.zip').touch()

def flat_other_names(path):
    flat(path)
    for i, f in enumerate((path/'train').glob('*.jpg')): f.rename(f.with_name(f'{i}.jpg'))

def zipped(path):
    shutil.make_archive(path/'train', 'zip', path/'train')
    for d in ('train', 'valid'): shutil.rmtree(path/d)

def emptied(path):
    for f in (path/'valid/dogs').iterdir(): f.unlink()

@pytest.mark.parametrize('slip, words', [
    (flat, "Kaggle's flat folder.*dogscats data sort-kaggle"),
    (flat_alone, "Kaggle's flat folder.*dogscats data sort-kaggle"),
    (with_kaggle_zip, "holds Kaggle's zip.*dogscats data sort-kaggle"),
    (flat_other_names, 'one folder per class'),
    (move(('train', 'pets/train'), ('valid', 'pets/valid')), 'one folder too deep'),
    (move(('valid/dogs', 'valid/puppies')), 'dogs, puppies'),
    (emptied, 'is empty'),
    (lambda p: shutil.rmtree(p/'train/dogs'), 'only one class, cats'),
    (zipped, 'not unpacked yet'),
    (lambda p: shutil.rmtree(p/'valid'), 'train but no valid'),
    (lambda p: shutil.rmtree(p/'train'), 'valid but no train'),
    (lambda p: [shutil.rmtree(d) for d in p.iterdir() if d.is_dir()], 'no photo'),
])
def test_layout_errors(drawn, tmp_path, slip, words):
    path = copy(drawn, tmp_path)
    slip(path)
    before = sorted(path.rglob('*'))
    with pytest.raises(LayoutError, match=words) as e: make_dls(path)
    sentence, trees = str(e.value).split('\n\n', 1)
    assert '\n' not in sentence and 'found' in trees and 'wanted' in trees and 'valid/' in trees
    assert sorted(path.rglob('*')) == before

def test_a_file_instead_of_a_folder(tmp_path):
    with zipfile.ZipFile(tmp_path/'pets.zip', 'w'): pass
    with pytest.raises(LayoutError, match='unpack it first'): check_layout(tmp_path/'pets.zip')
    with pytest.raises(FileNotFoundError, match='There is no folder'): check_layout(tmp_path/'nowhere')

@pytest.mark.parametrize('bad', [dict(bs=0), dict(size=31), dict(limit=0)])
def test_bad_numbers(drawn, bad):
    with pytest.raises(ValueError, match='at least'): make_dls(drawn, **bad)

def test_three_classes(drawn, tmp_path):
    path = copy(drawn, tmp_path)
    for split in ('train', 'valid'): shutil.copytree(path/split/'cats', path/split/'birds')
    dls = make_dls(path, size=64)
    assert list(dls.vocab) == ['birds', 'cats', 'dogs'] and dls.c == 3
    assert dls.train.bs == 36, 'a batch is never larger than the training set'
    xb, yb = dls.one_batch()
    assert xb.shape == (36, 3, 64, 64) and sorted(yb.tolist()) == [0]*12 + [1]*12 + [2]*12

def test_photos_are_squished_and_labelled_by_folder(drawn):
    dls = make_dls(drawn, bs=24, size=64)
    for f, (_, y) in zip(dls.train_ds.items, dls.train_ds): assert dls.vocab[y] == f.parent.name
    assert not any('test1' in str(f) for f in [*dls.train_ds.items, *dls.valid_ds.items])

def test_limit_and_seed(drawn):
    a, b, c = (make_dls(drawn, size=64, limit=3, seed=s) for s in (1, 1, 2))
    assert len(a.train_ds) == len(a.valid_ds) == 6
    assert list(a.train_ds.items) == list(b.train_ds.items) != list(c.train_ds.items)
    assert a.one_batch()[1].tolist() == b.one_batch()[1].tolist()

def test_broken_photos_are_left_out(drawn, tmp_path, capsys):
    path = copy(drawn, tmp_path)
    cats = sorted((path/'train/cats').iterdir())
    cats[0].write_bytes(cats[0].read_bytes()[:900])
    cats[1].write_bytes(b'')
    cats[2].write_text('<html>404</html>')
    dls = make_dls(path, size=64)
    said = capsys.readouterr().out
    assert len(dls.train_ds) == 21 and 'Left out 3 of 40' in said and all(str(c) in said for c in cats[:3])
    assert all(c.exists() for c in cats)
    for c in cats: c.write_bytes(b'')
    with pytest.raises(LayoutError, match='of the class cats can be read'): make_dls(path)

def test_pixels(tmp_path):
    grey = np.linspace(0, 255, 32, dtype=np.uint8)[None].repeat(16, 0)
    def saved(im, name, **kw):
        im.save(tmp_path/name, **kw)
        return np.asarray(open_photo(tmp_path/name))
    deep = saved(Image.fromarray(grey.astype(np.uint16)*257), 'deep.png')
    assert deep.shape == (16, 32, 3) and np.abs(deep[..., 0].astype(int) - grey).max() <= 1, '16 bits do not turn white'
    assert (saved(Image.fromarray(grey), 'grey.png')[..., 1] == grey).all()
    red = Image.new('RGB', (32, 16), (200, 30, 40))
    assert np.abs(saved(red.quantize(4), 'palette.png').astype(int) - np.array([200, 30, 40])).max() < 3
    assert np.abs(saved(red.convert('CMYK'), 'cmyk.jpg').astype(int) - np.array([200, 30, 40])).max() < 30
    clear = Image.new('RGBA', (32, 16), (200, 30, 40, 0))
    assert (saved(clear, 'clear.png') == 255).all(), 'transparent pixels become white'
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    assert saved(red, 'turned.jpg', exif=exif).shape == (32, 16, 3)

@pytest.mark.parametrize('kind', ['path', 'text', 'bytes', 'array', 'picture'])
def test_one_way_to_open_every_kind_of_photo(tmp_path, kind):
    Image.new('RGBA', (8, 8), (10, 20, 30, 255)).save(tmp_path/'a.png')
    f = tmp_path/'a.png'
    picture = Image.open(f)
    photos = dict(path=f, text=str(f), bytes=f.read_bytes(), array=np.asarray(picture), picture=picture)
    photo = Photo.create(photos[kind])
    assert photo.mode == 'RGB' and photo.getpixel((0, 0)) == (10, 20, 30)

def test_data_sets_on_this_machine(drawn, tmp_path, monkeypatch):
    monkeypatch.setenv('DOGSCATS_DATA', str(drawn))
    assert dogscats() == drawn
    with pytest.raises(FileNotFoundError, match='no folder `sample`'): dogscats('sample')
    monkeypatch.setenv('DOGSCATS_DATA', str(tmp_path/'gone'))
    with pytest.raises(FileNotFoundError, match='DOGSCATS_DATA'): dogscats()
    monkeypatch.delenv('DOGSCATS_DATA')
    monkeypatch.chdir(tmp_path)
    (tmp_path/'data/dogscats/sample').mkdir(parents=True)
    assert dogscats('sample').resolve() == tmp_path/'data/dogscats/sample'
    with pytest.raises(ValueError, match="'drawn'"): dogscats('tiny')

def test_no_network_is_reported_at_once(tmp_path, monkeypatch):
    def down(*args, **kwargs): raise OSError('the network is down')
    monkeypatch.delenv('DOGSCATS_DATA', raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(data, 'urlopen', down)
    monkeypatch.setattr(data, 'fastai_path', lambda name: tmp_path/name)
    with pytest.raises(ConnectionError, match='dogscats.tgz.*the network is down.*drawn.*DOGSCATS_DATA'): dogscats()
