"The report, opened in a browser: complete, self-contained, and fit for a phone."
import json, re, shlex, shutil, sys

import pytest

from dogscats_course.about import percent
from dogscats_course.cli import _parser
from dogscats_course.train import train_classifier

@pytest.fixture(scope='module')
def run(drawn, tmp_path_factory):
    "A run with class and file names that a page must not take for tags"
    path = tmp_path_factory.mktemp('report')
    data = shutil.copytree(drawn, path/'my photos')
    if sys.platform != 'win32':
        for split in ('train', 'valid'): (data/split/'dogs').rename(data/split/'<img src=x onerror=document.title=1>')
    train_classifier(data, epochs=2, size=64, bs=8, fine_tune=0, limit=10, out=path/'run')
    return path/'run'

@pytest.mark.parametrize('width, scheme', [(1300, 'light'), (390, 'light'), (1300, 'dark'), (390, 'dark')])
def test_in_a_browser(browser, run, width, scheme):
    page, requests, errors = browser.new_page(viewport=dict(width=width, height=900), color_scheme=scheme), [], []
    page.on('request', lambda r: requests.append(r.url))
    page.on('console', lambda m: errors.append(m.text))
    page.goto((run/'report.html').as_uri())
    assert [u for u in requests if not u.startswith('data:')] == [(run/'report.html').as_uri()] and not errors, 'it loads no other file'
    m = json.loads((run/'metrics.json').read_text())
    text = page.inner_text('body')
    accuracy, low, high = (percent(m[k], 1) for k in ('accuracy', 'accuracy_low', 'accuracy_high'))
    wanted = f'{accuracy} accuracy', f'{low} to {high}', f"{m['log_loss']:.3f}", 'surest and wrong', 'least sure', m['versions']['torch']
    assert all(w in text for w in wanted)
    assert re.search(r'actual: .+\npredicted: .+\s%', text), 'each photo has its actual and its predicted class'
    if sys.platform != 'win32': assert '<img src=x onerror' in text and page.title() != '1', 'a name is text'
    width_used, images = page.evaluate('[document.documentElement.scrollWidth, [...document.images].map(i => [i.naturalWidth, i.alt, i.clientWidth])]')
    assert width_used <= width and len(images) > 20
    assert all(natural > 50 and len(alt) > 20 and shown > 100 for natural, alt, shown in images), 'every picture is there, is visible, and has alternative text'
    light = sum(map(int, page.evaluate("getComputedStyle(document.body).backgroundColor").strip('rgb()').split(',')[:3]))
    assert (light < 200) == (scheme == 'dark')
    page.emulate_media(media='print')
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == 'rgb(255, 255, 255)', 'white paper'
    page.close()

def test_the_command_in_it_gives_the_same_result(browser, run, tmp_path):
    page = browser.new_page()
    page.goto((run/'report.html').as_uri())
    args = vars(_parser().parse_args(shlex.split(page.inner_text('pre'))[1:]))
    assert args.pop('run').__name__ == '_train_command'
    learn = train_classifier(args.pop('data'), **{**args, 'out': tmp_path/'again'})
    a, b = (json.loads((r/'metrics.json').read_text()) for r in (run, tmp_path/'again'))
    assert a['log_loss'] == b['log_loss'] and len(learn.history) == 2
