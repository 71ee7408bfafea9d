"The code of the FAQ does what it says, on drawn pictures."
import re, shutil
from pathlib import Path

import pytest
from dogscats_course.draw import draw_animal

def code(title):
    "Return the Python of a section of the FAQ, for smaller pictures"
    faq = (Path(__file__).resolve().parent.parent/'nbs/faq.qmd').read_text(encoding='utf-8')
    section = re.search(rf'^### {title}\n(.*?)^##', faq, re.M | re.S)[1]
    return '\n'.join(re.findall(r'^```python\n(.*?)^```', section, re.M | re.S)).replace('224', '64')

def run(title):
    names = {}
    exec(compile(code(title), title, 'exec'), names)
    return names

@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path/'photos').mkdir()
    return tmp_path/'photos'

def test_several_labels_per_photo(photos):
    rows = []
    for i in range(20):
        draw_animal(('cat', 'dog')[i % 2], seed=i, size=64).save(photos/f'{i}.jpg')
        rows.append(f"{i}.jpg,{('cat;pet', 'dog;pet', 'pet', '')[i % 4]}")
    (photos/'labels.csv').write_text('\n'.join(['file,labels', *rows]))
    ns = run('Several labels per photo')
    learn = ns['learn']
    assert list(learn.dls.vocab) == ['cat', 'dog', 'pet'] and learn.dls.one_batch()[1].shape[1] == 3
    assert len(learn.history) == 5 and list(ns['labels']) == [c for c, p in zip(learn.dls.vocab, ns['probs']) if p > 0.5]

def test_hard_negatives(photos, drawn):
    for split in ('train', 'valid'): shutil.copytree(drawn/split, photos/split)
    ns = run('Hard negatives')
    n, hard = len(ns['files']), len(ns['hard'])
    assert len(ns['again'].dls.train_ds) == n + 3*hard and len(ns['again'].history) == 5
    assert type(ns['learn'].dls.train).__name__ == 'WeightedDL' and ns['learn'].history.fit.tolist() == [1]*5 + [2]
