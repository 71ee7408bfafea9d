"Files and folders appear completely or not at all; and the words that the modules share."
from pathlib import Path

import pytest
import torch

from dogscats_course.about import duration, percent, repository_url, require, versions
from dogscats_course.atomic import atomic_file, atomic_folder, check_new

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
