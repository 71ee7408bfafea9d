"Kaggle's files in and out: every photo where it belongs and nowhere else, whatever the zip holds and wherever it was cut off."
import errno, io, os, re, shutil, signal, stat, struct, subprocess, sys, zipfile

import numpy as np
import pandas as pd
import pytest
import torch

from dogscats_course.layout import find_photos
from dogscats_course.ensemble import ensemble, tta
from dogscats_course.kaggle import clip_losses, sort_kaggle, submission
from dogscats_course.head import class_probs
from dogscats_course.predict import predict_files
from dogscats_course.vgg16 import Vgg16
from odd import add_junk, picture

small = dict(valid=5, sample=(4, 2))

def photos(n=20):
    "Files with Kaggle's names, and with bytes of different lengths instead of photos"
    return {**{f'train/{c}.{i}.jpg': f'{c}{i}'.encode()*(i + 1) for c in ('cat', 'dog') for i in range(n)}, **{f'test1/{i}.jpg': b'test'*i for i in range(1, 8)}}

def make_zip(file, members):
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as z:
        for name, data in members.items(): z.writestr(name, data)
    return file

def zip_bytes(members):
    return make_zip(io.BytesIO(), members).getvalue()

@pytest.fixture
def kaggle_zip(tmp_path):
    parts = {f'{d}.zip': zip_bytes({k: v for k, v in photos().items() if k.startswith(d)}) for d in ('test1', 'train')}
    return make_zip(tmp_path/'dogs-vs-cats.zip', {**parts, 'sampleSubmission.csv': 'id,label\n1,0\n'})

@pytest.fixture
def kaggle_folder(tmp_path):
    for name, data in photos().items():
        (tmp_path/'raw'/name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path/'raw'/name).write_bytes(data)
    return tmp_path/'raw'

def tree(path): return {f.relative_to(path).as_posix(): f.read_bytes() for f in path.rglob('*') if f.is_file()}

def check(dest):
    "Every photo once, under its class, and the sample taken from train and valid"
    found = tree(dest)
    wanted = photos()
    main = {k: v for k, v in found.items() if not k.startswith('sample/')}
    assert sorted(main.values()) == sorted(wanted.values()) and len(main) == len(wanted)
    for split, n in (('train', 15), ('valid', 5), ('sample/train', 4), ('sample/valid', 2)):
        for c in ('cat', 'dog'):
            names = [k for k in found if k.startswith(f'{split}/{c}s/')]
            assert len(names) == n and all(wanted[f"train/{k.rsplit('/', 1)[1]}"] == found[k] for k in names)
    assert all(found[k.removeprefix('sample/')] == v for k, v in found.items() if k.startswith('sample/'))
    assert all(found[k] == v for k, v in wanted.items() if k.startswith('test1'))

def test_a_zip_of_zips(kaggle_zip, tmp_path):
    before = kaggle_zip.read_bytes()
    dest = sort_kaggle(kaggle_zip, tmp_path/'sorted', **small)
    check(dest)
    assert kaggle_zip.read_bytes() == before
    assert (find_photos(dest)['split'] == 'train').sum() == 30

def test_a_folder_is_linked_and_left_unchanged(kaggle_folder, tmp_path):
    dest = sort_kaggle(kaggle_folder, tmp_path/'sorted', **small)
    check(dest)
    assert tree(kaggle_folder) == photos()
    assert next((dest/'train/cats').iterdir()).stat().st_nlink >= 2, 'no second copy on the same disk'

def test_without_links_files_are_copied(kaggle_folder, tmp_path, monkeypatch):
    def refuse(*args): raise PermissionError
    monkeypatch.setattr('os.link', refuse)
    check(sort_kaggle(kaggle_folder, tmp_path/'sorted', **small))
    assert tree(kaggle_folder) == photos()

def test_dest_inside_the_source(kaggle_folder):
    for _ in range(2): check(sort_kaggle(kaggle_folder, kaggle_folder/'dogscats', **small))

def test_train_zip_alone_and_the_same_split_from_every_source(kaggle_zip, kaggle_folder, tmp_path):
    a = sort_kaggle(kaggle_zip, tmp_path/'a', **small)
    b = sort_kaggle(kaggle_folder, tmp_path/'b', **small)
    c = sort_kaggle(make_zip(tmp_path/'train.zip', {k: v for k, v in photos().items() if k.startswith('train')}), tmp_path/'c', **small)
    assert tree(a) == tree(b) == {**tree(c), **{k: v for k, v in photos().items() if k.startswith('test1')}}
    assert tree(sort_kaggle(kaggle_zip, tmp_path/'d', seed=1, **small)) != tree(a)

def test_a_second_run_changes_nothing(kaggle_zip, tmp_path):
    dest = sort_kaggle(kaggle_zip, tmp_path/'sorted', **small)
    before = {f: f.stat().st_mtime_ns for f in dest.rglob('*')}
    sort_kaggle(kaggle_zip, dest, **small)
    assert {f: f.stat().st_mtime_ns for f in dest.rglob('*')} == before

@pytest.mark.skipif(sys.platform == 'win32', reason='there is no SIGKILL')
@pytest.mark.parametrize('after', [0, 7, 40])
def test_a_killed_run_is_finished_without_duplicates(kaggle_zip, tmp_path, after):
    code = f'''
import os, shutil, signal
from dogscats_course import kaggle
left = [{after}]
def copy(f, g, whole=shutil.copyfileobj):
    if not left[0]:
        g.write(b'half')
        g.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    whole(f, g)
shutil.copyfileobj = copy
kaggle.sort_kaggle({str(kaggle_zip)!r}, {str(tmp_path/'sorted')!r}, valid=5, sample=(4, 2))
'''
    assert subprocess.run([sys.executable, '-c', code]).returncode == -signal.SIGKILL
    assert len([f for f in (tmp_path/'sorted').rglob('*.jpg') if f.is_file()]) == after
    assert len([f for f in (tmp_path/'sorted').rglob('*.part')]) == 1
    check(sort_kaggle(kaggle_zip, tmp_path/'sorted', **small))
    assert not list((tmp_path/'sorted').rglob('*.part'))

def test_paths_in_a_zip_cannot_leave_dest(tmp_path):
    hostile = {k.replace('train/', '../../../train/').replace('test1/', '/test1/'): v for k, v in photos().items()}
    hostile |= {'../escaped.txt': b'x', '/etc/cat.500.jpg/../../x.jpg': b'x', '..\\..\\dog.600.jpg': b'x', 'train/../../cat.700.jpg.exe': b'x'}
    (tmp_path/'a/b').mkdir(parents=True)
    z = make_zip(tmp_path/'a/b/c.zip', hostile)
    check(sort_kaggle(z, tmp_path/'a/b/dest', **small))
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob('*') if p.is_file() and 'a/b/dest/' not in p.as_posix()) == ['a/b/c.zip']

def truncated(file): file.write_bytes(file.read_bytes()[:-600])
def no_zip(file): file.write_text('<html>Sign in to download</html>')
def flipped(file):
    data = bytearray(file.read_bytes())
    for i in range(len(data)//3, len(data)//3 + 200): data[i] ^= 255
    file.write_bytes(data)

@pytest.mark.parametrize('damage', [truncated, no_zip, flipped])
def test_a_damaged_zip_is_reported_and_a_good_one_continues(kaggle_zip, tmp_path, damage):
    good = shutil.copy(kaggle_zip, tmp_path/'good.zip')
    damage(kaggle_zip)
    with pytest.raises(ValueError, match='damaged'): sort_kaggle(kaggle_zip, tmp_path/'sorted', **small)
    assert not list((tmp_path/'sorted').rglob('*.part'))
    check(sort_kaggle(good, tmp_path/'sorted', **small))

def test_free_space_is_checked_first(kaggle_zip, tmp_path, monkeypatch):
    monkeypatch.setattr('shutil.disk_usage', lambda p: shutil._ntuple_diskusage(10**9, 10**9, 100))
    with pytest.raises(OSError, match='are free there'): sort_kaggle(kaggle_zip, tmp_path/'sorted', **small)
    assert not [f for f in (tmp_path/'sorted').rglob('*') if f.is_file()]

def test_other_photos_in_dest_are_left_alone(kaggle_zip, tmp_path):
    dest = sort_kaggle(kaggle_zip, tmp_path/'sorted', **small)
    before = tree(dest)
    with pytest.raises(FileExistsError, match='other settings'): sort_kaggle(kaggle_zip, dest, seed=7, **small)
    assert tree(dest) == before
    mine = next((dest/'valid/dogs').iterdir())
    mine.write_bytes(b'edited by hand')
    with pytest.raises(FileExistsError, match='differs'): sort_kaggle(kaggle_zip, dest, **small)
    assert mine.read_bytes() == b'edited by hand'

def test_invalid_sources(kaggle_folder, kaggle_zip, tmp_path):
    dest = tmp_path/'sorted'
    for call, error, words in (
        (lambda: sort_kaggle(tmp_path/'nowhere', dest), FileNotFoundError, 'no file or folder'),
        (lambda: sort_kaggle(kaggle_zip, dest), ValueError, '20 cats: with 1000'),
        (lambda: sort_kaggle(kaggle_zip, dest, valid=5, sample=(16, 2)), ValueError, 'sample of 16'),
        (lambda: sort_kaggle(kaggle_zip, dest, valid=0), ValueError, 'valid must be at least 1'),
        (lambda: sort_kaggle(kaggle_zip, dest, valid=5, sample=(4, -1)), ValueError, 'sample must be'),
        (lambda: sort_kaggle(kaggle_folder, kaggle_folder, **small), ValueError, 'the source itself'),
        (lambda: sort_kaggle(make_zip(tmp_path/'e.zip', {}), dest, **small), ValueError, 'no cat.N.jpg'),
        (lambda: sort_kaggle(sort_kaggle(kaggle_zip, tmp_path/'done', **small), dest, **small), ValueError, 'layout already'),
    ):
        with pytest.raises(error, match=words): call()
    assert not dest.exists()

def fitting(error):
    "Return the settings that an error names"
    valid, a, b = map(int, re.search(r'valid=(\d+) and sample=\((\d+), (\d+)\)', str(error)).groups())
    assert f'--valid {valid} --sample {a},{b} ' in str(error)
    return dict(valid=valid, sample=(a, b))

@pytest.mark.parametrize('n', [2, 3, 4, 9, 20])
def test_too_few_photos_and_which_settings_would_do(tmp_path, n):
    z = make_zip(tmp_path/'a.zip', photos(n))
    with pytest.raises(ValueError, match=f'has {n} cats: with 1000 of each class') as e: sort_kaggle(z, tmp_path/'d')
    dest = sort_kaggle(z, tmp_path/'d', **fitting(e.value))
    assert len(list((dest/'train').rglob('*.jpg'))) == 2*(n - max(1, n//5))

def test_the_smaller_class_decides(tmp_path):
    few = {k: v for k, v in photos().items() if not k.startswith('train/dog') or k[10] in '123'}
    with pytest.raises(ValueError, match='has 13 dogs: with 13 of each') as e: sort_kaggle(make_zip(tmp_path/'a.zip', few), tmp_path/'d', valid=13, sample=(0, 0))
    assert fitting(e.value) == dict(valid=2, sample=(11, 2))
    cats = {k: v for k, v in few.items() if 'dog' not in k}
    with pytest.raises(ValueError, match='has 0 dogs.*at least 2 photos'): sort_kaggle(make_zip(tmp_path/'b.zip', cats), tmp_path/'d', **small)
    assert not (tmp_path/'d').exists()

# --- zips that are damaged, or made to do harm ---

def packed(tmp_path, method=zipfile.ZIP_DEFLATED, extra={}):
    file = tmp_path/'a.zip'
    with zipfile.ZipFile(file, 'w', method) as z:
        for name, data in {**photos(8), **extra}.items(): z.writestr(name, data)
    return file

def sorts_or_says(z, dest):
    """A zip is sorted, or one kind of sentence says why not; whatever was written is whole, and nothing is left beside it.
    Returns whether it was sorted."""
    wanted = {v for v in photos(8).values()}
    try: sort_kaggle(z, dest, valid=2, sample=(2, 1))
    except (ValueError, OSError) as e:
        assert re.search('damaged|would grow|are free there|has . (cats|dogs)|no cat.N.jpg', str(e)), repr(e)
        assert len(str(e)) < 500 and '\n' not in str(e)
    else: return True
    finally:
        assert not [f for f in dest.rglob('*') if f.name.startswith('.')] and all(any(d.iterdir()) for d in dest.rglob('*') if d.is_dir())
        assert {f.read_bytes() for f in dest.rglob('*.jpg')} <= wanted
    return False

methods = dict(stored=zipfile.ZIP_STORED, deflated=zipfile.ZIP_DEFLATED, bzip2=zipfile.ZIP_BZIP2, lzma=zipfile.ZIP_LZMA)

@pytest.mark.parametrize('method', methods)
def test_zips_cut_off_anywhere(tmp_path, method):
    data = packed(tmp_path, methods[method]).read_bytes()
    for i, end in enumerate(np.linspace(0, len(data) - 1, 24).astype(int)):
        (tmp_path/'b.zip').write_bytes(data[:end])
        assert not sorts_or_says(tmp_path/'b.zip', tmp_path/str(i))

@pytest.mark.parametrize('method', methods)
@pytest.mark.parametrize('many', [1, 5, 60])
def test_zips_with_changed_bytes(tmp_path, method, many):
    data, rng = packed(tmp_path, methods[method]).read_bytes(), np.random.default_rng(many)
    for i in range(12):
        damaged = np.frombuffer(data, np.uint8).copy()
        damaged[rng.integers(0, len(data), many)] = rng.integers(0, 256, many)
        (tmp_path/'b.zip').write_bytes(damaged.tobytes())
        sorts_or_says(tmp_path/'b.zip', tmp_path/str(i))

CENTRAL, LOCAL = b'PK\x01\x02', b'PK\x03\x04'
fields = {'encrypted': (8, 'H', 1), 'utf8': (8, 'H', 0x800), 'unknown method': (10, 'H', 97), 'crc': (16, 'I', 7), 'packed size': (20, 'I', 2**32 - 2),
    'size': (24, 'I', 2**32 - 2), 'no size': (24, 'I', 0), 'name length': (28, 'H', 65535), 'extra length': (30, 'H', 9999), 'offset': (42, 'I', 2**31), 'overlap': (42, 'I', 0)}

@pytest.mark.parametrize('field', fields)
def test_zips_with_a_changed_field(tmp_path, field):
    data = bytearray(packed(tmp_path).read_bytes())
    at, kind, value = fields[field]
    start = data.index(CENTRAL, data.index(CENTRAL) + 4)  # the second file's
    struct.pack_into(f'<{kind}', data, start + at, value)
    if field == 'encrypted': struct.pack_into('<H', data, data.index(LOCAL, 4) + 6, 1)
    (tmp_path/'b.zip').write_bytes(data)
    assert sorts_or_says(tmp_path/'b.zip', tmp_path/'d') == (field in ('utf8', 'packed size')), 'and a stream of deflate ends by itself'

def test_a_name_that_is_not_utf8(tmp_path):
    data = packed(tmp_path, extra={'train/caf\u00e9.txt': b''}).read_bytes().replace('\u00e9'.encode(), b'\xff\xff')
    (tmp_path/'b.zip').write_bytes(data)
    with pytest.raises(ValueError, match='a name in it is not UTF-8'): sort_kaggle(tmp_path/'b.zip', tmp_path/'d', **small)

def test_names_that_are_not_photos(tmp_path, capsys):
    odd = {f"train/cat.{'9'*5000}.jpg": b'x', 'train/cat.7.jpg/': b'', 'train/cat.\u0663.jpg': b'x', 'train/dog.-1.jpg': b'x',
        '__MACOSX/train/._cat.1.jpg': b'x', 'train/._x.zip': b'x', 'train/.DS_Store': b'x', 'train/Thumbs.db': b'x', 'train/link': b'x', '/etc/cat.99999999999.jpg': b'x'}
    z = packed(tmp_path, extra=odd)
    with zipfile.ZipFile(z, 'a') as f:
        link = zipfile.ZipInfo('train/cat.500.jpg')
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        f.writestr(link, '/etc/passwd')
    dest = sort_kaggle(z, tmp_path/'d', valid=2, sample=(2, 1))
    assert {f.read_bytes() for f in dest.rglob('*') if f.is_file()} == set(photos(8).values())
    said = capsys.readouterr().out
    assert '(4 in all)' in said and "not Kaggle's names" in said and max(map(len, said.split())) < 200

def test_the_same_photo_twice(tmp_path, capsys):
    same = {k.replace('train/', 'again/'): v for k, v in photos(8).items()}
    dest = sort_kaggle(packed(tmp_path, extra=same), tmp_path/'d', valid=2, sample=(2, 1))
    assert capsys.readouterr().out == '' and len(list((dest/'train').rglob('*.jpg'))) == 12
    sort_kaggle(packed(tmp_path, extra={'again/cat.1.jpg': b'another'}), dest, valid=2, sample=(2, 1))
    assert 'Found twice, in different sizes' in capsys.readouterr().out and b'another' not in tree(dest).values()

def test_zip_bombs(tmp_path):
    for i, bomb in enumerate(({'train/cat.1.jpg': bytes(2*10**7)}, {'x/inner.zip': bytes(2*10**7)})):
        with pytest.raises(ValueError, match='would grow from'): sort_kaggle(make_zip(tmp_path/f'{i}.zip', {**photos(8), **bomb}), tmp_path/'d', **small)
    assert not (tmp_path/'d').exists()

def test_zips_in_zips_in_zips(tmp_path):
    inner = zip_bytes({'deep.zip': zip_bytes({'train/cat.500.jpg': b'x'}), **photos()})
    check(sort_kaggle(make_zip(tmp_path/'a.zip', {'one.zip': inner, 'two.ZIP': inner}), tmp_path/'d', **small))
    half = make_zip(tmp_path/'b.zip', {'train.zip': inner[:-99]})
    with pytest.raises(ValueError, match=r"'train.zip' in .*b.zip is damaged"): sort_kaggle(half, tmp_path/'e', **small)

# --- folders as people have them ---

posix = pytest.mark.skipif(sys.platform == 'win32', reason='links and pipes of POSIX')

@posix
def test_links_are_sorted_as_the_files_they_lead_to(kaggle_folder, tmp_path):
    (tmp_path/'elsewhere').mkdir()
    for f in sorted((kaggle_folder/'train').glob('cat*')):
        real = f.rename(tmp_path/'elsewhere'/f.name)
        f.symlink_to(os.path.relpath(real, f.parent))
    (kaggle_folder/'test1').rename(tmp_path/'elsewhere/test1')
    (kaggle_folder/'test1').symlink_to(tmp_path/'elsewhere/test1')
    (kaggle_folder/'loop').symlink_to(kaggle_folder)
    dest = sort_kaggle(kaggle_folder, tmp_path/'sorted', **small)
    shutil.rmtree(tmp_path/'elsewhere')
    check(dest)
    assert not [f for f in dest.rglob('*') if f.is_symlink()]

@posix
@pytest.mark.parametrize('make', [lambda f: f.symlink_to('nowhere'), lambda f: f.symlink_to(f.name), lambda f: os.mkfifo(f), lambda f: f.symlink_to('/dev/zero')])
def test_what_is_called_a_photo_and_is_none(kaggle_folder, tmp_path, make):
    make(kaggle_folder/'train/cat.500.jpg')
    with pytest.raises(ValueError, match='cat.500.jpg is a link to nothing, or not a file'): sort_kaggle(kaggle_folder, tmp_path/'d', **small)
    assert not (tmp_path/'d').exists()

@posix
def test_sources_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path/'pipe.zip')
    (tmp_path/'loop.zip').symlink_to('loop.zip')
    for source in (tmp_path/'pipe.zip', '/dev/zero'):
        with pytest.raises(ValueError, match='neither a folder nor a zip'): sort_kaggle(source, tmp_path/'d', **small)
    with pytest.raises(FileNotFoundError, match='no file or folder'): sort_kaggle(tmp_path/'loop.zip', tmp_path/'d', **small)

def test_a_file_for_a_destination(kaggle_zip, tmp_path):
    (tmp_path/'d').write_text('mine')
    with pytest.raises(FileExistsError, match='is a file'): sort_kaggle(kaggle_zip, tmp_path/'d', **small)
    (tmp_path/'e').mkdir()
    (tmp_path/'e/train').write_text('mine')
    with pytest.raises(OSError): sort_kaggle(kaggle_zip, tmp_path/'e', **small)
    assert tree(tmp_path/'e') == {'train': b'mine'} and [d for d in (tmp_path/'e').iterdir()] == [tmp_path/'e/train']

def test_an_unreadable_folder_or_photo(kaggle_folder, tmp_path, monkeypatch):
    def refuse(path, *args, real=os.scandir):
        if str(path).endswith('test1'): raise PermissionError(13, 'Permission denied', str(path))
        return real(path, *args)
    monkeypatch.setattr('os.scandir', refuse)
    with pytest.raises(OSError, match='test1 cannot be read: permission denied'): sort_kaggle(kaggle_folder, tmp_path/'d', **small)
    monkeypatch.undo()
    def denied(f, g): raise PermissionError(13, 'Permission denied', str(f))
    monkeypatch.setattr('os.link', denied)
    monkeypatch.setattr('shutil.copyfile', denied)
    with pytest.raises(PermissionError): sort_kaggle(kaggle_folder, tmp_path/'d', **small)
    assert not (tmp_path/'d').exists(), 'nothing is left of a run that has written nothing'

def test_junk_changes_nothing(kaggle_folder, tmp_path):
    add_junk(kaggle_folder)
    (kaggle_folder/'__MACOSX').mkdir()
    (kaggle_folder/'__MACOSX/x.zip').write_text('no zip')
    dest = sort_kaggle(kaggle_folder, tmp_path/'sorted', **small)
    check(dest)
    add_junk(dest)
    sort_kaggle(kaggle_folder, dest, **small)

@pytest.mark.parametrize('k', [0, 1, 30, 45])
def test_a_full_disk_at_the_kth_photo(kaggle_zip, tmp_path, monkeypatch, k):
    left = [k]
    def copy(f, g, whole=shutil.copyfileobj):
        left[0] -= 1
        if left[0] < 0:
            g.write(b'half')
            raise OSError(errno.ENOSPC, 'No space left on device')
        whole(f, g)
    monkeypatch.setattr('shutil.copyfileobj', copy)
    with pytest.raises(OSError, match='No space left'): sort_kaggle(kaggle_zip, tmp_path/'d', **small)
    assert len(tree(tmp_path/'d')) == k and (tmp_path/'d').exists() == (k > 0)
    monkeypatch.undo()
    check(sort_kaggle(kaggle_zip, tmp_path/'d', **small))

@pytest.mark.parametrize('seeds', [(1, 1), (1, 2)])
def test_two_sortings_at_once(kaggle_zip, tmp_path, seeds):
    code = """
import sys, time, shutil
def slow(f, g, whole=shutil.copyfileobj):
    time.sleep(.01)
    whole(f, g)
shutil.copyfileobj = slow
from dogscats_course.kaggle import sort_kaggle
print('ready', flush=True)
input()
try: sort_kaggle(sys.argv[1], sys.argv[2], valid=5, sample=(4, 2), seed=int(sys.argv[3]))
except OSError as e: sys.exit(str(e))
"""
    run = [subprocess.Popen([sys.executable, '-c', code, kaggle_zip, tmp_path/'d', str(seed)], text=True, stdin=-1, stdout=-1, stderr=-1) for seed in seeds]
    for p in run: assert p.stdout.readline() == 'ready\n'
    for p in run: p.stdin.write('\n'), p.stdin.flush()
    errors = [p.communicate()[1] for p in run]
    if seeds[0] == seeds[1]:
        assert errors == ['', '']
        check(tmp_path/'d')
    else: assert any(errors) and all('sorted with other settings' in e and 'Traceback' not in e for e in errors if e)
    assert not [f for f in (tmp_path/'d').rglob('.*')]

def test_command_line(tmp_path):
    file = io.BytesIO()
    picture(8, 8).save(file, 'jpeg')
    z = make_zip(tmp_path/'dogs-vs-cats.zip', {name: file.getvalue() for name in photos(1100)})
    def run(*args): return subprocess.run([sys.executable, '-c', 'import sys; from dogscats_course.cli import main; sys.exit(main())', 'data', 'sort-kaggle', *map(str, args)], text=True, capture_output=True)
    r = run(z, tmp_path/'sorted')
    assert r.returncode == 0 and 'valid cats 1000' in ' '.join(r.stdout.split()), r.stderr
    r = run(tmp_path/'nowhere.zip', tmp_path/'other')
    assert r.returncode == 2 and 'Traceback' not in r.stderr and 'nowhere.zip' in r.stderr

files = ['test1/10.jpg', 'test1/9.jpg', 'test1/100.jpg']
probs = np.array([[.3, .7], [1, 0], [0, 1]])

def test_submission(tmp_path):
    df = submission(probs, files, tmp_path/'s.csv', clip=0.02)
    assert (tmp_path/'s.csv').read_text() == 'id,label\n9,0.02\n10,0.7\n100,0.98\n'
    assert pd.read_csv(tmp_path/'s.csv').equals(df)
    other = submission(probs[:, ::-1], files, tmp_path/'t.csv', clip=0.02, vocab=['dogs', 'cats'])
    assert other.equals(df), 'the column is found by its name'
    with pytest.raises(FileExistsError): submission(probs, files, tmp_path/'s.csv')

@pytest.mark.parametrize('change, words', [
    (dict(files=files[:2]), '2 files'), (dict(files=['a.jpg', *files[1:]]), 'a.jpg'), (dict(files=['1.jpg', 'x/01.jpg', '2.jpg']), 'same number'),
    (dict(vocab=['a', 'b']), 'called dog'), (dict(vocab=['dog', 'dogs']), 'Exactly one'), (dict(clip=0.5), 'below 0.5'), (dict(clip=-1), 'at least 0'),
    (dict(probs=np.array([[np.nan]*2, *probs[1:]])), 'between 0 and 1'), (dict(files=[f"{'9'*5000}.jpg", *files[1:]]), 'not named by a number'), (dict(probs=probs*2), 'between 0 and 1'), (dict(probs=probs[:, :1]), '3 × 1'),
])
def test_bad_submissions(tmp_path, change, words):
    with pytest.raises(ValueError, match=words): submission(**{**dict(probs=probs, files=files, dest=tmp_path/'s.csv'), **change})
    assert not list(tmp_path.iterdir())

@pytest.fixture
def test1(tmp_path):
    "Test photos of which two are none"
    (tmp_path/'test1').mkdir()
    for i in (1, 2, 10): picture(seed=i).save(tmp_path/f'test1/{i}.jpg')
    (tmp_path/'test1/17.jpg').write_text('<html>')
    (tmp_path/'test1/5.jpg').write_bytes(b'')
    (tmp_path/'test1/.DS_Store').touch()
    (tmp_path/'test1/notes.txt').touch()
    return tmp_path/'test1'

def test_unreadable_photos_get_a_half(learn, test1, tmp_path, capsys):
    table = predict_files(learn, test1)
    df = submission(table[['cats', 'dogs']], table.file, tmp_path/'a.csv')
    assert 'get 0.5: ' in (said := capsys.readouterr().out) and '5.jpg' in said and '17.jpg' in said and '(2 in all)' in said
    assert df.id.tolist() == [1, 2, 5, 10, 17] and df.label[[2, 4]].tolist() == [0.5, 0.5] and df.label.notna().all()
    good = table[table.error == '']
    other = submission(good[['cats', 'dogs']], good.file, tmp_path/'b.csv')  # as `Vgg16.test` gives its photos
    assert other.equals(df) and '(2 in all)' in capsys.readouterr().out

def test_seven_lines_of_unreadable_photos(learn, test1, tmp_path, capsys):
    vgg = Vgg16()
    vgg.learn = learn
    batches, probs = vgg.test(test1)
    df = submission(probs, batches.filenames, tmp_path/'a.csv')
    assert df.id.tolist() == [1, 2, 5, 10, 17] and df.label[[2, 4]].tolist() == [0.5, 0.5]

def test_a_part_of_the_photos_stays_a_part(test1, tmp_path):
    assert submission([[.3, .7]], [test1/'2.jpg'], tmp_path/'a.csv').id.tolist() == [2, 5, 17], 'photos that can be read are not made up'

def test_nan_for_a_good_photo_is_an_error(test1, tmp_path):
    with pytest.raises(ValueError, match='2.jpg are not between 0 and 1'): submission([[np.nan]*2], [test1/'2.jpg'], tmp_path/'a.csv')

def test_clipping_is_shown_on_valid(tmp_path, capsys):
    valid = torch.tensor([[.999, .001], [.999, .001]]), torch.tensor([0, 1])
    submission(probs, files, tmp_path/'s.csv', clip=0.1, valid=valid)
    raw, clipped = -np.log([.999, .001]).mean(), -np.log([.9, .1]).mean()
    assert f'{raw:.4f} -> {clipped:.4f}' in capsys.readouterr().out
    assert clip_losses(*valid, clips=(0, 0.1)).log_loss.tolist() == pytest.approx([raw, clipped], rel=1e-4)
    assert np.isfinite(clip_losses([[1., 0.]], [1], clips=(0,)).log_loss[0]), 'a mistake of full confidence costs much, but not infinitely much'

def test_tta_is_the_mean_of_both_sides(learn, capsys, float32):
    learn.fit_head(1)
    files = list(learn.dls.train_ds.items[:6])
    dl = learn.dls.test_dl(files)
    probs, targets = tta(learn, dl)
    x = torch.cat([b[0].as_subclass(torch.Tensor) for b in dl])
    learn.model.eval()
    with torch.no_grad(): plain = (learn.model(x).softmax(1) + learn.model(x.flip(-1)).softmax(1))/2
    assert targets is None and torch.allclose(probs, plain, atol=1e-4)
    assert '16 validation photos: log-loss' in capsys.readouterr().out
    assert tta(learn)[1].tolist() == class_probs(learn)[1].tolist()

def test_ensemble(learn, capsys):
    learn.fit_head(1)
    before, rows = class_probs(learn)[0], len(learn.history)
    probs, targets = ensemble(learn, seeds=(1, 2), epochs=1)
    assert torch.equal(class_probs(learn)[0], before) and len(learn.history) == rows, 'the Learner is unchanged'
    one, two = (ensemble(learn, seeds=[s], epochs=1)[0] for s in (1, 2))
    assert not torch.equal(one, two) and torch.allclose(probs, (one + two)/2, atol=1e-6)
    assert probs.sum(1).numpy() == pytest.approx(1, abs=1e-5) and targets.tolist() == class_probs(learn)[1].tolist()
    assert '2 heads averaged' in capsys.readouterr().out
