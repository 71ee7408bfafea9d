"""Each lesson runs from top to bottom, with the package as its wheel holds it, and keeps its promises; its file is as `make lessons` leaves it, and laid out as a lesson must be."""
import ast, json, re, runpy, time, zipfile
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from dogscats_course.chinese import chinese_font, in_chinese

root = Path(__file__).resolve().parent.parent
maker = runpy.run_path(str(root/'nbs/lessons.py'))
code, folder = maker['code'], root/'nbs/lessons'

# What holds in a lesson's kernel after its last cell: Python expressions, by the name of the lesson without its language.
PROMISES = {
    '01_seven_lines': ["vgg.learn.history.accuracy.iloc[-1] > 0.9", "tries.accuracy.iloc[0] < 0.8 < 0.9 < tries.accuracy.iloc[-1]", "min(spread[100]) > 0.8", "-2 < places[-1] < -1.9", "fresh.learn is None and len(fresh.classes) == 1000"],
    '02_pretrained': ["same_class(x) > .8 > same_class(pixels)", "from_few(x, 20)[2] > .8 > from_few(pixels, 20)[2]", "len(classes) == 1000 and len(cats) == 5 and len(dogs) > 100"],
    '04_reading_mistakes': ["0 < right.sum() < len(right)", "abs(right.float().mean() - scores['accuracy']) < 1e-6", "len(twenty) == len(exam) == 20",
                            "covered['the brightest fifth'].mean() < covered['a fifth anywhere'].mean() < covered['the darkest fifth'].mean()",
                            "(after < 0.5).sum() < (before < 0.5).sum()/2", "recall(0.05) > recall(0.5) > recall(0.95)", "photos_needed(0.8, 0.005) == 24_585"],
    '06_from_nothing': ["torch.equal(by_loops, conv(grey, kernel)) and torch.equal(d_w1, w1.grad) and torch.equal(d_w2, w2.grad)", "(nine - kernel).abs().max() < 0.02",
                        "descend(fifty_hinges()) < 0.02", "result['accuracy'] > 0.9", "ours.accuracy.iloc[0] < 0.78 < theirs.accuracy.iloc[0]", "abs(theirs.accuracy.iloc[0] - ours.accuracy.iloc[2]) < 0.1"],
    '07_vgg': ["max((p - q).abs().max().item() for p, q in zip(block_outputs(ours, xb), block_outputs(theirs, xb))) < 1e-5", "fields == [6, 16, 44, 100, 212]", "len(layers) == 52 and layers.weights.sum() == n_weights([torchvisions])",
               "abs(layers.steps.sum()/1e9 - vggs['billion steps']['vgg16_bn']) < 0.01", "points['vgg19_bn'] < 0.6*points['vgg16_bn']"],
    '08_fine_tuning': ["means(side_rows).low['last block'] > means(side_rows).accuracy['head'] + 0.05", "score(start(sides))['accuracy'] < 0.85",
                       "max(moved(learners[sides, 'head'])) == max(drift(learners[sides, 'head'])) == 0", "max(moved(loose)) == 0 < max(drift(loose))",
                       "max(moved(learners[sides, 'last block'])[:10]) == 0 < min(moved(learners[sides, 'last block'])[10:])",
                       "means(held_rows).accuracy.iloc[0] > means(side_rows).accuracy['all'] - 0.05",
                       "curves['overfitting'].valid_loss.iloc[-1] > 2*curves['about right'].valid_loss.iloc[-1]"],
    '09_what_it_learnt': ["cured[0].mean() < 0.45 and 0.85 < cured[-1].mean()", "0.85 < fair.score(x[swapped], is_dog[swapped])",
                          "p_small[16:, -1].mean() - p_small[16:, 0].mean() > 0.2 > abs(p_large[16:, -1].mean() - p_large[16:, 0].mean())",
                          "p_large[:16, -1].mean() - p_large[:16, 0].mean() > 0.1", "verdict['old share'].min() > verdict['new share'].mean()",
                          "right[0].mean() > 0.9 and right[-1].mean() < 0.65 and np.maximum(in_the_dark, 1 - in_the_dark)[-1].mean() > 0.85",
                          "errors[0].mean() > 3*errors[-1].mean()", "held[2] > free[2] + 0.05"],
    '11_fast': ["min(same.values()) > 0.999", "list(rates.values())[-1] > rates['plain']", "len(learn.history) >= 8", "worst/real > 5",
                "each > 2*head"],
    '10_kaggle': ["ours['accuracy'] > 0.9", "csv.is_file() and len(pd.read_csv(csv)) == len(test.items)", "losses['five heads'] < losses['one head, mean of five']", "one_more(clip) < one_more(0)"],
    '03_your_photos': ["len(leaks(mine)) == 0", "strange.file[0].name == 'dog.screenshot.png'", "found(held_out.file)[29] > found(by_heart)[29]",
                       "len(wrong_ones(again)) > 0 == len(left[0]) and len(left[1]) <= 3",
                       "np.mean(rows['after, clean exam']) > np.mean(rows['before, clean exam']) > np.mean(rows['before, exam with wrong labels'])"],
    '05_sharing': ["not onnx_file.exists() or gap < 1e-4", "'95 % interval' in card", "sorted(f.name for f in to_upload.iterdir()) == ['README.md', 'config.json', 'model.safetensors']",
                   "not space.exists() or abs(its['classify'](picture)['cats'] - probs[list(learn.dls.valid_ds.items).index(picture), 0]) < 0.03",
                   "not page.exists() or 'No photo leaves it.' in page.read_text(encoding='utf-8')"],
}

LESSONS = maker['lessons']()
each = pytest.mark.parametrize('name', LESSONS)

def read(name): return nbformat.read(LESSONS[name], as_version=4)

def test_there_are_lessons(): assert {'01_seven_lines', 'zh/01_seven_lines'} <= set(LESSONS)

# --- running them ---

trains = re.compile(r'(?<!def )\b(?:fit_head|fit|fine_tune|fit_one_cycle|train_classifier|finetune)\(')

@pytest.fixture(scope='session')
def caches(tmp_path_factory):
    "One folder for the pictures and features of all lessons, which are drawn and computed once"
    return tmp_path_factory.mktemp('lessons')

@pytest.fixture(scope='session')
def wheel(dist, tmp_path_factory):
    "A folder with what the wheel holds"
    with zipfile.ZipFile(next(dist.glob('*.whl'))) as f: f.extractall(folder := tmp_path_factory.mktemp('wheel'))
    return folder

def run(nb, cwd, caches, wheel, promises=()):
    "Run `nb` with the package in `wheel`, its quick training cells twice, then check the promises; return those that were broken"
    client, broken = maker['client'](nb, cwd), []
    promises = [f"__import__('dogscats_course').__file__.startswith({str(wheel)!r})", *promises]
    with client.setup_kernel(env={**maker['surroundings'](caches), 'PYTHONPATH': str(wheel)}):
        for i, c in enumerate(nb.cells):
            start = time.monotonic()
            client.execute_cell(c, i)
            quick = time.monotonic() - start < 5  # seconds
            if quick and c.cell_type == 'code' and trains.search(c.source): client.execute_cell(c, i)
        for p in promises:
            nb.cells.append(c := new_code_cell(f'print(bool({p}))'))
            client.execute_cell(c, len(nb.cells) - 1)
            if nb.cells.pop().outputs[-1].get('text') != 'True\n': broken.append(p)
    return broken

@pytest.mark.parametrize('name', [n for n in LESSONS if '/' not in n or n == 'zh/01_seven_lines'])  # translations have the same code
def test_runs_and_keeps_its_promises(name, caches, wheel, tmp_path):
    own = Path(name).name
    promises, answers = PROMISES.get(own), root/f'tests/answers/{own}.py'
    assert promises, f'add to PROMISES what must hold after {name}'
    assert answers.exists(), f'add {answers.name}, which computes what the answers to its exercises say'
    nb, kept = read(name), read(name)
    nb.cells.append(new_code_cell(answers.read_text(encoding='utf-8')))
    assert run(nb, tmp_path, caches, wheel, promises) == []
    nb.cells.pop()
    fresh = [c.id for c in code(maker['tidied'](nb)) if c.outputs]
    assert [i for i in fresh if not next(c for c in kept.cells if c.id == i).outputs] == [], 'these cells have no saved output: run `make lessons`'

# --- their files ---

@each
def test_outputs_are_as_new_as_the_code(name):
    index = json.loads((folder/'outputs.json').read_text(encoding='utf-8'))
    assert index.get(name) == maker['hashes'](read(name)), f'the outputs are older than the code: run `make lessons`, or python nbs/lessons.py {name}'

def test_only_outputs_of_lessons_are_listed():
    assert set(json.loads((folder/'outputs.json').read_text(encoding='utf-8'))) == set(LESSONS), 'run `make lessons`'

@each
def test_file_is_as_the_tool_leaves_it(name):
    nb, text = read(name), LESSONS[name].read_text(encoding='utf-8')
    assert list(maker['problems'](nb)) == []
    assert maker['cleaned'](maker['tidied'](maker['prepared'](nb, name))) == text, f'run `make lessons`, or python nbs/lessons.py {name}'

@each
def test_pictures_have_alternative_text(name):
    for c in code(read(name)):
        data = [o.get('data', {}) for o in c.outputs]
        if any(k.startswith('image/') for d in data for k in d): assert re.search(r'^#\| fig-alt: \S', c.source, re.M), f'cell {c.id}'
        for tag in re.findall(r'<img\b[^>]*>', ''.join(d.get('text/html', '') for d in data)): assert re.search(r'\balt="[^"]', tag), f'cell {c.id}: {tag[:80]}'

@each
def test_plots_are_shown(name):
    def is_picture(kind, data): return kind.startswith('image/') or kind == 'text/html' and '<img' in data  # as of a slider
    missing = [c.id for c in code(read(name)) if c.source.startswith('#| fig-alt') and not any(is_picture(*kv) for o in c.outputs for kv in o.get('data', {}).items())]
    assert missing == [], 'these cells should show a picture, and their saved output has none'

link = re.compile(r'(?:\]\(|\b(?:src|href)=")(?![\w+.-]+:|#|/)([^)"#\s]+)')

@each
def test_links_lead_somewhere(name):
    links = [o for c in read(name).cells if c.cell_type == 'markdown' for o in link.findall(re.sub(r'```.*?```|`[^`]*`', '', c.source, flags=re.S))]
    assert [o for o in links if not (LESSONS[name].parent/o).exists()] == []

heading = re.compile(r'^#{2,3} .*', re.M)
exercise = re.compile(r'### (?:Exercise|练习) ?(\d)\b')
answer = re.compile(r'<details>\s*<summary>[^<]+</summary>\n\n(?!\s*</details>)(?:(?!</details>).)+\n\n</details>', re.S)

@each
def test_exercises(name):
    text = '\n\n'.join(c.source for c in read(name).cells if c.cell_type == 'markdown')
    parts = [p for p in re.split(r'^(?=#{1,3} )', text, flags=re.M) if exercise.match(p)]
    assert [int(exercise.match(p)[1]) for p in parts] == list(range(1, len(parts) + 1)) and 3 <= len(parts) <= 5
    assert [p for p in parts if len(answer.findall(p)) != 1] == [], 'one folded answer each, with a blank line before and after'
    assert any(re.match(r'### (?:Exercise|练习) ?\d[.:：。] ?(?:Build|动手做)', p) for p in parts), 'in one of them, the reader builds something'

@each
def test_begins_and_ends_as_every_lesson(name):
    cells, text = read(name).cells, '\n\n'.join(c.source for c in read(name).cells if c.cell_type == 'markdown')
    sections = {re.match(r'## (.*)', p)[1]: p for p in re.split(r'^(?=## )', text, flags=re.M) if p.startswith('## ')}
    first, words, questions = (next((s for k, s in sections.items() if re.match(k_, k)), '') for k_ in ('What you will have|你会得到什么', 'Words|词汇', 'Ten quick questions|十个小问题'))
    assert re.search(r'\d+ (?:minutes|分钟)', first), 'what you will have, and how long it takes'
    assert len(re.findall(r'^\| ', words, re.M)) >= 6, 'a table of words: ours, and what others say'
    assert len(answer.findall(questions)) == 10
    assert 30 <= len([c for c in cells[1:] if c.id not in maker['written']]) <= 60, 'without the title and what the tool writes'

@each
def test_code_lines_are_short(name):
    assert [l for c in code(read(name)) if c.id != 'install' for l in c.source.splitlines() if len(l) > 100 and not l.startswith('#| fig-alt')] == []

@pytest.mark.parametrize('name', [n for n in LESSONS if '/' in n])
def test_a_translation_has_the_same_code(name):
    ours, other = read(Path(name).name), read(name)
    assert maker['differences'](other, ours) == [], 'only comments and alternative texts may differ'
    ours, other = ({c.id: c for c in code(nb) if c.id != 'chinese'} for nb in (ours, other))
    def kinds(c): return [(o.output_type, *sorted(o.get('data', {}))) for o in c.outputs]
    assert [(k, kinds(c)) for k, c in ours.items()] == [(k, kinds(c)) for k, c in other.items()], f'run python nbs/lessons.py {name}'
    assert [k for k in ours if '#| fig-alt' in ours[k].source] == [k for k in other if '#| fig-alt' in other[k].source]

@pytest.mark.parametrize('name', [n for n in LESSONS if '/' not in n])
def test_titles_of_plots_have_a_translation(name):
    def texts(source):
        "Yield the titles and labels that stand in `source` as they are; f-strings are not among them"
        for o in ast.walk(ast.parse(source)):
            if not isinstance(o, ast.Call): continue
            own = [k.value for k in o.keywords if k.arg in ('title', 'xlabel', 'ylabel', 'label')]
            if getattr(o.func, 'id', '') == 'slider': own.append(o.args[2])
            yield from (v.value for v in own if isinstance(v, ast.Constant) and isinstance(v.value, str))
    found = {t for c in code(read(name)) if c.id != 'install' for t in texts(c.source)}
    assert {t for t in found if in_chinese(t) == t} <= {'w', '−log p', 'Cat or dog?'}, 'add these to dogscats_course/assets/chinese.json'

def test_translations_are_whole(): assert {n for n in LESSONS if '/' not in n} == {Path(n).name for n in LESSONS if n.startswith('zh/')}

# --- the tool, on lessons made for its tests ---

def lesson(folder, *sources, name='01_first', title='# 1. First'):
    path = folder/f'{name}.ipynb'
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[new_markdown_cell(title, id='title'), *(new_code_cell(s, id=f'cell{i}') for i, s in enumerate(sources))]), path)
    return path

def make(folder, *names): return maker['main'](list(names), folder)

def test_tool_is_idempotent(tmp_path):
    path = lesson(tmp_path, 'import os; print(os.listdir())', "#| fig-alt: A line\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);", "open('left.txt', 'w').close()")
    assert make(tmp_path) == 0
    first, index, nb = path.read_bytes(), (tmp_path/'outputs.json').read_bytes(), nbformat.read(path, as_version=4)
    assert [c.id for c in nb.cells] == ['title', 'badges', 'map', 'install', 'cell0', 'cell1', 'cell2'] and 'image/png' in nb.cells[5].outputs[0].data
    assert nb.cells[4].outputs[0].text == '[]\n' and sorted(p.name for p in tmp_path.iterdir()) == ['01_first.ipynb', 'outputs.json']
    assert make(tmp_path) == 0 and (path.read_bytes(), (tmp_path/'outputs.json').read_bytes()) == (first, index)

@pytest.mark.parametrize('source,words', [('1/0', 'ZeroDivisionError'), ('import os; os.getcwd()', 'a path of this machine'), ('import sys; print(sys.prefix + "/lib")', 'a path of this machine'),
                                          ('import os; os._exit(1)', 'died')])
def test_tool_refuses(tmp_path, capfd, source, words):
    path = lesson(tmp_path, source)
    lesson(tmp_path, '1 + 1', name='zh/02_second')
    before = path.read_bytes()
    assert make(tmp_path) == 1 and path.read_bytes() == before
    assert set(json.loads((tmp_path/'outputs.json').read_text())) == {'zh/02_second'}, 'the others are made'
    assert words in capfd.readouterr().err

def test_tool_refuses_a_notebook_that_is_not_a_lesson(tmp_path, capfd):
    lesson(tmp_path, '1', title='no title')
    assert make(tmp_path) == 1 and 'is not the title' in capfd.readouterr().err
    with pytest.raises(SystemExit): make(tmp_path, '02_nowhere')
    assert '01_first' in capfd.readouterr().err

def test_tool_runs_a_translation_of_the_same_code(tmp_path, capfd):
    plot = "#| fig-alt: {}\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.title('accuracy');  # {}"
    lesson(tmp_path, plot.format('A line', 'a comment'))
    path = lesson(tmp_path, plot.format('一条线', '注释'), name='zh/01_first')
    assert make(tmp_path) == 0
    nb, ours = nbformat.read(path, as_version=4), nbformat.read(tmp_path/'01_first.ipynb', as_version=4)
    assert [c.id for c in nb.cells] == ['title', 'badges', 'map', 'install', 'chinese', 'cell0'] and '注释' in nb.cells[-1].source
    png, our_png = (o.cells[-1].outputs[0].data['image/png'] for o in (nb, ours))
    assert (png == our_png) == (chinese_font() is None), 'its title is in Chinese'
    assert '[In English](../01_first.ipynb)' in nb.cells[2].source and '[中文](zh/01_first.ipynb)' in ours.cells[2].source
    lesson(tmp_path, plot.format('A line', 'a comment') + '\n1', name='zh/01_first')
    assert make(tmp_path, 'zh/01_first') == 1 and 'is not that of 01_first' in capfd.readouterr().err

def test_tool_keeps_the_hashes_of_the_other_lessons(tmp_path):
    lesson(tmp_path, '1')
    other = lesson(tmp_path, '2', name='02_second')
    make(tmp_path)
    lesson(tmp_path, '3')
    old = json.loads((tmp_path/'outputs.json').read_text())
    assert make(tmp_path, '01_first') == 0
    new = json.loads((tmp_path/'outputs.json').read_text())
    assert new['02_second'] == old['02_second'] and new['01_first'] != old['01_first']
    other.unlink()
    make(tmp_path)
    assert set(json.loads((tmp_path/'outputs.json').read_text())) == {'01_first'}

def test_outputs_that_show_nothing_are_not_saved(tmp_path):
    path = lesson(tmp_path, 'from fastprogress.fastprogress import progress_bar\nfor _ in progress_bar(range(3), leave=False): pass', 'import ipywidgets; ipywidgets.IntSlider()', "from PIL import Image; Image.new('RGB', (9, 9))")
    assert make(tmp_path) == 0
    nb = nbformat.read(path, as_version=4)
    assert nb.cells[4].outputs == [] and [set(c.outputs[0].data) for c in nb.cells[5:]] == [{'text/plain'}, {'image/jpeg', 'text/plain'}] and 'widgets' not in nb.metadata

@pytest.mark.parametrize('site', ['COLAB_RELEASE_TAG', 'KAGGLE_KERNEL_RUN_TYPE', None])
@pytest.mark.parametrize('missing', [True, False])
def test_install_cell(site, missing, monkeypatch, capsys):
    from IPython.core.inputtransformer2 import TransformerManager
    from importlib import util
    ran, source = [], TransformerManager().transform_cell(maker['install'])
    for k in ('COLAB_RELEASE_TAG', 'KAGGLE_KERNEL_RUN_TYPE'): monkeypatch.delenv(k, raising=False)
    if site: monkeypatch.setenv(site, '1')
    if missing: monkeypatch.setattr(util, 'find_spec', lambda name: None)
    class Shell:
        def run_line_magic(self, *args): ran.append(args)
    exec(source, dict(get_ipython=Shell))
    assert ran == ([('pip', f'install -q "dogscats_course[clean,publish] @ git+{maker["repository"]}"')] if site and missing else [])
    assert bool(capsys.readouterr().out) == missing
