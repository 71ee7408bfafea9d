"What is known of files that have not changed is not read again, and never believed of one that has."
import os, shutil, subprocess, sys, time

import pytest
from PIL import Image

from dogscats_course import known, layout
from dogscats_course.cache import clear_features
from dogscats_course.features import _hashes
from dogscats_course.known import KnownFiles
from dogscats_course.layout import errors_of
from dogscats_course.photos import file_hash

@pytest.fixture
def files(tmp_path, monkeypatch):
    "Four photos that count as old, and an empty cache"
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path/'cache'))
    monkeypatch.setattr(known, '_rest_ns', 0)
    files = [tmp_path/f'{color}.bmp' for color in ('red', 'green', 'blue', 'gray')]
    for f in files: Image.new('RGB', (20, 20), f.stem).save(f)
    time.sleep(0.02)
    return files

@pytest.fixture
def opened(monkeypatch):
    "The names of the photos that are opened to be checked"
    opened, check = [], layout.check_photo
    monkeypatch.setattr(layout, 'check_photo', lambda f: opened.append(f.stem) or check(f))
    return opened

def test_checked_once(files, opened):
    assert errors_of(files) == errors_of(files[::-1]) == ['']*4
    assert sorted(opened) == ['blue', 'gray', 'green', 'red']
    assert _hashes(files) == KnownFiles(files).hashes == list(map(file_hash, files))

def test_bad_photos_are_opened_and_told_each_time(files, opened):
    files[1].write_bytes(b'no photo')
    for _ in range(2): assert [bool(e) for e in errors_of(files)] == [False, True, False, False]
    assert opened.count('green') == 2 and opened.count('red') == 1

@pytest.mark.parametrize('how', ['in place', 'replaced'])
def test_other_content_of_the_same_size_and_time(files, opened, how):
    "As after a restored backup, or `cp --preserve`: the size and the time of the content are the same as before"
    errors_of(files)
    before, old = files[0].stat(), file_hash(files[0])
    time.sleep(0.02)
    if how == 'replaced': shutil.copy(files[1], new := files[0].with_suffix('.new'))
    else: new = files[1]
    if how == 'replaced': new.replace(files[0])
    else: files[0].write_bytes(new.read_bytes())
    os.utime(files[0], ns=(before.st_atime_ns, before.st_mtime_ns))
    after = files[0].stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert _hashes(files[:1]) == [file_hash(files[1])] != [old]
    errors_of(files)
    assert opened.count('red') == 2

def test_a_touched_file_is_read_again(files, opened):
    errors_of(files)
    os.utime(files[0])
    errors_of(files)
    assert opened.count('red') == 2 and len(opened) == 5

def test_a_file_that_was_just_changed_is_not_trusted(files, opened, monkeypatch):
    "Two changes within a tick of the clock leave one time"
    monkeypatch.setattr(known, '_rest_ns', 60*10**9)
    for _ in range(2): errors_of(files)
    assert len(opened) == 8 and not known._read_table()

def test_a_photo_that_is_gone(files):
    errors_of(files)
    files[0].unlink()
    assert errors_of(files)[0] == 'there is no such file'

@pytest.mark.parametrize('damage', ['cut off', 'one byte', 'empty', 'of a newer Pillow', 'a folder'])
def test_a_damaged_table_is_made_again(files, opened, damage, monkeypatch):
    errors_of(files)
    table = known._table_file()
    data = table.read_bytes()
    if damage == 'of a newer Pillow': monkeypatch.setattr(known.PIL, '__version__', '99.0')
    elif damage == 'a folder': table.unlink(), table.mkdir()
    else: table.write_bytes({'cut off': data[:-7], 'one byte': data[:-1] + bytes([data[-1] ^ 1]), 'empty': b''}[damage])
    for _ in range(2): assert errors_of(files) == ['']*4
    assert len(opened) == (12 if damage == 'a folder' else 8)

def test_a_cache_that_cannot_be_written(files, opened, tmp_path, monkeypatch):
    (tmp_path/'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path/'file'))
    for _ in range(2): assert errors_of(files) == ['']*4
    assert len(opened) == 8

def test_cleared(files, opened):
    errors_of(files)
    clear_features()
    errors_of(files)
    assert len(opened) == 8

def test_what_was_checked_before_an_interrupt_is_kept(files, opened, monkeypatch):
    check = layout.check_photo
    def stop_at_the_last(f):
        if f == files[-1]: raise KeyboardInterrupt
        return check(f)
    with monkeypatch.context() as m:
        m.setattr(layout, 'check_photo', stop_at_the_last)
        with pytest.raises(KeyboardInterrupt): errors_of(files)
    assert KnownFiles(files).hashes[:3] == list(map(file_hash, files[:3])) and KnownFiles(files).hashes[3] is None

def test_the_table_stays_small(files, monkeypatch):
    monkeypatch.setattr(known, '_most', 3)
    for f in files: errors_of([f])
    assert [h is None for h in KnownFiles(files).hashes] == [True, False, False, False]

def test_many_processes_at_once(files, tmp_path):
    "They share one table, which is whole at any time"
    code = ("import sys; from dogscats_course import known; known._rest_ns = 0; from dogscats_course.layout import errors_of\n"
            "from pathlib import Path\n"
            "for _ in range(30): assert errors_of([Path(f) for f in sys.argv[1:]]) == ['']*len(sys.argv[1:])")
    runs = [subprocess.Popen([sys.executable, '-W', 'ignore', '-c', code, *map(str, files[i:i+2])]) for i in range(3)]
    assert [r.wait() for r in runs] == [0, 0, 0]
    assert known._read_table() and not list((tmp_path/'cache').rglob('*.part'))
