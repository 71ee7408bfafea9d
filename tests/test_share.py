"A loaded classifier predicts the same as the saved one; damaged folders are refused; no file of a user's is lost."
import io, json, os, pickle, shutil, struct, subprocess, sys, time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from fastai.vision.all import ImageDataLoaders, RandomResizedCrop, Resize
from PIL import Image
from safetensors.torch import load_file, save_file

from dogscats_course.data import make_dls
from dogscats_course.head import class_probs
from dogscats_course.learner import vgg_learner
from dogscats_course.predict import predict_files
from dogscats_course.share import load_classifier, save_classifier
import odd

@pytest.fixture(scope='module')
def saved(drawn, tmp_path_factory):
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights='bundled')
    learn.fit_head(2)
    return learn, save_classifier(learn, tmp_path_factory.mktemp('share')/'model', scores=dict(accuracy=0.5), seed=3)

def test_two_files_hold_everything(saved):
    _, folder = saved
    assert sorted(p.name for p in folder.iterdir()) == ['config.json', 'model.safetensors']
    config = json.loads((folder/'config.json').read_text())
    assert (config['arch'], config['classes'], config['size'], config['weights'], config['seed']) == ('vgg16_bn', ['cats', 'dogs'], 64, 'bundled', 3)
    assert config['normalisation'] == dict(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
    assert config['scores'] == dict(accuracy=0.5) and 'torch' in config['versions']

def test_loaded_predicts_the_same(saved):
    learn, folder = saved
    loaded, files = load_classifier(folder), list(learn.dls.valid_ds.items)
    assert torch.equal(class_probs(loaded, loaded.dls.test_dl(files))[0], class_probs(learn, learn.dls.test_dl(files))[0])
    assert predict_files(loaded, files).equals(predict_files(learn, files))
    for a, b in zip(loaded.predict(files[0]), learn.predict(files[0])): assert a == b if isinstance(a, str) else torch.equal(a, b)
    assert loaded.recipe == learn.recipe

def test_saving_again_replaces_a_classifier_and_nothing_else(saved, tmp_path):
    learn, folder = saved
    copy = shutil.copytree(folder, tmp_path/'model')
    save_classifier(learn, copy)
    (copy/'notes.txt').write_text('mine')
    with pytest.raises(FileExistsError, match='move it away'): save_classifier(learn, copy)
    assert (copy/'notes.txt').read_text() == 'mine' and [p.name for p in tmp_path.iterdir()] == ['model']

def test_interrupted_saving_leaves_the_old_classifier(saved, tmp_path, monkeypatch):
    learn, folder = saved
    copy = shutil.copytree(folder, tmp_path/'model')
    before = {p.name: p.read_bytes() for p in copy.iterdir()}
    def stop(*args): raise KeyboardInterrupt
    monkeypatch.setattr('dogscats_course.share.save', stop)
    with pytest.raises(KeyboardInterrupt): save_classifier(learn, copy)
    assert {p.name: p.read_bytes() for p in copy.iterdir()} == before and [p.name for p in tmp_path.iterdir()] == ['model']

def test_a_failed_rename_restores_the_old_classifier(saved, tmp_path, monkeypatch):
    learn, folder = saved
    copy = shutil.copytree(folder, tmp_path/'model')
    before, rename = {p.name: p.read_bytes() for p in copy.iterdir()}, Path.rename
    def refuse(self, target):
        if self.suffix == '.part': raise PermissionError('a virus scanner has it open')
        return rename(self, target)
    monkeypatch.setattr(Path, 'rename', refuse)
    with pytest.raises(PermissionError): save_classifier(learn, copy)
    assert {p.name: p.read_bytes() for p in copy.iterdir()} == before and [p.name for p in tmp_path.iterdir()] == ['model']

@pytest.mark.parametrize('text', ['{"model_type": "bert"}', '', None])
def test_files_of_the_same_names_that_are_not_ours_stay(saved, tmp_path, text):
    name = 'model.safetensors' if text is None else 'config.json'
    (tmp_path/name).write_text(text or '')
    with pytest.raises(FileExistsError, match='something other than a classifier'): save_classifier(saved[0], tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [name] and (tmp_path/name).read_text() == (text or '')

@pytest.mark.parametrize('tfms', [Resize(64), Resize((64, 32), method='squish'), RandomResizedCrop(64), []], ids=['cropped', 'not a square', 'at random', 'as they are'])
def test_a_preprocessing_that_cannot_be_saved_is_refused(drawn, tmp_path, tfms):
    learn = vgg_learner(ImageDataLoaders.from_folder(drawn, valid='valid', item_tfms=tfms, bs=8), weights='bundled')
    with pytest.raises(ValueError, match='make_dls'): save_classifier(learn, tmp_path/'model')
    assert not list(tmp_path.iterdir())

def test_a_custom_head_is_refused(drawn, tmp_path):
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), weights=None, lin_ftrs=[64])
    with pytest.raises(ValueError, match='learn.export'): save_classifier(learn, tmp_path/'model')
    assert not list(tmp_path.iterdir())

def config(**change):
    def damage(folder):
        c = json.loads((folder/'config.json').read_text())
        (folder/'config.json').write_text(json.dumps({**c, **change}))
    return damage

def cut(folder): (folder/'model.safetensors').write_bytes((folder/'model.safetensors').read_bytes()[:5000])
def pickled(folder): torch.save({}, folder/'model.safetensors')
def header(**tensors):
    "Return a safetensors file with this header and 8 bytes of tensors"
    def damage(folder):
        h = json.dumps(tensors).encode()
        (folder/'model.safetensors').write_bytes(struct.pack('<Q', len(h)) + h + bytes(8))
    return damage
def other_numbers(folder):
    t = load_file(folder/'model.safetensors')
    save_file({**t, '1.8.weight': t['1.8.weight'].to(torch.complex64)}, folder/'model.safetensors')
def fewer_outputs(folder):
    t = load_file(folder/'model.safetensors')
    t['1.8.weight'] = torch.zeros(1, 512)
    save_file(t, folder/'model.safetensors')

@pytest.mark.parametrize('damage, words', [
    (lambda d: (d/'config.json').unlink(), 'no file .*config.json'),
    (lambda d: (d/'model.safetensors').unlink(), 'no file .*model.safetensors'),
    (lambda d: (d/'config.json').write_text('{'), 'not JSON'),
    (lambda d: (d/'config.json').write_text('[]'), 'no format number'),
    (config(format=3), 'newer'), (config(arch='vgg99'), 'vgg99'), (config(arch=3), "'arch'"), (config(classes=['a']), "'classes'"),
    (config(classes=['..', 'b']), "'classes'"), (config(classes=['a', 'b', 'c']), 'tensor'), (config(size=10**9), "'size'"),
    (config(normalisation={}), "'normalisation'"), (config(normalisation=dict(mean=[0, 0, 0], std=[1, 1, 0])), "'normalisation'"),
    (config(normalisation=dict(mean=[0, 0, float('nan')], std=[1, 1, 1])), "'normalisation'"), (config(classes=['a', '\x1b[2Jb']), "'classes'"),
    (lambda d: (d/'config.json').write_text('['*10**5), 'not JSON'), (lambda d: (d/'config.json').write_bytes(b'\xff\x00'*9), 'not JSON'),
    (lambda d: (d/'config.json').write_text(''), 'not JSON'), (lambda d: (d/'model.safetensors').write_bytes(b''), 'whole safetensors'),
    (lambda d: (d/'model.safetensors').write_bytes(b'\xff'*4096), 'whole safetensors'), (other_numbers, 'C64'),
    (header(**{'1.8.weight': dict(dtype='F32', shape=[2**40, 2**20], data_offsets=[0, 2**62])}), 'whole safetensors'),
    (header(**{'1.8.weight': dict(dtype='F32', shape=[2], data_offsets=[0, 8])}), 'does not fit'),
    (config(arch='timm/hf-hub:somebody/something'), 'timm'), (config(arch='os.system'), 'no architecture'), (config(arch='vgg11_bn'), 'does not fit'), (cut, 'whole safetensors'), (pickled, 'whole safetensors'), (fewer_outputs, '1.8.weight'),
])
def test_damage(saved, tmp_path, damage, words):
    folder = shutil.copytree(saved[1], tmp_path/'model')
    damage(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=words): load_classifier(folder)

@pytest.fixture(scope='module')
def small(drawn, tmp_path_factory):
    "A classifier of 3 MB"
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), arch=torchvision.models.squeezenet1_1, weights=None)
    return learn, save_classifier(learn, tmp_path_factory.mktemp('share')/'small')

def refused(folder):
    "Return the sentence with which a folder is refused within seconds"
    start = time.time()
    with pytest.raises((ValueError, OSError)) as e: load_classifier(folder)
    assert time.time() - start < 10 and str(e.value) and '\n' not in str(e.value)
    return str(e.value)

def flipped(data, i): return data[:i] + bytes([data[i] ^ 255]) + data[i+1:]

def damaged_folders(config, weights):
    "Yield a hundred pairs of a config.json and a model.safetensors, of which one is damaged"
    fields = dict(arch=['', 1, 'VGG16_BN', 'vgg16_bn ', '__init__', 'get_model', 'segmentation.fcn_resnet50', 'vit_h_14', 'googlenet',
            'inception_v3', 'maxvit_t', 'regnet_y_128gf', 'mobilenet_v2', 'timm/', 'timm/hf-hub:a/b'],
        classes=[{}, 'ab', ['a'], [1, 2], ['a', 'a'], ['a', None], ['a', 'x'*256], ['a', '\ud800'], ['a', '\u202eb'], ['a', 'b\n'], ['a', 'b/c'], ['a', '.']],
        size=[0, -1, 64.5, '64', True, 10**4000, 4097, None], format=[3, 10**4000, '1', None, 1.0, True],
        normalisation=[None, [], {'mean': [0]*3}, dict(mean=[0]*3, std=[0]*3), dict(mean=[0]*3, std=[1]*4), dict(mean=['0']*3, std=[1]*3),
            dict(mean=[float('inf')]*3, std=[1]*3), dict(mean=[0]*3, std=[float('nan')]*3), dict(mean=[0]*3, std=[10**999]*3), dict(mean=[0]*3, std=[-1]*3)],
        weights=[1, [], {}, False],
        familiarity=[1, [], 'a', {}, dict(rows=24), *({**config['familiarity'], **change} for change in (dict(rows=0), dict(rows=-1), dict(rows=23), dict(rows=10**9),
            dict(rows='24'), dict(rows=True), dict(k=0), dict(k=25), dict(k=1.), dict(k=None), dict(threshold=None), dict(threshold='1'), dict(threshold=float('nan')),
            dict(threshold=10**400)))])
    for field, values in fields.items():
        for v in values: yield json.dumps({**config, field: v}).encode(), weights
        yield json.dumps({k: v for k, v in config.items() if k != field}).encode(), weights
    text = json.dumps(config).encode()
    for broken in (text[:-1], text*2, b'\xff' + text, text.decode().encode('utf-16'), b'\xef\xbb\xbf' + text, b'NaN', b'1', b'"a"', b'null', b'[]', b'{}',
            b'{"a":'*10**5, b'['*10**5, b' '*5_000_000 + text, text.replace(b'"size": 64', b'"size": ' + b'9'*5000)): yield broken, weights
    n = int.from_bytes(weights[:8], 'little')
    header = json.loads(weights[8:8 + n])
    first = next(k for k in header if k != '__metadata__')
    def with_header(h):
        h = json.dumps(h).encode()
        return text, struct.pack('<Q', len(h)) + h + weights[8 + n:]
    for change in (dict(dtype='F16'), dict(dtype='X'), dict(dtype=1), dict(shape=[-1]), dict(shape=[2**62, 4]), dict(shape='a'), dict(shape=[1.5]),
            dict(data_offsets=[0, 2**63]), dict(data_offsets=[-5, 5]), dict(data_offsets=[1, 2, 3])): yield with_header({**header, first: {**header[first], **change}})
    yield with_header({k: v for k, v in header.items() if k != first})
    yield with_header({**header, 'more': dict(dtype='F32', shape=[0], data_offsets=[0, 0])})
    yield with_header([1])
    for cut in (0, 1, 7, 8, 9, 100, n, n + 8, n + 9, len(weights)//2, len(weights) - 1): yield text, weights[:cut]
    for i in (5, 6, 7, 8, 9, 12, n//2): yield text, flipped(weights, i)
    for length in (2**63, 2**64 - 1, 90_000_000): yield text, struct.pack('<Q', length) + weights[8:]
    yield text, weights + b'x'
    yield text, struct.pack('<Q', 100_000) + b'['*100_000 + weights[8 + n:]

def test_a_hundred_damaged_folders(small, tmp_path):
    config, weights = json.loads((small[1]/'config.json').read_text()), (small[1]/'model.safetensors').read_bytes()
    folders = list(damaged_folders(config, weights))
    for c, w in folders:
        odd.write(tmp_path, {'config.json': c, 'model.safetensors': w})
        refused(tmp_path)
    assert len(folders) > 130
    odd.write(tmp_path, {'config.json': json.dumps(config).encode(), 'model.safetensors': weights})
    assert load_classifier(tmp_path).dls.vocab == ['cats', 'dogs'], 'the whole one loads'

@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='there are no pipes here')
@pytest.mark.parametrize('name', ['config.json', 'model.safetensors'])
def test_files_that_are_none(small, tmp_path, name):
    folder = shutil.copytree(small[1], tmp_path/'model')
    file = folder/name
    for make in (os.mkfifo, os.mkdir, *(lambda f, to=to: os.symlink(to, f) for to in ('/dev/zero', '/dev/null', '/dev/tty', '/proc/kmsg', 'nowhere', name, '.'))):
        file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()
        make(file)
        assert name in refused(folder)
        if name == 'config.json':
            with pytest.raises(FileExistsError): save_classifier(small[0], folder)

def test_gigabytes_are_not_read(small, tmp_path):
    "Files with holes, which take no room on the disk"
    for name in ('config.json', 'model.safetensors'):
        folder = shutil.copytree(small[1], tmp_path/name)
        os.truncate(folder/name, 20*10**9)
        refused(folder)
        (folder/name).write_bytes(b'')
        os.truncate(folder/name, 20*10**9)
        refused(folder)

@pytest.mark.parametrize('name', ['config.json', 'model.safetensors'])
def test_a_file_that_may_not_be_read(small, monkeypatch, name):
    opened = io.open
    def refuse(file, *args, **kwargs):
        if str(file).endswith(name): raise PermissionError(13, 'Permission denied', str(file))
        return opened(file, *args, **kwargs)
    monkeypatch.setattr(io, 'open', refuse)
    monkeypatch.setattr('builtins.open', refuse)
    assert 'Permission denied' in refused(small[1])

def test_ten_thousand_classes(small, tmp_path):
    config, tensors = json.loads((small[1]/'config.json').read_text()), load_file(small[1]/'model.safetensors')
    last = max(k for k in tensors if k.startswith('1.'))
    (tmp_path/'config.json').write_text(json.dumps({**config, 'classes': [f'a class with a long name, number {i}' for i in range(10_000)]}, indent=2))
    save_file({**tensors, last: torch.zeros(10_000, 512)}, tmp_path/'model.safetensors')
    assert len(load_classifier(tmp_path).dls.vocab) == 10_000

@pytest.mark.skipif(sys.platform != 'linux', reason='names are text here')
def test_a_folder_whose_name_is_not_utf8(small, tmp_path):
    folder = tmp_path/os.fsdecode(b'mod\xe8le')
    save_classifier(small[0], folder)
    assert load_classifier(folder).dls.vocab == ['cats', 'dogs']
    os.truncate(folder/'model.safetensors', 1000)
    assert 'whole safetensors' in refused(folder)

def test_files_of_the_system_beside_a_model(small, tmp_path):
    folder = shutil.copytree(small[1], tmp_path/'model')
    odd.add_junk(folder)
    assert load_classifier(folder).dls.vocab == ['cats', 'dogs']
    save_classifier(small[0], folder)
    (tmp_path/'new').mkdir()
    odd.add_junk(tmp_path/'new')
    save_classifier(small[0], tmp_path/'new')

@pytest.mark.parametrize('name', odd.names.values())
def test_odd_class_names(small, tmp_path, name):
    folder = shutil.copytree(small[1], tmp_path/'model')
    config(classes=[name, '犬'])(folder)
    learn = load_classifier(folder)
    assert list(learn.dls.vocab) == [name, '犬'] and learn.predict(odd.picture())[0] in (name, '犬')
    save_classifier(learn, tmp_path/'again')
    assert json.loads((tmp_path/'again/config.json').read_text(encoding='utf-8'))['classes'] == [name, '犬']

def test_a_class_name_too_long_for_this_disk(small, tmp_path):
    "255 characters are a name on Windows, and 765 bytes here"
    folder = shutil.copytree(small[1], tmp_path/'model')
    config(classes=['猫'*255, 'con'])(folder)
    assert len(load_classifier(folder).dls.vocab[0]) == 255

def test_labels_that_are_numbers(drawn, tmp_path):
    files = sorted((drawn/'train').rglob('*.jpg'))
    df = pd.DataFrame(dict(name=[f.relative_to(drawn).as_posix() for f in files], label=[int(f.parent.name == 'dogs') for f in files]))
    dls = ImageDataLoaders.from_df(df, drawn, item_tfms=Resize(64, method='squish'), bs=8)
    learn = vgg_learner(dls, arch=torchvision.models.squeezenet1_1, weights=None)
    folder = save_classifier(learn, tmp_path/'model', scores=dict(accuracy=np.float32(0.5), photos=np.int64(3)), seed=np.int64(1))
    assert list(load_classifier(folder).dls.vocab) == ['0', '1']
    assert json.loads((folder/'config.json').read_text())['scores'] == dict(accuracy=0.5, photos=3)

def test_a_network_of_ones_own_is_not_saved(drawn, tmp_path):
    def tiny(pretrained): return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.AdaptiveAvgPool2d(1))
    learn = vgg_learner(make_dls(drawn, size=64, bs=8), arch=tiny, weights=None)
    with pytest.raises(ValueError, match="no architecture 'tiny'.*learn.export"): save_classifier(learn, tmp_path/'model')

class Mark:
    "Runs code that leaves a mark when it is unpickled"
    def __init__(self, path): self.path = str(path)
    def __reduce__(self): return os.mkdir, (self.path,)

def test_no_code_of_a_hostile_folder_runs(saved, drawn, tmp_path):
    mark = tmp_path/'mark'
    pickle.loads(pickle.dumps(Mark(mark)))
    assert mark.is_dir(), 'the code would leave a mark'
    mark.rmdir()
    torch_file = io.BytesIO()
    torch.save(Mark(mark), torch_file)
    python = f"import os; os.mkdir({str(mark)!r})"
    hostile = dict(
        pickled=dict(model=pickle.dumps(Mark(mark))), torch_saved=dict(model=torch_file.getvalue()), pickled_config=dict(config=pickle.dumps(Mark(mark))),
        python=dict(config=python.encode()), arch=dict(change=dict(arch='timm/local-dir:.')), called=dict(change=dict(arch=f'__import__("os").mkdir({str(mark)!r})')),
        weights=dict(change=dict(weights=str(tmp_path/'pickled/model.safetensors'))), extra={})
    for name, parts in hostile.items():
        folder = shutil.copytree(saved[1], tmp_path/name)
        if 'model' in parts: (folder/'model.safetensors').write_bytes(parts['model'])
        if 'config' in parts: (folder/'config.json').write_bytes(parts['config'])
        if 'change' in parts: config(**parts['change'])(folder)
        for extra in ('torch.py', 'model.py', 'sitecustomize.py', '__init__.py', 'conftest.py'): (folder/extra).write_text(python)
        for extra in ('model.pkl', 'pytorch_model.bin', 'config.pkl'): (folder/extra).write_bytes(pickle.dumps(Mark(mark)))
    code = f"""
from pathlib import Path
from dogscats_course.predict import predict_files
from dogscats_course.share import load_classifier
for folder in {list(map(str, (tmp_path/n for n in hostile)))!r}:
    try: print(Path(folder).name, predict_files(load_classifier(folder), {str(drawn/'valid/cats')!r}).error.eq('').all())
    except ValueError as e: print(Path(folder).name, 'refused:', e)
"""
    r = subprocess.run([sys.executable, '-c', code], text=True, capture_output=True, cwd=tmp_path)
    assert r.returncode == 0, r.stderr
    said = dict(line.split(' ', 1) for line in r.stdout.splitlines() if line.split(' ', 1)[0] in hostile)
    assert not mark.exists(), 'code ran'
    assert {k for k, v in said.items() if v.startswith('refused:')} == set(hostile) - {'weights', 'extra'}
    assert said['weights'] == said['extra'] == 'True', 'files that are not read do no harm'

def test_two_thousand_files_of_which_fifty_are_bad(saved, drawn, tmp_path):
    learn, _ = saved
    good = sorted((drawn/'valid').rglob('*.jpg'))
    whole = good[0].read_bytes()
    bad = [(b'', 'empty'), (b'Dear Sir or Madam', 'not a photo'), (whole[:len(whole)//2], 'damaged'), (b'<html>', 'not a photo'), (odd.bomb(), 'memory')]
    words = {}
    for i in range(2000):
        data, words[i] = bad[i//40 % 5] if i % 40 == 39 else (good[i % 16].read_bytes(), '')
        (tmp_path/f'{i:04}.jpg').write_bytes(data)
    df = predict_files(learn, tmp_path)
    assert [Path(f).name for f in df.file] == [f'{i:04}.jpg' for i in range(2000)] and df.columns.tolist() == ['file', 'label', 'cats', 'dogs', 'familiarity', 'warning', 'error']
    assert (df.error != '').sum() == 50 and all(w in e and bool(w) == bool(e) for e, w in zip(df.error, words.values()))
    assert df[df.error != ''][['label', 'cats', 'dogs']].isna().all(axis=None)
    fine = df[df.error == '']
    assert (fine.label == fine[['cats', 'dogs']].idxmax(axis=1)).all() and fine[['cats', 'dogs']].sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)
    wanted = class_probs(learn, learn.dls.test_dl(good))[0].numpy()
    assert abs(fine[['cats', 'dogs']].to_numpy() - wanted[[int(Path(f).stem) % 16 for f in fine.file]]).max() < 0.15, 'each row is its own photo (int8 on small pictures is some points off)'

def test_files_that_are_not_photos(saved, tmp_path):
    learn, _ = saved
    (tmp_path/'empty').mkdir()
    photo = learn.dls.valid_ds.items[0]
    df = predict_files(learn, [tmp_path/'nowhere.jpg', photo])
    assert 'no such file' in df.error[0] and df.error[1] == ''
    assert predict_files(learn, photo).equals(df.iloc[1:].reset_index(drop=True)), 'a single path works too'
    if hasattr(os, 'mkfifo'):
        os.mkfifo(tmp_path/'pipe.jpg')
        assert predict_files(learn, [tmp_path/'pipe.jpg']).error[0] == 'not a file'
        (tmp_path/'pipe.jpg').unlink()
    for nothing in ([], tmp_path/'empty', [tmp_path/'empty']):
        with pytest.raises(FileNotFoundError, match='no photo'): predict_files(learn, nothing)

@pytest.mark.parametrize('size', [64, 75])
def test_any_kind_of_photo(saved, tmp_path, size):
    learn, _ = saved
    for mode, ext in (('RGBA', 'png'), ('P', 'gif'), ('L', 'jpg'), ('CMYK', 'jpg'), ('1', 'png'), ('I;16', 'png')):
        Image.new(mode, (size, size + 9)).save(tmp_path/f"{mode.replace(';', '')}.{ext}")
    assert (predict_files(learn, tmp_path).error == '').all()
