"Drawing: the layout, the same pictures for the same seed, and no files lost."
import filecmp, subprocess, sys

import pytest
from PIL import Image

from dogscats_course.draw import draw_animal, draw_dogscats

def tree(path): return {p.relative_to(path).as_posix() for p in path.rglob('*.jpg')}

def test_layout(drawn):
    names = tree(drawn)
    assert len(names) == 2*12 + 2*8 + 2*3
    assert {'train/cats/cat.0.jpg', 'train/dogs/dog.11.jpg', 'valid/cats/cat.12.jpg', 'test1/1.jpg', 'test1/6.jpg'} <= names
    with Image.open(drawn/'train/cats/cat.0.jpg') as im: assert (im.size, im.mode) == ((64, 64), 'RGB')

def test_the_seed_determines_all_pictures(drawn, tmp_path):
    again = draw_dogscats(tmp_path/'again', train=12, valid=8, test=3, size=64)
    other = draw_dogscats(tmp_path/'other', train=12, valid=8, test=3, size=64, seed=1)
    names = sorted(tree(drawn))
    assert filecmp.cmpfiles(drawn, again, names, shallow=False)[0] == names
    assert filecmp.cmpfiles(drawn, other, names, shallow=False)[1] == names

def test_zero_leaves_a_split_out(tmp_path):
    path = draw_dogscats(tmp_path/'few', train=2, valid=0, test=0, size=32)
    assert sorted(p.name for p in path.iterdir() if p.is_dir()) == ['train']

def test_second_call_draws_nothing(drawn):
    before = {p: p.stat().st_mtime_ns for p in drawn.rglob('*')}
    draw_dogscats(drawn, train=12, valid=8, test=3, size=64)
    assert before == {p: p.stat().st_mtime_ns for p in drawn.rglob('*')}

def test_other_files_are_left_alone(tmp_path):
    (tmp_path/'mine.txt').write_text('mine')
    with pytest.raises(FileExistsError, match='move it away'): draw_dogscats(tmp_path, train=1, valid=1, test=1, size=32)
    assert [p.name for p in tmp_path.iterdir()] == ['mine.txt']

@pytest.mark.parametrize('bad', [dict(train=-1), dict(size=31), dict(train=0, valid=0, test=0)])
def test_bad_numbers(tmp_path, bad):
    with pytest.raises(ValueError): draw_dogscats(tmp_path/'bad', **bad)
    assert not list(tmp_path.iterdir())

def test_unknown_species():
    with pytest.raises(ValueError, match='cow'): draw_animal('cow')

def test_needs_no_torch():
    code = "import sys, dogscats_course.draw; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0

def test_two_at_once(tmp_path):
    code = "import sys; from dogscats_course.draw import draw_dogscats; draw_dogscats(sys.argv[1], train=4, valid=2, test=1, size=64)"
    both = [subprocess.Popen([sys.executable, '-c', code, str(tmp_path/'pets')]) for _ in range(2)]
    assert [p.wait(60) for p in both] == [0, 0]
    assert [p.name for p in tmp_path.iterdir()] == ['pets'] and len(tree(tmp_path/'pets')) == 14
