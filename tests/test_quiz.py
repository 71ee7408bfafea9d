"The quiz in a browser, without a network: it counts right, and two of them do not disturb each other."
import re

import pytest
from PIL import Image

from dogscats_course.draw import draw_animal
from dogscats_course.quiz import label_quiz
from test_slider import page

truths, answers = ['cat', 'dog', 'dog', 'cat'], ['cat', 'cat', 'dog', 'cat']

@pytest.fixture(scope='module')
def quiz(): return label_quiz([draw_animal(c, size=64, seed=i) for i, c in enumerate(truths)], truths, answers)

def answer(box, labels):
    for group, c in zip(box.locator('[role=radiogroup]').all(), labels): group.get_by_label(c, exact=True).check()

def told(box): return [o.inner_text() for o in box.locator('[role=radiogroup] > span').all()]

def test_it_counts(page, quiz):
    p = page(quiz._repr_html_())
    answer(p, ['cat', 'dog', 'cat', 'dog'])
    p.get_by_role('button', name='How did I do?').click()
    assert p.get_by_role('status').inner_text() == 'You: 2 of 4 right (95 % interval: 15 to 85 %). The network: 3 of 4 right (95 % interval: 30 to 95 %).'
    assert told(p) == ['✓ right.', '✓ right. The network said: cat.', '✗ It is: dog.', '✗ It is: cat.']
    answer(p, truths)  # once more
    p.get_by_role('button').click()
    assert p.get_by_role('status').inner_text().startswith('You: 4 of 4 right') and p.errors == []

def test_what_is_missing_is_asked_for(page, quiz):
    p = page(quiz._repr_html_())
    answer(p, ['cat', 'dog'])
    p.get_by_role('button').click()
    assert p.get_by_role('status').inner_text() == '' and told(p) == ['']*4
    assert p.evaluate('document.activeElement.name') == '3'

def test_two_of_them_do_not_disturb_each_other(page, quiz):
    p = page(quiz._repr_html_(), quiz._repr_html_())
    first, second = p.locator('form').all()
    answer(first, truths)
    answer(second, ['dog']*4)
    first.get_by_role('button').click()
    assert first.get_by_role('status').inner_text().startswith('You: 4 of 4') and second.get_by_role('status').inner_text() == ''
    second.get_by_role('button').click()
    assert second.get_by_role('status').inner_text().startswith('You: 2 of 4')

def test_by_keyboard(page, quiz):
    p = page(quiz._repr_html_())
    for c in truths:
        p.keyboard.press('Tab')
        p.keyboard.press('ArrowDown' if c == 'dog' else ' ')
    p.keyboard.press('Enter')
    assert p.get_by_role('status').inner_text().startswith('You: 4 of 4')

def test_it_is_accessible(page, axe, quiz):
    p = page(quiz._repr_html_())
    p.evaluate(axe)
    assert [v['id'] for v in p.evaluate("axe.run({resultTypes: ['violations']}).then(r => r.violations)")] == []

def test_pictures_do_not_tell_their_class(quiz):
    html = quiz._repr_html_()
    assert re.findall(r'alt="([^"]*)"', html) == [f'picture {i}' for i in range(1, 5)]
    assert '<script' not in html and 'http' not in html

def test_without_a_network_and_with_three_classes(page, tmp_path):
    "Paths are opened as photos are, and class names are shown letter by letter"
    file = tmp_path/'a <b>.png'
    Image.new('RGBA', (40, 300), 'red').save(file)
    p = page(label_quiz([file, str(file)], ['<i>', '猫'], classes=['"x"', '<i>', '猫'])._repr_html_())
    assert [o.inner_text().strip() for o in p.locator('label').all()] == ['"x"', '<i>', '猫']*2
    answer(p, ['"x"', '猫'])
    p.get_by_role('button').click()
    assert told(p) == ['✗ It is: <i>.', '✓ right.'] and p.get_by_role('status').inner_text() == 'You: 1 of 2 right (95 % interval: 9 to 91 %).'
    assert p.evaluate('document.images[0].naturalHeight') == 128

cat = Image.new('RGB', (9, 9))
@pytest.mark.parametrize('args, said', [(([], []), 'no pictures to label'), (([cat], ['cat', 'dog']), 'There are 1 pictures and 2 truths'), (([cat], ['cat'], []), '0 answers'),
                                        (([cat], ['cat']), 'All pictures are cat'), (([cat], ['dgo'], None, ['cat', 'dog']), "'dgo' among truths is none of the classes: cat, dog")])
def test_bad_input_is_a_sentence(args, said):
    with pytest.raises(ValueError, match=said): label_quiz(*args)
