"The figures that lessons quote are those of the benchmarks."
import runpy
from pathlib import Path

import pytest

from dogscats_course.measured import measured

script = Path(__file__).resolve().parent.parent/'benchmarks/measured.py'

@pytest.fixture
def maker():
    if not script.exists(): pytest.skip('benchmarks are not part of the installed package')
    return runpy.run_path(str(script))

def test_the_file_is_in_step_with_the_results(maker):
    assert maker['file'].read_text(encoding='utf-8') == maker['text'](), 'run python benchmarks/measured.py'

def test_every_figure_is_a_whole_sentence():
    table = measured()
    assert {'head', 'last block', 'head, 500 photos', 'last block, 500 photos', 'times as fast', 'unfamiliar'} <= set(table.index)
    for name, row in table.iterrows():
        said = measured(name)
        assert row.figure in said and row.date in said and row.machine in said and 'torch' in said and '{' not in said
        assert row.how and row.value >= 0

def test_an_accuracy_has_its_interval_and_its_seeds():
    said = measured('head')
    assert said.startswith('Trained on 4,000 real photos, the head alone: 97.') and '5 seeds' in said and '95 % interval' in said

def test_the_newest_result_is_taken(maker, tmp_path, monkeypatch):
    rows = lambda mean: [dict(what='head', train=4000, valid=1000, accuracy=[mean]*5, mean=mean, standard_error=0.001)]
    machine = dict(cpu='a processor', cores=2, gpu=None, torch='2', fastai='2')
    for name, date, mean in (('a', '2026-02-01', 0.9), ('b', '2026-01-01', 0.8)):
        (folder := tmp_path/'benchmarks/results'/name).mkdir(parents=True)
        result = dict(benchmark='accuracy', date=date, machine=machine, rows=rows(mean))
        (folder/'accuracy.json').write_text(maker['json'].dumps(result))
    monkeypatch.setitem(maker['figures'].__globals__, 'root', tmp_path)
    assert maker['figures']()['head']['value'] == 0.9

def test_an_unknown_name_is_a_sentence():
    with pytest.raises(ValueError, match="There is no figure 'heads'.*head; "): measured('heads')
