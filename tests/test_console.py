"What the package says reaches whoever can read it, and costs nothing if nobody can."
import errno, io, os, sys
from contextlib import redirect_stdout

import pytest
from fastai.callback.progress import ProgressCallback

from dogscats_course import console, plain
from dogscats_course.console import SafeOutput, path_text, progress, say, shows_bars

def encoded(encoding): return io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline='')

def written(stream):
    stream.flush()
    return stream.buffer.getvalue()

class Failing(io.StringIO):
    def __init__(self, error):
        super().__init__()
        self.failure = error
    def write(self, text): raise self.failure
    def flush(self): raise self.failure

class Terminal(io.StringIO):
    encoding = 'utf-8'
    def isatty(self): return True

GONE = BrokenPipeError(errno.EPIPE, 'Broken pipe'), OSError(errno.ENOSPC, 'No space left on device'), OSError(errno.EFBIG, 'File too large'), ValueError('I/O operation on closed file')

# --- text ---

def test_path_text():
    assert path_text('gr\u200c\u732b caf\u00e9') == 'gr\u200c\u732b caf\u00e9'
    assert path_text(os.fsdecode(b'chat\xe9.jpg')) == r'chat\xe9.jpg' and path_text('\ud800') == r'\ud800'
    for name in (bytes(range(1, 256)), b'\xff'*9): path_text(os.fsdecode(name)).encode()

@pytest.mark.parametrize('encoding', ['ascii', 'cp1252', 'latin-1', 'utf-8', 'utf-16', 'shift_jis'])
def test_any_text_in_any_encoding(encoding):
    stream = encoded(encoding)
    with redirect_stdout(stream): say('gr\u200c', '\u732b', 'caf\u00e9', 7, os.fsdecode(b'\xe9'), '\ud83d')
    text = written(stream).decode(encoding)
    assert text.endswith(r'7 \xe9 \ud83d' + os.linesep) or text.endswith(r'7 \xe9 \ud83d' + '\n')
    if encoding == 'ascii': assert r'gr\u200c \u732b caf\xe9' in text
    if encoding == 'utf-8': assert 'gr\u200c \u732b caf\u00e9' in text

def test_commands_to_the_terminal_are_shown():
    out = io.StringIO()
    say('a\x1b]0;title\x07\r.jpg\nand\tnext\x9b', file=out)
    assert out.getvalue() == 'a\\x1b]0;title\\x07\\x0d.jpg\nand\tnext\\x9b\n'

# --- streams ---

@pytest.mark.parametrize('error', GONE)
def test_nobody_reads(error):
    with redirect_stdout(Failing(error)):
        say('a')
        print('b', file=(out := SafeOutput(sys.stdout)), flush=True)
    assert out.error is error and out.isatty() in (True, False)

def test_no_stream(monkeypatch):
    monkeypatch.setattr(sys, 'stdout', None)
    say('a')
    assert not shows_bars() and list(progress('ab')) == ['a', 'b'] and SafeOutput(None).error is None

def test_interrupts_pass():
    with pytest.raises(KeyboardInterrupt), redirect_stdout(Failing(KeyboardInterrupt())): say('a')

def test_a_file_keeps_no_bars():
    file = io.StringIO()
    out = SafeOutput(file)
    for text in ('first\n', '\u2588\r', '\r|#| 1', '\r|##| 2', '\r       \r', 'Epoch 1\n', 'windows\r\n', 'open', ' end'): print(text, end='', file=out, flush=True)
    assert file.getvalue() == 'first\nEpoch 1\nwindows\r\nopen end' and not out.error

def test_a_terminal_gets_everything_at_once():
    file = Terminal()
    for text in ('\r|#| 1', '\r|##| 2'): print(text, end='', file=SafeOutput(file))
    assert file.getvalue() == '\r|#| 1\r|##| 2'

# --- progress ---

def test_bars_need_a_terminal_that_can_show_them(monkeypatch):
    monkeypatch.setattr(console, 'IN_NOTEBOOK', False)
    old = Terminal()
    old.encoding = 'cp1252'
    for stream, wanted in ((Terminal(), True), (old, False), (io.StringIO(), False), (SafeOutput(Terminal()), True), (SafeOutput(None), False)):
        with redirect_stdout(stream): assert shows_bars() == wanted
    monkeypatch.setattr(console, 'IN_NOTEBOOK', True)
    assert shows_bars()

def test_a_line_now_and_then(monkeypatch, capsys):
    now = iter(range(0, 10**6, 10))
    monkeypatch.setattr(console.time, 'monotonic', lambda: next(now))
    assert list(progress(range(2000), what='photos')) == list(range(2000))
    lines = capsys.readouterr().out.splitlines()
    assert 300 < len(lines) < 700 and lines[0].endswith(' of 2,000 photos')
    assert list(progress(iter('abc'), what='files')) == list('abc') and list(progress(iter('abc'), total=3)) == list('abc') and list(progress([])) == []

def test_quick_work_says_nothing(capsys):
    assert len(list(progress(range(1000)))) == 1000 and capsys.readouterr() == ('', '')

def test_a_bar_in_a_terminal():
    with redirect_stdout(Terminal()) as out: assert list(progress(range(3))) == [0, 1, 2]
    assert '\r' in out.getvalue() and '3/3' in out.getvalue()

# --- training ---

@pytest.fixture
def line():
    from fastai.test_utils import synth_learner
    return synth_learner(cbs=plain.PlainProgress)

def test_training_prints_a_line_per_epoch(line, capsys):
    line.fit(2)
    with line.no_bar(): line.validate()
    line.get_preds()
    with line.no_logging(): line.fit(1)
    with line.no_bar(), line.no_logging(): line.fit(1)
    line.fit(1)
    out = capsys.readouterr().out
    assert [o[:14] for o in out.splitlines()] == ['Epoch 1 of 2: ', 'Epoch 2 of 2: ', 'Epoch 1 of 1: '] and '\r' not in out and 'valid_loss' in out
    assert isinstance(line.progress, ProgressCallback) and line.logger is print

def test_training_shows_bars_in_a_terminal(line):
    with redirect_stdout(Terminal()) as out: line.fit(1)
    assert '\r' in out.getvalue() and 'Epoch 1 of' not in out.getvalue()

def test_a_long_epoch_says_how_far_it_is(line, capsys):
    line.plain_progress.every = 0
    line.fit(1)
    assert '1 of 10 batches' in capsys.readouterr().out
