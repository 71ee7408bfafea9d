"Two processes on this machine share the work of one, and get the same result."
import json, os, subprocess, sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('accelerate')

script = '''
import sys, json
from pathlib import Path
from fastai.vision.all import rank_distrib
from dogscats_course.all import *
import dogscats_course.features as features

data, out = map(Path, sys.argv[1:])
computed = []
compute_missing = features._compute_missing
def counted(learn, cached, new):
    computed.append(len(new))
    compute_missing(learn, cached, new)
features._compute_missing = counted
learn = train_classifier(data, size=64, epochs=2)
df = predict_files(learn, data/'test1')
(out/f'{rank_distrib()}.json').write_text(json.dumps(dict(
    computed=sum(computed), history=learn.history.drop(columns='seconds').values.tolist(), values=list(learn.recorder.values[-1]),
    weights=[p.double().sum().item() for p in learn.model.parameters()], cats=df['cats'].tolist(), familiarity=df['familiarity'].tolist(), files=df['file'].tolist())))
'''

@pytest.fixture(scope='module')
def runs(drawn, tmp_path_factory):
    "The output of one process, and of each of two, for the same photos"
    tmp = tmp_path_factory.mktemp('processes')
    (tmp/'script.py').write_text(script)
    def run(n, *launch):
        out = tmp/str(n)
        out.mkdir()
        env = {**os.environ, 'XDG_CACHE_HOME': str(out/'cache'), 'OMP_NUM_THREADS': '1'}
        r = subprocess.run([sys.executable, *launch, tmp/'script.py', drawn, out], env=env, cwd=out, text=True, capture_output=True, timeout=600)
        assert r.returncode == 0, r.stderr
        return [json.loads((out/f'{i}.json').read_text()) for i in range(n)], r.stdout
    return run(1), run(2, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2')

def test_the_work_is_split(runs):
    ([alone], _), (two, _) = runs
    assert alone['computed'] == 24 + 16
    assert [r['computed'] for r in two] == [20, 20]

def test_the_result_is_the_same(runs):
    ([alone], _), (two, _) = runs
    for r in two:
        assert r['files'] == alone['files']
        for k in ('history', 'values', 'weights', 'cats', 'familiarity'): np.testing.assert_allclose(r[k], alone[k], rtol=1e-3, atol=1e-3, err_msg=k)

def test_only_the_main_process_prints(runs):
    (_, alone), (_, two) = runs
    assert two.count('Accuracy') == alone.count('Accuracy') == 1
