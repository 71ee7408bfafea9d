"Files and folders appear completely or not at all; and the words that the modules share."
import errno, os, subprocess, sys
from pathlib import Path

import pytest
import torch

from dogscats_course.about import duration, percent, repository_url, require, versions
from dogscats_course.atomic import atomic_file, atomic_folder, check_new, is_junk, new_parents, sweep_parts, temporary_name

def names(folder): return sorted(f.name for f in folder.iterdir())

# --- files ---

def test_a_file_appears_when_it_is_complete(tmp_path):
    dest = tmp_path/'table.csv'
    with atomic_file(dest) as tmp:
        assert tmp.parent == tmp_path and tmp.name.startswith('.') and tmp.suffix == '.part'
        tmp.write_text('all')
        assert not dest.exists()
    assert dest.read_text() == 'all' and names(tmp_path) == ['table.csv']

@pytest.mark.parametrize('error', [OSError, KeyboardInterrupt])
@pytest.mark.parametrize('overwrite', [False, True])
def test_a_failed_file_leaves_nothing(tmp_path, error, overwrite):
    with pytest.raises(error), atomic_file(tmp_path/'table.csv', overwrite=overwrite) as tmp:
        tmp.write_text('ha')
        raise error
    assert not names(tmp_path)

def test_a_failed_file_leaves_the_old_one(tmp_path):
    dest = tmp_path/'table.csv'
    dest.write_text('old')
    with pytest.raises(OSError), atomic_file(dest, overwrite=True) as tmp:
        tmp.write_text('ne')
        raise OSError
    assert dest.read_text() == 'old' and names(tmp_path) == ['table.csv']

def test_an_existing_file_is_replaced_only_when_asked(tmp_path):
    dest = tmp_path/'table.csv'
    dest.write_text('old')
    with pytest.raises(FileExistsError, match='table.csv exists already'):
        with atomic_file(dest): pytest.fail('must be raised before the work')
    assert dest.read_text() == 'old'
    with atomic_file(dest, overwrite=True) as tmp: tmp.write_text('new')
    assert dest.read_text() == 'new' and names(tmp_path) == ['table.csv']

def test_a_file_that_appeared_meanwhile_stays(tmp_path):
    dest = tmp_path/'table.csv'
    with pytest.raises(FileExistsError), atomic_file(dest) as tmp:
        tmp.write_text('ours')
        dest.write_text('theirs')
    assert dest.read_text() == 'theirs' and names(tmp_path) == ['table.csv']

def test_two_runs_write_the_same_file(tmp_path):
    "The last one to finish wins, and neither writes into the other's file"
    dest = tmp_path/'table.csv'
    with atomic_file(dest, overwrite=True) as a, atomic_file(dest, overwrite=True) as b:
        a.write_text('a')
        b.write_text('b')
    assert dest.read_text() == 'a' and names(tmp_path) == ['table.csv']

def test_no_folder_is_made_for_a_file(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path/'reslts'/'table.csv') as tmp: tmp.write_text('all')
    assert not names(tmp_path)

def test_a_name_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with atomic_file('table.csv') as tmp: tmp.write_text('all')
    with atomic_folder('model') as tmp: (tmp/'a').write_text('all')
    assert names(tmp_path) == ['model', 'table.csv']

# --- folders ---

def test_a_folder_appears_when_it_is_complete(tmp_path):
    dest = tmp_path/'runs'/'today'
    with atomic_folder(dest) as tmp:
        (tmp/'a').write_text('all')
        assert not dest.exists()
    assert names(dest) == ['a'] and names(dest.parent) == ['today']

def test_a_failed_folder_leaves_the_old_one(tmp_path):
    dest = tmp_path/'model'
    dest.mkdir()
    (dest/'a').write_text('old')
    with pytest.raises(KeyboardInterrupt), atomic_folder(dest, replaces=['a']) as tmp:
        (tmp/'a').write_text('ne')
        raise KeyboardInterrupt
    assert (dest/'a').read_text() == 'old' and names(tmp_path) == ['model']

def test_a_folder_is_replaced_as_a_whole(tmp_path):
    dest = tmp_path/'model'
    dest.mkdir()
    for name in 'ab': (dest/name).write_text('old')
    with atomic_folder(dest, replaces=['a', 'b']) as tmp: (tmp/'a').write_text('new')
    assert names(dest) == ['a'] and (dest/'a').read_text() == 'new' and names(tmp_path) == ['model']

def test_files_that_appeared_in_a_folder_meanwhile_stay(tmp_path):
    dest = tmp_path/'model'
    with pytest.raises(FileExistsError), atomic_folder(dest, replaces=['a']) as tmp:
        (tmp/'a').write_text('ours')
        dest.mkdir()
        (dest/'diary').write_text('theirs')
    assert names(dest) == ['diary'] and names(tmp_path) == ['model']

def test_a_failed_rename_restores_the_old_folder(tmp_path, monkeypatch):
    dest, rename = tmp_path/'model', Path.rename
    dest.mkdir()
    (dest/'a').write_text('old')
    def refuse(self, target):
        if self.suffix == '.part': raise PermissionError('a virus scanner has it open')
        return rename(self, target)
    monkeypatch.setattr(Path, 'rename', refuse)
    with pytest.raises(PermissionError), atomic_folder(dest, replaces=['a']) as tmp: (tmp/'a').write_text('new')
    assert (dest/'a').read_text() == 'old' and names(tmp_path) == ['model']

def test_what_may_be_replaced(tmp_path):
    check_new(tmp_path/'nothing')
    folder = tmp_path/'folder'
    folder.mkdir()
    check_new(folder)
    (folder/'a').write_text('')
    check_new(folder, replaces=['a'])
    for dest in (folder, folder/'a'):
        with pytest.raises(FileExistsError, match='move it away'): check_new(dest)
    with pytest.raises(FileExistsError): check_new(folder/'a', replaces=['a'])  # a file where a folder belongs

def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path/'a').mkdir()
    (tmp_path/'link').symlink_to('a')
    with atomic_folder(tmp_path/'link') as tmp: (tmp/'x').write_text('all')
    assert (tmp_path/'link').is_symlink() and names(tmp_path/'a') == ['x'] and names(tmp_path) == ['a', 'link']

@pytest.mark.parametrize('overwrite', [False, True])
def test_a_link_that_leads_nowhere_is_not_replaced_unasked(tmp_path, overwrite):
    dest = tmp_path/'p.csv'
    dest.symlink_to('nowhere')
    if overwrite:
        with atomic_file(dest, overwrite=True) as tmp: tmp.write_text('all')
        assert dest.read_text() == 'all'
    else:
        for writing in (atomic_file, atomic_folder):
            with pytest.raises(FileExistsError), writing(dest): pytest.fail('must be raised before the work')
        assert dest.is_symlink() and names(tmp_path) == ['p.csv']

@pytest.mark.parametrize('name', ['x'*255, 'ä'*127, 'x'*248])
def test_names_as_long_as_the_disk_allows(tmp_path, name):
    with atomic_file(tmp_path/name) as tmp: tmp.write_text('all')
    assert (tmp_path/name).read_text() == 'all'
    (tmp_path/name).unlink()
    for _ in range(2):
        with atomic_folder(tmp_path/name, replaces=['a']) as tmp: (tmp/'a').write_text('all')
    assert names(tmp_path) == [name]

@pytest.mark.parametrize('name', ['x'*256, 'file/p.csv'])
def test_names_that_cannot_be(tmp_path, name):
    (tmp_path/'file').touch()
    for writing in (atomic_file, atomic_folder):
        with pytest.raises(OSError), writing(tmp_path/name): pytest.fail('must be raised before the work')
    assert names(tmp_path) == ['file']

def test_a_full_disk_is_told_with_the_name_that_was_given(tmp_path):
    with pytest.raises(OSError, match=r"No space left on device: '.*table.csv'"), atomic_file(tmp_path/'table.csv'):
        raise OSError(errno.ENOSPC, 'No space left on device')
    with pytest.raises(OSError, match=r"too large: '.*model/a'"), atomic_folder(tmp_path/'model') as tmp:
        raise OSError(errno.EFBIG, 'File too large', str(tmp/'a'))
    with pytest.raises(OSError, match='^not a photo$'), atomic_file(tmp_path/'table.csv'): raise OSError('not a photo')

@pytest.mark.skipif(sys.platform == 'win32', reason='no limits there')
def test_a_limit_of_the_file_size(tmp_path):
    code = """import resource, sys; from pathlib import Path; from dogscats_course.atomic import atomic_file
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
with atomic_file(sys.argv[1]) as tmp: tmp.write_text('x'*1000)"""
    r = subprocess.run([sys.executable, '-c', code, tmp_path/'a.csv'], capture_output=True, text=True)
    assert r.returncode == 1 and 'File too large' in r.stderr and 'a.csv' in r.stderr and names(tmp_path) == []

# --- what others leave ---

JUNK = ['.DS_Store', 'Thumbs.db', 'thumbs.db', 'desktop.ini', 'Desktop.ini', '._cat.jpg', '.localized']

def test_files_of_file_managers_do_not_count(tmp_path):
    assert all(map(is_junk, JUNK)) and not any(map(is_junk, ['cat.jpg', '.gitignore', 'config.json', '_x', '.']))
    dest = tmp_path/'model'
    dest.mkdir()
    for name in ['a', *JUNK]: (dest/name).write_text('')
    check_new(dest, replaces=['a'])
    with pytest.raises(FileExistsError): check_new(dest)
    with atomic_folder(dest, replaces=['a']) as tmp: (tmp/'a').write_text('new')
    assert names(dest) == ['a'] and (dest/'a').read_text() == 'new'
    (dest/'a').rename(dest/'.DS_Store')
    with atomic_folder(dest) as tmp: (tmp/'b').write_text('new')
    assert names(dest) == ['b']

def of_process(file, pid): return file.with_name(file.name.replace(f'-{os.getpid()}-', f'-{pid}-'))

def gone():
    p = subprocess.Popen([sys.executable, '-c', ''])
    p.wait()
    return p.pid

def test_parts_are_swept_if_their_process_is_gone(tmp_path):
    mine, theirs = (temporary_name(tmp_path/name) for name in ('a.csv', 'b.csv'))
    living, dead = of_process(theirs, os.getppid()), of_process(temporary_name(tmp_path/'c'), gone())
    for f in (mine, living): f.write_text('half')
    dead.mkdir()
    (dead/'half').write_text('')
    os.utime(mine, (0, 0))  # a hard link is as old as what it leads to
    sweep_parts(tmp_path)
    assert names(tmp_path) == sorted([mine.name, living.name])

def test_parts_of_another_machine_stay_for_a_day(tmp_path, monkeypatch):
    from dogscats_course import atomic
    part = of_process(temporary_name(tmp_path/'a.csv'), gone())
    part.write_text('half')
    monkeypatch.setattr(atomic, '_machine', lambda: '00000000')
    sweep_parts(tmp_path)
    assert names(tmp_path) == [part.name]
    now = atomic.time.time()
    monkeypatch.setattr(atomic.time, 'time', lambda: now + 90_000)
    sweep_parts(tmp_path)
    assert not names(tmp_path)

def test_what_made_way_is_swept_only_if_the_new_one_is_there(tmp_path):
    old = of_process(temporary_name(tmp_path/'model', 'old'), gone())
    old.mkdir()
    (old/'config.json').write_text('mine')
    sweep_parts(tmp_path)
    assert names(tmp_path) == [old.name], 'killed between the two renames: this is all that is left'
    (tmp_path/'model').mkdir()
    sweep_parts(tmp_path)
    assert names(tmp_path) == ['model']

def test_other_hidden_files_are_never_swept(tmp_path):
    for name in ('.dogscats_lessons.json', '.dogscats-notes.part', '.x.part', 'a.part'): (tmp_path/name).touch()
    sweep_parts(tmp_path)
    sweep_parts(tmp_path/'nowhere')
    assert len(names(tmp_path)) == 4

def test_the_next_writer_sweeps(tmp_path):
    for name in ('a', 'b'): of_process(temporary_name(tmp_path/name), gone()).touch()
    with atomic_file(tmp_path/'c') as tmp: tmp.write_text('all')
    assert names(tmp_path) == ['c']

def test_folders_above_go_again_if_nothing_came_of_it(tmp_path):
    mine = tmp_path/'mine'
    mine.mkdir()
    for dest in (mine/'model', tmp_path/'a'/'b'/'model'):
        with pytest.raises(KeyboardInterrupt), atomic_folder(dest): raise KeyboardInterrupt
    assert names(tmp_path) == ['mine'] and not names(mine)
    with pytest.raises(OSError), new_parents(tmp_path/'a'/('b'*256)/'c'): pass
    assert names(tmp_path) == ['mine']

# --- words ---

@pytest.mark.parametrize('p, text', [
    (0, '<1 %'), (1e-9, '<1 %'), (0.005, '<1 %'), (0.0051, '1 %'), (0.5, '50 %'),
    (0.9949, '99 %'), (0.995, '>99 %'), (1 - 1e-9, '>99 %'), (1, '>99 %')])
def test_percent(p, text):
    assert percent(p) == text
    assert percent(torch.tensor(p, dtype=torch.float64)) == text, 'a tensor of one number works too'

def test_percent_with_decimals():
    texts = [percent(p, 1) for p in (0, 0.0001, 0.9704, 0.99996, 1)]
    assert texts == ['0.0 %', '0.0 %', '97.0 %', '100.0 %', '100.0 %']
    assert percent(0.98764, digits=2) == '98.76 %'

def test_duration():
    texts = [duration(s) for s in (0, 85.2, 99.4, 100, 734, 7200)]
    assert texts == ['0 s', '85 s', '99 s', '2 min', '12 min', '120 min']

def test_require_names_the_missing_packages_and_the_pip_command():
    require('publish', 'torch', 'fastai')
    with pytest.raises(ImportError) as e: require('clean', 'torch', 'no_such_hash', 'no_such_widget')
    assert str(e.value) == "This needs no_such_hash, no_such_widget: pip install 'dogscats_course[clean]'"

def test_this_installation():
    assert list(versions()) == ['python', 'dogscats_course', 'fastai', 'torch', 'torchvision']
    assert versions()['torch'] in torch.__version__
    assert repository_url().startswith('https://') and not repository_url().endswith('/')
