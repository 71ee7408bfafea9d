"The slider's HTML in a browser, without a network: moving it shows another picture. Its widget does the same."
import base64, io, re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from dogscats_course.slider import slider

def line(value): plt.figure(figsize=(3, 2)); plt.plot([0, value]); plt.ylim(0, 10)

@pytest.fixture
def page(browser, tmp_path):
    "A function that opens HTML in a page that has no network"
    context = browser.new_context(offline=True)
    context.set_default_timeout(10_000)
    def opened(*parts):
        page, errors = context.new_page(), []
        page.on('pageerror', lambda e: errors.append(str(e)))
        page.errors = errors
        file = tmp_path/'page.html'
        file.write_text(f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>A page</title><main><h1>A page</h1>{"".join(parts)}</main></html>', encoding='utf-8')
        page.goto(file.as_uri())
        return page
    yield opened
    context.close()

def shown(box):
    "Return the alternative texts of the pictures that are seen"
    return [o.get_attribute('alt') for o in box.locator('img').all() if o.is_visible()]

def test_moving_it_shows_another_picture(page):
    made = slider(line, [1, 2, 5, 10], 'height', start=2)
    p = page(made._repr_html_(), slider(line, [3, 4], 'other')._repr_html_())
    first, other = (p.locator('.dogscats-slider').nth(i) for i in range(2))
    assert shown(first) == ['with height = 2'] and first.locator('output').inner_text() == '2'
    first.locator('input').fill('3')
    assert shown(first) == ['with height = 10'] and first.locator('output').inner_text() == '10'
    assert first.locator('input').get_attribute('aria-valuetext') == '10'
    assert shown(other) == ['with other = 3'], 'another slider stands still'
    box = first.locator('input').bounding_box()
    p.mouse.click(box['x'] + 2, box['y'] + box['height']/2)
    assert shown(first) == ['with height = 1']
    assert p.evaluate('[...document.images].every(o => o.complete && o.naturalWidth == 330)') and p.errors == []

def test_by_keyboard(page):
    p = page(slider(line, np.linspace(0, 1, 11), 'height', start=0.3)._repr_html_())
    p.keyboard.press('Tab')
    for key in ('ArrowRight', 'ArrowRight', 'ArrowLeft', 'ArrowUp'): p.keyboard.press(key)
    assert shown(p) == ['with height = 0.5']
    p.keyboard.press('End')
    assert shown(p) == ['with height = 1'] and p.evaluate('document.activeElement.ariaValueText') == '1'

def test_names_are_shown_letter_by_letter(page):
    p = page(slider(line, [1, 2], 'a <b> & "c"')._repr_html_())
    assert p.locator('label').inner_text().strip() == 'a <b> & "c"' and shown(p) == ['with a <b> & "c" = 1']

def test_it_is_accessible(page, axe):
    p = page(slider(line, [1, 2], 'height')._repr_html_())
    p.evaluate(axe)
    assert [v['id'] for v in p.evaluate("axe.run({resultTypes: ['violations']}).then(r => r.violations)")] == []

def test_it_loads_nothing_and_has_no_script():
    html = slider(line, [1, 2], 'height')._repr_html_()
    assert '<script' not in html and 'http' not in html and set(re.findall(r'src="(\w+):', html)) == {'data'}

def test_frames_are_small_and_of_one_size():
    made = slider(line, range(9), 'height')
    assert {Image.open(io.BytesIO(f)).size for f in made.frames} == {(330, 220)} and max(map(len, made.frames)) < 8000

def test_the_widget_shows_the_same_frames():
    pytest.importorskip('ipywidgets', reason="pip install 'dogscats_course[clean]'")
    from dogscats_course.slider import _widget
    made = slider(line, [1, 2, 3], 'height', start=2)
    choice, picture = _widget(made.label, made.texts, made.frames, made.at).children
    assert picture.value == made.frames[1]
    choice.value = 2
    assert picture.value == made.frames[2]
    assert 'application/vnd.jupyter.widget-view+json' in made._repr_mimebundle_()

def test_without_ipywidgets_there_is_the_html(monkeypatch):
    monkeypatch.setattr('dogscats_course.slider.find_spec', lambda name: None)
    made = slider(line, [1, 2], 'height')
    assert made._repr_mimebundle_() == {} and made._repr_html_().count('<img') == 2
    assert repr(made) == 'A slider: height, 2 pictures from 1 to 2'

def test_no_figure_is_left_open():
    mine = plt.figure()
    slider(line, [1, 2], 'height')
    def fails(value): plt.figure(); raise KeyError(value)
    with pytest.raises(KeyError): slider(fails, [1], 'height')
    assert plt.get_fignums() == [mine.number] and plt.gcf() is mine
    plt.close(mine)

@pytest.mark.parametrize('args, said', [((line, [], 'x'), 'There are no values to draw'), ((line, [1, 2], 'x', 3), 'start is 3, which is not among the values: 1, 2'),
                                        ((lambda v: None, [1], 'x'), r'draw\(1\) left no figure')])
def test_bad_input_is_a_sentence(args, said):
    with pytest.raises(ValueError, match=said): slider(*args)
