# Exercise 1: learning 150 pictures of each class by heart
few = 150
df, by_heart = some('valid'), some('train')
n_right = int((most_similar(df) == df['class']).sum())
assert len(df) == 200 and 108 <= n_right <= 122, n_right
assert (most_similar(by_heart) == by_heart['class']).all()
few = 40

# Exercise 2: twenty epochs
more = Vgg16()
more.finetune(batches)
more.fit(batches, val_batches, nb_epoch=20)
h = more.learn.history
assert h.train_loss.iloc[-1] < 0.1 and h.train_loss.iloc[-1] < h.train_loss.iloc[4]/2, h
assert h.accuracy.iloc[-1] > 0.95 and abs(h.accuracy.iloc[-1] - h.accuracy.iloc[4]) < 0.035, h

# Exercise 3: a grey square, and noise
grey = np.full((224, 224, 3), 128, dtype=np.uint8)
noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
best, _, names = vgg.predict([grey, noise])
assert set(names) <= {'cats', 'dogs'} and (best > 0.5).all(), (best, names)

# Exercise 4: the same pictures in other folders
import shutil

def sort_by(dest, column):
    for _, row in drawn_labels(path).iterrows():
        split = row.file.split('/')[0]
        if split == 'test1': continue
        folder = Path(dest)/split/row[column]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path/row.file, folder)
    return Path(dest)

accuracies = {}
for column in ('pose', 'scene', 'mouth'):
    new = sort_by(f'by_{column}', column)
    other = Vgg16()
    theirs, val_theirs = (other.get_batches(new/split) for split in ('train', 'valid'))
    other.finetune(theirs)
    other.fit(theirs, val_theirs, nb_epoch=5)
    accuracies[column] = other.learn.history.accuracy.iloc[-1]
mouths = drawn_labels(path).query("file.str.startswith('valid')").mouth.value_counts(normalize=True)
assert accuracies['pose'] > 0.97 and accuracies['scene'] > 0.84 and accuracies['mouth'] < 0.7, accuracies
assert mouths.index[0] == 'shut' and abs(mouths.iloc[0] - 0.63) < 0.001, mouths
