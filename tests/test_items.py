"The paths of a data set's photos, however it was made: from a folder, from a table, or from pictures in memory."
import pandas as pd
import pytest
from fastai.vision.all import CategoryBlock, ColReader, DataBlock, ImageBlock, ImageDataLoaders, Pipeline, Resize
from PIL import Image

from dogscats_course.data import make_dls
from dogscats_course.items import item_files

def files_of(dls): return sorted(f for ds in (dls.train_ds, dls.valid_ds) for f in item_files(ds))

@pytest.fixture
def files(drawn): return sorted((drawn/'train').rglob('*.jpg'))

def test_a_folder(drawn):
    dls = make_dls(drawn, size=64)
    assert item_files(dls.train_ds) == list(dls.train_ds.items) and item_files(dls.valid_ds) == list(dls.valid_ds.items)

@pytest.mark.parametrize('suffix', ['', '.jpg'])
def test_a_table(drawn, files, suffix):
    names = [f.relative_to(drawn/'train').as_posix().removesuffix(suffix) for f in files]
    df = pd.DataFrame(dict(label=[f.parent.name for f in files], name=names))
    dls = ImageDataLoaders.from_df(df, drawn, folder='train', fn_col='name', label_col='label', suff=suffix, item_tfms=Resize(64), bs=4)
    assert files_of(dls) == files
    assert item_files(dls.test_dl(files[:3]).dataset) == files[:3]

def test_functions_one_after_the_other(drawn, files):
    "the name in the table is no path yet"
    df = pd.DataFrame(dict(name=[f.stem for f in files], label=[f.parent.name for f in files]))
    where = {f.stem: f for f in files}
    block = DataBlock((ImageBlock, CategoryBlock), get_x=Pipeline([ColReader('name'), where.get]), get_y=ColReader('label'), item_tfms=Resize(64))
    assert files_of(block.dataloaders(df, bs=4)) == files

def test_lists(files):
    dls = ImageDataLoaders.from_lists(files[0].parent, [str(f) for f in files], [f.parent.name for f in files], item_tfms=Resize(64), bs=4)
    assert files_of(dls) == files

def test_a_photo_that_has_gone(drawn, files, tmp_path):
    df = pd.DataFrame(dict(name=['a.png', 'b.png'], label=['cats', 'dogs']))
    for name in df.name: Image.new('RGB', (8, 8)).save(tmp_path/name)
    dls = ImageDataLoaders.from_df(df, tmp_path, valid_pct=.5, item_tfms=Resize(64), bs=1)
    for name in df.name: (tmp_path/name).unlink()
    assert files_of(dls) == [tmp_path/'a.png', tmp_path/'b.png']

def test_pictures_in_memory():
    with pytest.raises(ValueError, match='These photos are not files'): item_files(DataBlock(ImageBlock).datasets([Image.new('RGB', (8, 8))]*4))
