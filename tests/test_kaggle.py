"Kaggle's files in and out: every photo where it belongs and nowhere else, whatever the zip holds and wherever it was cut off."
import io, shutil, signal, subprocess, sys, zipfile

import numpy as np
import pandas as pd
import pytest
import torch

from dogscats_course.layout import check_layout
from dogscats_course.ensemble import ensemble, tta
from dogscats_course.kaggle import clip_losses, sort_kaggle, submission
from dogscats_course.head import class_probs

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
    assert check_layout(dest).query("split == 'train'").photos.tolist() == [15, 15]

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

def test_command_line(tmp_path):
    z = make_zip(tmp_path/'dogs-vs-cats.zip', photos(1100))
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
    (dict(probs=np.array([[np.nan]*2, *probs[1:]])), 'between 0 and 1'), (dict(probs=probs*2), 'between 0 and 1'), (dict(probs=probs[:, :1]), '3 × 1'),
])
def test_bad_submissions(tmp_path, change, words):
    with pytest.raises(ValueError, match=words): submission(**{**dict(probs=probs, files=files, dest=tmp_path/'s.csv'), **change})
    assert not list(tmp_path.iterdir())

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
