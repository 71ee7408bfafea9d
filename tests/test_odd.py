"Folders, names and files as people have them: they work, or a sentence says what to do, and no photo is passed over."
import os, subprocess, sys, time, unicodedata, warnings
from pathlib import Path

import numpy as np
import odd
import pytest
from PIL import Image

from dogscats_course import photos
from dogscats_course.data import make_dls
from dogscats_course.folders import photos_below
from dogscats_course.layout import LayoutError, check_layout, find_photos
from dogscats_course.photos import PhotoError, open_photo, photo_error
from dogscats_course.predict import predict_files

def classes(path, **kwargs): return list(make_dls(path, size=32, **kwargs).vocab)
def n_photos(path): return check_layout(path).photos.sum()

# --- files ---

def test_odd_photos_are_photos_without_a_word(tmp_path):
    folder = tmp_path/'pets/cats'
    files = odd.write(folder, odd.photos())
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        warnings.filterwarnings('ignore', module=r'PIL\.')  # as `photos` sets it
        assert {f.name: photo_error(f) for f in files if photo_error(f)} == {}
    assert len(photos_below(folder)) == len(files), 'every suffix counts'
    right = np.asarray(open_photo(folder/'a_png.jpg')).astype(int)
    for name in ('rubbish_in_exif.png', 'two_million_letters.png', 'bad_colour_profile.png', 'half_exif.jpg', 'a_jpeg.png', 'clear.png'):
        assert abs(np.asarray(open_photo(folder/name)) - right).mean() < 4, name

def test_pillow_is_silent_about_odd_photos(tmp_path):
    odd.write(tmp_path, {**odd.photos(), **odd.not_photos(), '108.jpg': odd.huge_jpeg(108)})
    code = "import sys; from pathlib import Path; from dogscats_course.photos import photo_error; [photo_error(f) for f in Path(sys.argv[1]).iterdir()]"
    run = subprocess.run([sys.executable, '-c', code, tmp_path], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (0, '', '')

def test_half_an_exif_still_turns_the_photo():
    jpeg = odd.with_exif(odd.saved(odd.picture(64, 48), 'jpeg'), odd.orientation_alone(6))
    assert open_photo(jpeg).size == (48, 64)

@pytest.mark.parametrize('value', range(1, 9))
def test_every_orientation(value):
    from PIL import ImageOps
    exif = Image.Exif()
    exif[0x0112] = value
    data = odd.saved(odd.picture(64, 48), 'png', exif=exif)
    import io
    assert np.array_equal(open_photo(data), ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert('RGB'))

@pytest.fixture
def no_programs(monkeypatch):
    "Any program that is started fails the test"
    def started(*args, **kwargs): raise AssertionError(f'a program was started: {args}')
    for name in ('Popen', 'call', 'check_call', 'check_output', 'run'): monkeypatch.setattr(subprocess, name, started)
    monkeypatch.setattr(os, 'system', started)

def test_what_is_no_photo_has_a_reason(tmp_path, no_programs):
    reasons = {f.name: photo_error(f) for f in odd.write(tmp_path, odd.not_photos())}
    assert all(reasons.values()), reasons
    assert 'more pixels' in reasons['bomb.png'] and reasons['empty.jpg'] == 'the file is empty'
    assert all(reasons[k].startswith('not a photo') for k in ('script.jpg', 'script.eps.png', 'stars.jpg', 'page.jpg', 'header.jpg'))
    assert all(reasons[k].startswith('damaged') for k in ('half.png', 'wrong_checksum.png'))
    assert not any('object at' in r or 'Traceback' in r for r in reasons.values())

def test_heic_is_read_or_its_way_out_is_told(monkeypatch):
    pytest.importorskip('pillow_heif')
    photos._formats()  # which lets Pillow write it
    heic = odd.saved(odd.picture(), 'HEIF')
    assert open_photo(heic).size == (64, 48)
    with pytest.raises(PhotoError, match='not a photo, or damaged'): open_photo(heic[:300])
    monkeypatch.setattr(photos, '_formats', lambda: ('JPEG', 'PNG'))
    with pytest.raises(PhotoError, match='HEIC photo: export it as JPEG, or install .* pillow-heif'): open_photo(heic)

def test_nothing_waits_at_a_pipe_or_a_device(tmp_path):
    os.mkfifo(tmp_path/'pipe.jpg')
    (tmp_path/'zero.jpg').symlink_to('/dev/zero')
    (tmp_path/'itself.jpg').symlink_to('itself.jpg')
    (tmp_path/'gone.jpg').symlink_to('nowhere.jpg')
    (tmp_path/'folder.jpg').mkdir()
    start = time.time()
    reasons = {f.name: photo_error(f) for f in tmp_path.iterdir()}
    assert time.time() - start < 5
    assert reasons['pipe.jpg'] == reasons['zero.jpg'] == reasons['folder.jpg'] == 'not a file'
    assert reasons['gone.jpg'] == 'there is no such file' and all(reasons.values())

def test_paths_that_cannot_be():
    assert 'too long' in photo_error('x'*300 + '.jpg') and photo_error('a\0b.jpg') and photo_error('') and photo_error('page.jpg/x.jpg')

def test_permission_denied(tmp_path, monkeypatch):
    f = odd.write(tmp_path, {'a.jpg': odd.saved(odd.picture(), 'jpeg')})[0]
    def denied(*args): raise PermissionError(13, 'Permission denied')
    monkeypatch.setattr('dogscats_course.photos._opener', denied)
    assert photo_error(f) == 'permission denied'

def test_photos_of_200_megapixels_and_bombs():
    big = odd.huge_jpeg(200)
    assert min(open_photo(big, 224).size) >= 224 and max(open_photo(big, 224).size) < 2000
    assert max(open_photo(big).size) < 8000, 'decoded at half its size'
    for bomb in (odd.bomb(), odd.png_of(13300, 13400), odd.many_scans(500)):
        start = time.time()
        with pytest.raises(PhotoError, match='more (pixels|scans)'): open_photo(bomb, 224)
        assert time.time() - start < 5

def test_memory_of_a_folder_of_huge_pictures(tmp_path):
    "Ten pictures of 99 million pixels are checked by several threads, one after the other"
    if not Path('/proc/self/status').exists(): pytest.skip('the peak of the memory is read from /proc')
    for i in range(10): (tmp_path/f'{i}.png').write_bytes(odd.png_of(9900, 9999))
    code = '''import re, sys
from pathlib import Path
from concurrent.futures import ThreadPoolExecutor
from dogscats_course.photos import photo_error
with ThreadPoolExecutor(8) as pool: print(set(pool.map(photo_error, Path(sys.argv[1]).iterdir())))
print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])'''
    out = subprocess.run([sys.executable, '-c', code, tmp_path], capture_output=True, text=True, check=True).stdout.split('\n')
    assert out[0] == "{''}" and int(out[1])/1e3 < 600, out  # MB

# --- folders ---

splits = [('train', 'valid'), ('Train', 'Valid'), ('training', 'validation'), ('training_set', 'valid_set'), ('train_set', 'val'), ('TRAIN', 'dev'),
          ('training_set/training_set', 'val/val'), ('Training Set', 'Validation Set'), ('train', 'val_images')]

@pytest.mark.parametrize('train, valid', splits)
def test_every_name_of_train_and_valid(tmp_path, capsys, train, valid):
    path = odd.pets(tmp_path/'pets', *(f'{split}/{c}' for split in (train, valid) for c in ('cats', 'dogs')))
    assert classes(path) == ['cats', 'dogs'] and n_photos(path) == 16
    said = capsys.readouterr().out
    assert (train == 'train') or f'{train} as train' in said

def test_the_cat_and_dog_archive_is_never_two_classes_of_splits(tmp_path):
    path = odd.pets(tmp_path/'pets', *(f'{s}_set/{s}_set/{c}' for s in ('training', 'test') for c in ('cats', 'dogs')))
    with pytest.raises(LayoutError, match='training_set/training_set but no valid.*rename it to valid'): make_dls(path)
    assert classes(path/'training_set/training_set') == ['cats', 'dogs']

@pytest.mark.parametrize('names, wanted', [
    (['boat', 'plane', 'train'], ['boat', 'plane', 'train']), (['resting', 'training'], ['resting', 'training']),
    (['train/car', 'train/test', 'valid/car', 'valid/test'], ['car', 'test']),
    (['train/sample', 'train/other', 'valid/sample', 'valid/other'], ['other', 'sample'])])
def test_classes_with_the_names_of_splits(tmp_path, names, wanted):
    assert classes(odd.pets(tmp_path/'pets', *names)) == wanted

@pytest.mark.parametrize('doubtful', ['test', 'test1', 'Sample', 'testing'])
def test_a_doubtful_folder_beside_classes_is_a_sentence(tmp_path, doubtful):
    with pytest.raises(LayoutError, match=f'{doubtful} may be a class'): make_dls(odd.pets(tmp_path/'pets', 'cats', 'dogs', doubtful))

def test_two_folders_for_one_split(tmp_path):
    path = odd.pets(tmp_path/'pets', *(f'{s}/{c}' for s in ('train', 'val', 'dev') for c in ('cats', 'dogs')))
    with pytest.raises(LayoutError, match='dev and val may all be valid'): make_dls(path)

def test_folders_that_are_not_used_are_told(tmp_path, capsys):
    path = odd.pets(tmp_path/'pets', *(f'{s}/{c}' for s in ('train', 'valid') for c in ('cats', 'dogs')), 'extra')
    odd.write(path/'train', {'loose.png': odd.saved(odd.picture(), 'png')})
    assert classes(path) == ['cats', 'dogs']
    said = capsys.readouterr().out
    assert 'not used: extra' in said and 'not used, because they lie in no class folder: 1 .png.' in said

@pytest.mark.parametrize('around', ['PetImages', 'pets/inner', 'cats-vs-dogs'])
def test_one_folder_too_deep(tmp_path, around):
    path = odd.pets(tmp_path/'pets', f'{around}/Cat', f'{around}/Dog')
    (path/'readme.txt').write_text('hello')
    with pytest.raises(LayoutError, match=f'one folder too deep: give the path .*{around.split("/")[0]}'): make_dls(path)

@pytest.mark.parametrize('name', odd.names.values(), ids=odd.names)
def test_lawful_names_of_classes(tmp_path, name):
    assert classes(odd.pets(tmp_path/'pets', name, 'others')) == sorted([unicodedata.normalize('NFC', name), 'others'])

def test_two_spellings_of_one_name_are_one_class(tmp_path):
    nfc, nfd = (unicodedata.normalize(form, 'café') for form in ('NFC', 'NFD'))
    assert classes(odd.pets(tmp_path/'a', nfc, nfd, 'tea')) == [nfc, 'tea']
    assert n_photos(tmp_path/'a') == 12
    assert classes(odd.pets(tmp_path/'b', f'train/{nfc}', 'train/tea', f'valid/{nfd}', 'valid/tea')) == [nfc, 'tea']

def test_junk_changes_nothing(tmp_path, capsys):
    path = odd.pets(tmp_path/'pets', *(f'{s}/{c}' for s in ('train', 'valid') for c in ('cats', 'dogs')))
    before, said = check_layout(path), capsys.readouterr().out
    odd.add_junk(path)
    (path/'__MACOSX/train/cats').mkdir(parents=True)
    (path/'__MACOSX/train/cats/._1.jpg').touch()
    assert check_layout(path).equals(before) and capsys.readouterr().out == said

def test_what_is_not_counted_is_told(tmp_path, capsys):
    path = odd.pets(tmp_path/'pets', 'cats', 'dogs')
    for name in ('1.dng', '2.DNG', 'rex'): (path/'cats'/name).touch()
    (path/'dogs/page.jpg').write_text('<html>')
    assert check_layout(path).photos.sum() == 8
    said = capsys.readouterr().out
    assert 'Not counted: 2 .dng, 1 without a suffix.' in said and 'page.jpg (not a photo' in said
    photos = find_photos(path)
    assert list(photos.columns) == ['split', 'class', 'file', 'size', 'error'] and len(photos) == 12
    assert (photos['size'] == [f.stat().st_size for f in photos.file]).all() and (photos.error != '').sum() == 4

def test_the_suffixes_do_not_depend_on_the_machine(tmp_path, monkeypatch):
    import mimetypes
    path = odd.pets(tmp_path/'pets', 'cats', 'dogs')
    odd.write(path/'cats', odd.photos())
    before = n_photos(path)
    monkeypatch.setattr(mimetypes, 'types_map', {})
    assert n_photos(path) == before == 8 + len(odd.photos())

@pytest.mark.parametrize('files', [{}, {'a.txt': b''}, {'page.jpg': b'<html>'}, {'a.dng': b'II*\0'}])
def test_a_class_without_a_photo(tmp_path, files):
    path = odd.pets(tmp_path/'pets', 'train/cats', 'train/dogs', 'valid/cats')
    odd.write(path/'valid/dogs', files)
    with pytest.raises(LayoutError, match='dogs'): make_dls(path)

def test_links(tmp_path):
    "A link to a folder further up is not walked; a link to a photo, or to a folder elsewhere, is what it leads to"
    path = odd.pets(tmp_path/'pets', 'cats', 'dogs')
    elsewhere = odd.pets(tmp_path/'more', 'kittens')
    (path/'cats/up').symlink_to(path.resolve(), target_is_directory=True)
    (path/'cats/me').symlink_to('.', target_is_directory=True)
    (path/'dogs/twice').symlink_to(path.resolve()/'dogs', target_is_directory=True)
    assert n_photos(path) == 8
    (path/'cats/kittens').symlink_to(elsewhere.resolve()/'kittens', target_is_directory=True)
    (path/'cats/link.png').symlink_to(elsewhere.resolve()/'kittens/1.png')
    (path/'cats/dead.png').symlink_to('nowhere.png')
    photos = find_photos(path)
    assert (photos.error == '').sum() == 13 and photos.error[photos.file == path/'cats/dead.png'].item() == 'there is no such file'

def test_a_locked_folder(tmp_path, monkeypatch):
    path, scandir = odd.pets(tmp_path/'pets', 'cats', 'dogs', 'cats/locked'), os.scandir
    def denied(folder):
        if Path(folder).name == 'locked': raise PermissionError(13, 'Permission denied', str(folder))
        return scandir(folder)
    monkeypatch.setattr(os, 'scandir', denied)
    photos = find_photos(path)
    assert photos[photos.error != ''][['file', 'error']].values.tolist() == [[path/'cats/locked', 'permission denied']]
    (path/'dogs').rename(path/'cats/locked/dogs')
    (path/'cats/locked').rename(path/'locked')
    with pytest.raises(LayoutError, match='permission denied|only one class'): make_dls(path)
    with pytest.raises(OSError, match='locked.*permission denied'): make_dls(path/'locked')

def test_a_leftover_archive_does_not_matter(tmp_path):
    path = odd.pets(tmp_path/'pets', 'cats', 'dogs')
    (path/'pets.zip').write_bytes(b'PK')
    assert n_photos(path) == 8

def test_very_deep_folders(tmp_path):
    path = odd.pets(tmp_path/'pets', 'cats', 'dogs', 'dogs/' + '/'.join('d'*300))
    assert n_photos(path) == 12

def test_names_that_are_not_utf8(tmp_path):
    path = odd.pets(tmp_path/'pets', 'cats', 'dogs')
    os.rename(os.fsencode(path/'cats/0.png'), os.fsencode(path/'cats') + b'/chat\xe9.png')
    assert n_photos(path) == 8 and len(make_dls(path, size=32).train_ds) == 6

@pytest.mark.parametrize('wrong', [dict(valid_pc=.5), dict(item_tfms=None), dict(shufle=True), dict(bss=3), dict(batch_tfm=None)])
def test_options_that_reach_nobody(drawn, wrong):
    with pytest.raises(TypeError, match=f'make_dls has no option {next(iter(wrong))!r}'): make_dls(drawn, size=32, **wrong)

def test_options_that_reach_fastai(drawn):
    dls = make_dls(drawn, size=32, bs=4, val_bs=2, shuffle=False, drop_last=False, n=8, num_workers=0)
    assert (dls.train.bs, dls.valid.bs, dls.train.n) == (4, 2, 8)

@pytest.mark.parametrize('wrong', [dict(size=5000), dict(size=10**20), dict(bs=10**20), dict(seed=2**32), dict(seed=-1), dict(limit=10**20), dict(size=64.5), dict(bs='8')])
def test_numbers_out_of_range(drawn, wrong):
    with pytest.raises(ValueError, match=f'{next(iter(wrong))} must be'): make_dls(drawn, **wrong)

@pytest.mark.parametrize('name', ['red\x1b[31m', 'two\nlines', 'turned\u202eround'])
def test_class_names_that_a_terminal_obeys_are_refused_before_training(tmp_path, name):
    with pytest.raises(ValueError, match='control characters'): make_dls(odd.pets(tmp_path/'pets', name, 'others'), size=32)

def test_class_names_that_are_not_utf8_are_refused_before_training(tmp_path):
    path = odd.pets(tmp_path/'pets', 'cats', 'dogs')
    os.rename(os.fsencode(path/'cats'), os.fsencode(path) + b'/chat\xe9')
    with pytest.raises(ValueError, match='UTF-8'): make_dls(path, size=32)

# --- prediction ---

def test_predictions_of_an_odd_folder(learn, tmp_path, no_programs, capsys):
    good = odd.write(tmp_path/'mix', odd.photos())
    bad = odd.write(tmp_path/'mix', odd.not_photos())
    os.mkfifo(tmp_path/'mix/pipe.jpg')
    (tmp_path/'mix/loop').symlink_to(tmp_path, target_is_directory=True)
    (tmp_path/'mix/notes.txt').touch()
    os.rename(os.fsencode(good[0]), os.fsencode(tmp_path/'mix') + b'/chat\xe9.png')
    df = predict_files(learn, [tmp_path/'mix', 'x'*300, tmp_path/'nowhere.jpg'])
    assert len(df) == len(good) + len(bad) + 3 and 'not counted: 1 .txt' in capsys.readouterr().out
    assert (df.error == '').sum() == len(good) and df.label.notna().sum() == len(good)
    assert df.loc[df.file.str.endswith('pipe.jpg'), 'error'].item() == 'not a file'

def test_a_locked_folder_in_a_prediction(learn, tmp_path, monkeypatch):
    path, scandir = odd.pets(tmp_path/'mix', 'open', 'locked'), os.scandir
    def denied(folder):
        if Path(folder).name == 'locked': raise PermissionError(13, 'Permission denied', str(folder))
        return scandir(folder)
    monkeypatch.setattr(os, 'scandir', denied)
    df = predict_files(learn, path)
    assert len(df) == 5 and df.error[df.file == str(path/'locked')].item() == 'permission denied'

def test_a_photo_that_changes_after_it_was_listed(learn, tmp_path, monkeypatch):
    from dogscats_course import predict
    path, listed = odd.pets(tmp_path/'mix', 'a'), predict._expand
    def change(paths):
        found = listed(paths)
        os.remove(path/'a/0.png')
        os.mkfifo(path/'a/0.png')
        (path/'a/1.png').write_bytes(odd.bomb())
        (path/'a/2.png').unlink()
        return found
    monkeypatch.setattr(predict, '_expand', change)
    assert [bool(e) for e in predict_files(learn, path).error] == [True, True, True, False]
