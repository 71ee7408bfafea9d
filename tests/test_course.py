"Copies of the lessons: a user's work is never lost."
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from dogscats_course import course
from dogscats_course.course import _RECORD, copy_lessons, lessons_folder

FIRST, CHINESE = '01_first.ipynb', 'zh/01_first.ipynb'

def write(folder, name, says):
    "A lesson that prints the text `says`"
    (folder/name).parent.mkdir(parents=True, exist_ok=True)
    cells = [new_markdown_cell('# 1. First\n\n[another](02_second.ipynb), [a module](../03_features.ipynb)', id='title'),
             new_code_cell(f'print({says!r})', id='says', outputs=[new_output('stream', text=says)], execution_count=7, metadata=dict(hide_input=True))]
    nbformat.write(new_notebook(cells=cells), folder/name)

@pytest.fixture
def source(tmp_path, monkeypatch):
    "A folder of lessons like the package's"
    folder = tmp_path/'package'
    for name in (FIRST, '02_second.ipynb', CHINESE, '.ipynb_checkpoints/01_first-checkpoint.ipynb'): write(folder, name, 'hello')
    monkeypatch.setattr(course, 'lessons_folder', lambda: folder)
    return folder

@pytest.fixture
def dest(tmp_path): return tmp_path/'mine'/'lessons'

def states(dest, **kwargs): return set(copy_lessons(dest, **kwargs).values())

def read(f): return nbformat.read(f, as_version=4)

def test_copies(source, dest):
    assert copy_lessons(dest) == {FIRST: 'new', '02_second.ipynb': 'new', CHINESE: 'new'}
    assert {f.relative_to(dest).as_posix() for f in dest.rglob('*') if f.is_file()} == {FIRST, '02_second.ipynb', CHINESE, _RECORD}
    nb = read(dest/FIRST)
    nbformat.validate(nb)
    assert nb.cells[1] == read(source/FIRST).cells[1] and nb.cells[0].source.startswith('# 1. First\n\n[another](02_second.ipynb), [a module](https://')

def test_without_outputs(source, dest):
    assert states(dest, clear=True) == {'new'}
    nb = read(dest/FIRST)
    nbformat.validate(nb)
    assert nb.cells[1].source == "print('hello')" and nb.cells[1].outputs == [] and nb.cells[1].execution_count is None
    assert states(dest) == {'updated'} and read(dest/FIRST).cells[1].outputs, 'and with them'

def test_again(source, dest):
    copy_lessons(dest)
    before = {f: f.stat().st_mtime_ns for f in dest.rglob('*.ipynb')}
    assert states(dest) == {'same'} and before == {f: f.stat().st_mtime_ns for f in dest.rglob('*.ipynb')}

@pytest.mark.parametrize('clear', [False, True])
def test_an_update_leaves_changed_lessons_alone(source, dest, clear):
    copy_lessons(dest)
    mine = (dest/FIRST).read_text().replace('hello', 'hello, mine')
    (dest/FIRST).write_text(mine)
    (dest/'notes.txt').write_text('mine')
    for name in (FIRST, '02_second.ipynb'): write(source, name, 'hello, new')
    write(source, '03_third.ipynb', 'hello')
    assert copy_lessons(dest, clear) == {FIRST: 'yours', '02_second.ipynb': 'updated', '03_third.ipynb': 'new', CHINESE: 'updated' if clear else 'same'}
    assert (dest/FIRST).read_text() == mine and (dest/'notes.txt').read_text() == 'mine' and 'hello, new' in (dest/'02_second.ipynb').read_text()
    assert copy_lessons(dest, clear)[FIRST] == 'yours', 'and the next time'

def test_without_a_record_a_different_file_is_yours(source, dest):
    copy_lessons(dest)
    (dest/_RECORD).unlink()
    write(source, FIRST, 'hello, new')
    assert copy_lessons(dest) == {FIRST: 'yours', '02_second.ipynb': 'same', CHINESE: 'same'}
    write(source, '02_second.ipynb', 'hello, new')
    assert copy_lessons(dest)['02_second.ipynb'] == 'updated', 'remembered again'

@pytest.mark.parametrize('record', ['', 'no JSON', '[]', '{"01_first.ipynb": 1}', '{"my": "notes"}', '['*100_000, '{"a":'*50_000, '9'*5000, b'\xff\xfe'])
def test_a_record_that_is_not_ours_is_not_overwritten(source, dest, record, capsys):
    copy_lessons(dest)
    data = record if isinstance(record, bytes) else record.encode()
    (dest/_RECORD).write_bytes(data)
    write(source, FIRST, 'hello, new')
    assert copy_lessons(dest) == {FIRST: 'yours', '02_second.ipynb': 'same', CHINESE: 'same'}
    assert (dest/_RECORD).read_bytes() == data and 'not the record' in capsys.readouterr().out

@pytest.mark.skipif(not hasattr(__import__('os'), 'mkfifo'), reason='no pipes')
@pytest.mark.parametrize('kind', ['folder', 'link to nowhere', 'link to mine', 'pipe'])
def test_a_record_that_is_no_file(source, dest, kind, tmp_path):
    dest.mkdir(parents=True)
    record, mine = dest/_RECORD, tmp_path/'mine.json'
    mine.write_text('mine')
    if kind == 'folder': record.mkdir()
    elif kind == 'pipe': __import__('os').mkfifo(record)
    else: record.symlink_to('nowhere' if 'nowhere' in kind else mine)
    assert states(dest) == {'new'} and states(dest) == {'same'}
    assert record.is_dir() or record.is_fifo() or record.is_symlink() and mine.read_text() == 'mine'

def test_a_file_of_that_name_is_yours(source, dest):
    dest.mkdir(parents=True)
    (dest/FIRST).write_text('mine')
    (dest/'02_second.ipynb').mkdir()
    assert copy_lessons(dest) == {FIRST: 'yours', '02_second.ipynb': 'yours', CHINESE: 'new'} and (dest/FIRST).read_text() == 'mine'

def test_a_deleted_lesson_comes_back(source, dest):
    copy_lessons(dest)
    (dest/FIRST).unlink()
    assert copy_lessons(dest)[FIRST] == 'new'

def test_a_failed_write_leaves_the_old_file(source, dest, monkeypatch):
    copy_lessons(dest)
    before = (dest/FIRST).read_bytes()
    write(source, FIRST, 'hello, new')
    def full(self, target): raise OSError('the disk is full')
    with monkeypatch.context() as m:
        m.setattr(type(dest), 'replace', full)
        with pytest.raises(OSError, match='full'): copy_lessons(dest)
    assert (dest/FIRST).read_bytes() == before and not list(dest.rglob('*.part'))
    assert copy_lessons(dest)[FIRST] == 'updated'

def test_bad_folders(source, dest, tmp_path):
    (tmp_path/'file').write_text('mine')
    with pytest.raises(NotADirectoryError, match='is a file'): copy_lessons(tmp_path/'file')
    with pytest.raises(ValueError, match='where the lessons come from'): copy_lessons(source)
    assert not (source/_RECORD).exists()

def test_lessons_folder(tmp_path, monkeypatch):
    package = tmp_path/'dogscats_course'
    monkeypatch.setattr(course, 'files', lambda name: package)
    with pytest.raises(FileNotFoundError, match='install the package again'): lessons_folder()
    write(tmp_path/'nbs/lessons', FIRST, 'hello')
    assert lessons_folder() == tmp_path/'nbs/lessons', 'in the checkout'
    write(package/'lessons', FIRST, 'hello')
    assert lessons_folder() == package/'lessons', 'in the package'
