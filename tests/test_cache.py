"Features on disk are computed once, whatever happens to photos, runs or files in the meantime."
import errno, functools, os, shutil, signal, subprocess, sys, tempfile

import pytest
import torch
from fastai.vision.all import CategoryBlock, DataBlock, Resize, TransformBlock, get_image_files, parent_label

from dogscats_course import body, features
from dogscats_course import cache as cache_module
from dogscats_course.photos import PhotoError
from dogscats_course.data import OpenPhoto, make_dls
from dogscats_course.body import iter_features, pooled_features
from dogscats_course.cache import cache_table, clear_features
from dogscats_course.features import cached_features, new_photos
from dogscats_course.learner import vgg_learner

@pytest.fixture
def cache(tmp_path, cache_at):
    "An empty cache folder"
    return cache_at(tmp_path/'cache'/'features')

@pytest.fixture(autouse=True)
def no_earlier_features(monkeypatch):
    "What an earlier test could not cache, and what it was told, is forgotten"
    monkeypatch.setattr(cache_module, '_process_folder', functools.cache(tempfile.TemporaryDirectory))
    cache_module._told.clear()

@pytest.fixture
def files(drawn, tmp_path): return sorted(shutil.copytree(drawn/'train', tmp_path/'photos').rglob('*.jpg'))

@pytest.fixture
def computed(monkeypatch):
    "A list of the sizes of the batches that went through the body"
    seen = []
    def count(*args):
        for x, y in iter_features(*args):
            seen.append(len(x))
            yield x, y
    monkeypatch.setattr(features, 'iter_features', count)
    return seen

def test_cleared_while_being_filled(learn, files, cache, monkeypatch):
    def clearing(*args):
        for o in iter_features(*args):
            clear_features()
            yield o
    learn.dls.bs = 4
    monkeypatch.setattr(body, '_batch_size', lambda *_: 4)
    monkeypatch.setattr(features, 'iter_features', clearing)
    x = cached_features(learn, files)[:]
    assert torch.allclose(x, pooled_features(learn, learn.dls.test_dl(files))[0], rtol=1e-3, atol=1e-3) and (sys.platform == 'win32' or not list(cache.rglob('*.rows')))

def same(a, b): return torch.allclose(a, b, rtol=1e-3, atol=1e-3)

def test_computed_once(learn, files, cache, computed):
    a = cached_features(learn, files)
    assert sum(computed) == len(files) == 24 and not new_photos(learn, files)
    b = cached_features(learn, files[::-1])
    assert sum(computed) == 24 and torch.equal(a[:], b[:].flip(0)), 'from the cache, in the requested order'
    assert same(a[:], pooled_features(learn, learn.dls.test_dl(files))[0]) and a[:].dtype == torch.float32
    assert torch.equal(a[[5, 2, 2]], a[:][[5, 2, 2]]) and a[3:7].shape == (4, 1024) and len(a) == 24

def test_only_new_and_changed_photos_are_computed(learn, files, cache, computed):
    cached_features(learn, files[:20])
    cached_features(learn, files)
    assert sum(computed) == 24
    before = cached_features(learn, files)[:]
    shutil.copy(files[1], files[0])
    assert new_photos(learn, files) == [], 'the content counts, not the name'
    after = cached_features(learn, files)[:]
    assert torch.equal(after[0], before[1]) and torch.equal(after[1:], before[1:]) and sum(computed) == 24
    files[0].write_bytes(files[0].read_bytes() + b'more')
    assert new_photos(learn, files) == files[:1]

def test_the_key_has_everything_that_determines_the_features(learn, drawn, files, cache, computed):
    cached_features(learn, files)
    with torch.no_grad(): learn.model[0][0][0].weight[0, 0, 0, 0] += 1
    assert len(new_photos(learn, files)) == 24, 'weights'
    assert len(new_photos(vgg_learner(make_dls(drawn, size=96, bs=8), weights='bundled'), files)) == 24, 'size'
    again = vgg_learner(make_dls(drawn, size=64, bs=4), weights='bundled')
    assert not new_photos(again, files), 'and nothing else'
    again.fit_head(1)
    assert not new_photos(again, files), 'the head does not count'

def test_the_resize_method_is_in_the_key(drawn, files, cache):
    def learner(method): return vgg_learner(DataBlock((TransformBlock(OpenPhoto(32)), CategoryBlock), get_items=get_image_files, get_y=parent_label,
        item_tfms=Resize(32, method=method)).dataloaders(drawn/'train', bs=8), weights='bundled')
    cached_features(learner('squish'), files)
    assert not new_photos(learner('squish'), files) and len(new_photos(learner('crop'), files)) == len(new_photos(learner('pad'), files)) == 24
    cached_features(learner('crop'), files)
    assert not new_photos(learner('crop'), files), 'photos to predict are cropped in the middle, not at random'

def test_a_learner_of_the_drawn_set_uses_it(drawn, cache, computed):
    for _ in range(2): vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled').fit_head(1)
    assert sum(computed) == 40

def rows(cache): return sorted(cache.glob('*/*.rows'))

def damaged(f):
    data = bytearray(f.read_bytes())
    data[5000] ^= 1
    f.write_bytes(data)

def test_damage_is_reported_and_repaired(learn, files, cache, computed, capsys):
    good = cached_features(learn, files)[:]
    damaged(rows(cache)[0])
    assert torch.equal(cached_features(learn, files)[:], good) and sum(computed) == 48
    assert 'is damaged' in capsys.readouterr().out
    cached_features(learn, files)
    assert 'damaged' not in capsys.readouterr().out and sum(computed) == 48

@pytest.mark.parametrize('left', [0, 10, 2068*7, 2068*7 + 999])
def test_the_complete_rows_of_a_truncated_file_are_used(learn, files, cache, computed, capsys, left):
    cached_features(learn, files)
    f, = rows(cache)
    with f.open('r+b') as o: o.truncate(left)
    cached_features(learn, files)
    assert sum(computed) == 24 + 24 - left//2068 and 'damaged' not in capsys.readouterr().out

code = '''
import os, signal, sys
from pathlib import Path
from dogscats_course import cache, features
from dogscats_course.data import make_dls
from dogscats_course.learner import vgg_learner
cache.cache_folder = lambda: Path(sys.argv[2])
whole = features.iter_features
def some(*args):
    for i, o in enumerate(whole(*args)):
        if i == int(sys.argv[4]): os.kill(os.getpid(), signal.SIGKILL)
        yield o
features.iter_features = some
learn = vgg_learner(make_dls(sys.argv[1], size=int(sys.argv[5]), bs=8), weights='bundled')
features.cached_features(learn, sorted(Path(sys.argv[3]).rglob('*.jpg')))
'''
def process(drawn, cache, files, stop, size=64):
    args = drawn, cache, files[0].parents[1], stop, size
    return subprocess.Popen([sys.executable, '-c', code, *map(str, args)])

@pytest.mark.skipif(sys.platform == 'win32', reason='there is no SIGKILL')
def test_a_killed_run_is_continued(drawn, files, cache, computed):
    p = process(drawn, cache, files, 1, size=224)
    assert p.wait() == -signal.SIGKILL
    learn = vgg_learner(make_dls(drawn, size=224, bs=8), weights='bundled')
    assert len(new_photos(learn, files)) == 8, 'the first batch of 16 is cached'
    cached_features(learn, files)
    assert sum(computed) == 8

def test_two_processes_at_once(learn, drawn, files, cache, computed):
    both = [process(drawn, cache, files, -1) for _ in range(2)]
    assert [p.wait() for p in both] == [0, 0]
    x = cached_features(learn, files)[:]
    assert not computed, 'their cached features are used'
    assert same(x, pooled_features(learn, learn.dls.test_dl(files))[0])

def test_the_least_recently_used_features_are_evicted_first(learn, files, cache, monkeypatch):
    monkeypatch.setattr(cache_module, '_cache_bytes', 2068*20)
    for i, part in enumerate((files[:8], files[8:16])):
        cached_features(learn, part)
        for f in rows(cache): os.utime(f, (i, i))
    cached_features(learn, files[:8])  # used last
    cached_features(learn, files[16:])
    assert new_photos(learn, files) == files[8:16]

def test_a_read_only_cache_folder(learn, files, tmp_path, cache_at, capsys):
    (tmp_path/'file').write_text('no folder')
    cache_at(tmp_path/'file'/'features')
    x, out = cached_features(learn, files)[:], capsys.readouterr().out
    assert x.shape == (24, 1024) and f'Features cannot be cached in {tmp_path}' in out
    assert new_photos(learn, files) == [] and 'cached' not in capsys.readouterr().out, 'kept for this process, and said once'

def failing(monkeypatch, k, where=''):
    "Let the `k`-th batch that is written below `where`, and all after it, meet a full disk"
    append, seen = cache_module._append, []
    def full(out, rows):
        if not out.name.startswith(str(where)): return append(out, rows)
        seen.append(rows)
        if len(seen) <= k: return append(out, rows)
        out.write(rows.tobytes()[:999])
        raise OSError(errno.ENOSPC, 'No space left on device')
    monkeypatch.setattr(cache_module, '_append', full)
    monkeypatch.setattr(body, '_batch_size', lambda *_: 5)

@pytest.mark.parametrize('everywhere', [False, True])
@pytest.mark.parametrize('k', [0, 1, 4])
def test_a_full_disk_costs_no_features(learn, files, cache, computed, capsys, monkeypatch, k, everywhere):
    wanted = pooled_features(learn, learn.dls.test_dl(files))[0]
    failing(monkeypatch, k, '' if everywhere else cache)
    x = cached_features(learn, files)
    assert same(x[:], wanted) and same(x[[23, 0, 7]], wanted[[23, 0, 7]]) and sum(computed) == 24
    out = capsys.readouterr().out
    assert out.count('Features cannot be cached') == 1 and 'No space left on device' in out and 'damaged' not in out
    assert len(new_photos(learn, files)) == (24 - 5*k if everywhere else 0), 'what was written is used again'
    monkeypatch.undo()

@pytest.mark.parametrize('error', [PermissionError(errno.EACCES, 'Permission denied'), OSError(errno.EFBIG, 'File too large'), OSError('odd')])
def test_a_cache_that_cannot_be_written(learn, files, cache, capsys, monkeypatch, error):
    def refuse(*args, **kwargs): raise error
    monkeypatch.setattr(cache_module, '_new_file', refuse)
    monkeypatch.setattr(cache_module.tempfile, 'TemporaryFile', refuse)
    monkeypatch.setattr(cache_module, '_process_folder', functools.cache(refuse))
    assert cached_features(learn, files)[:].shape == (24, 1024)
    assert capsys.readouterr().out.count(f'({error.strerror or error})') == 1

@pytest.mark.skipif(sys.platform == 'win32', reason='there is no limit on the size of a file')
def test_a_limit_on_the_size_of_files(drawn, tmp_path):
    code = '''if True:
        import resource, sys
        from dogscats_course.data import make_dls
        from dogscats_course.learner import vgg_learner
        learn = vgg_learner(make_dls(sys.argv[1], size=64, bs=8), weights='bundled')
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        learn.fit_head(2)
        print('trained', len(learn.history))'''
    env = os.environ | dict(XDG_CACHE_HOME=str(tmp_path), TMPDIR=str(tmp_path))
    r = subprocess.run([sys.executable, '-c', code, drawn], capture_output=True, text=True, env=env)
    assert r.returncode == 0 and 'trained 2' in r.stdout and r.stdout.count('Features cannot be cached') == 1, r.stdout + r.stderr

def test_files_that_are_not_ours(learn, files, cache, computed):
    cached_features(learn, files)
    folder = rows(cache)[0].parent
    for name in ('a-b.rows', 'my-0.rows', 'my-99999999999999999999.rows', 'notes.rows'): (folder/name).write_text('mine')
    (folder/'dir-4.rows').mkdir()
    (cache/'mine-4.rows').write_text('mine')
    assert not new_photos(learn, files) and cache_table().photos.sum() == 24
    clear_features()
    assert len(list(folder.iterdir())) == 5 and (cache/'mine-4.rows').exists()

@pytest.mark.parametrize('what', ['read', 'utime', 'unlink'])
def test_rows_of_another_user(learn, files, cache, monkeypatch, capsys, what):
    cached_features(learn, files)
    def refuse(*_, **__): raise PermissionError(errno.EACCES, 'Permission denied')
    if what == 'read': monkeypatch.setattr(features, '_read_rows', refuse)
    if what == 'utime': monkeypatch.setattr(features.os, 'utime', refuse)
    if what == 'unlink':
        damaged(rows(cache)[0])
        monkeypatch.setattr(cache_module.Path, 'unlink', refuse)
    assert len(new_photos(learn, files)) == (0 if what == 'utime' else 24)

def test_a_disk_that_cannot_map_files(learn, files, cache, computed, monkeypatch):
    def refuse(*args, **kwargs): raise OSError(errno.ENODEV, 'No such device')
    monkeypatch.setattr(cache_module.np, 'memmap', refuse)
    a = cached_features(learn, files)[:]
    assert torch.equal(cached_features(learn, files)[:], a) and sum(computed) == 24

@pytest.mark.skipif(sys.platform == 'win32', reason='there is no FIFO')
@pytest.mark.parametrize('become', ['edited', 'missing', 'pipe', 'damaged'])
def test_a_photo_that_changes_while_others_are_read(learn, files, cache, monkeypatch, become):
    monkeypatch.setattr(body, '_batch_size', lambda *_: 4)
    def change(*args):
        for i, o in enumerate(iter_features(*args)):
            if i == 0:
                files[6].unlink()
                if become == 'edited': shutil.copy(files[0], files[6])
                if become == 'pipe': os.mkfifo(files[6])
                if become == 'damaged': files[6].write_bytes(b'damaged')
            yield o
    monkeypatch.setattr(features, 'iter_features', change)
    with pytest.raises(PhotoError, match='.'.join(files[6].name.split('.')) + ' cannot be opened: '): cached_features(learn, files)
    monkeypatch.undo()
    assert len(rows(cache)) == 1 and rows(cache)[0].stat().st_size == 4*2068, 'the batch before it was kept'

@pytest.mark.skipif(sys.platform == 'win32', reason='there is no FIFO')
@pytest.mark.parametrize('kind', ['missing', 'pipe', 'folder'])
def test_a_photo_that_is_none_any_more(learn, files, cache, kind):
    files[3].unlink()
    if kind == 'pipe': os.mkfifo(files[3])
    if kind == 'folder': files[3].mkdir()
    with pytest.raises(PhotoError, match=f'{files[3].name} cannot be opened'): cached_features(learn, files)

def test_shown_and_cleared(learn, files, cache):
    cached_features(learn, files)
    (cache/'mine.txt').write_text('mine')
    assert cache_table().photos.tolist() == [24] and cache_table().megabytes.sum() == pytest.approx(24*2068/1e6)
    clear_features()
    assert cache_table().empty and [p.name for p in cache.iterdir()] == ['mine.txt']

def test_a_pipeline_that_may_read_other_files_is_not_cached(drawn, cache):
    from fastai.vision.all import ImageDataLoaders
    learn = vgg_learner(ImageDataLoaders.from_folder(drawn, valid='valid', item_tfms=None, bs=8), weights='bundled')
    assert cached_features(learn, learn.dls.valid_ds.items[:4])[:].shape == (4, 1024) and not cache.exists()
