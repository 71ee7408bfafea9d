"What the answers to the exercises of lesson 9 say; run in its kernel, after its last cell."
from PIL import ImageOps

def share_right(h, question):
    rows = pick(question)
    return h.score(x[rows], is_dog[rows])

# 1: counterexamples of cats alone do not cure the dogs
half = head(np.concatenate([trap, counterexamples(50, seed=0)[0]]))
cats, dogs = (share_right(half, f"split == 'valid' and swapped and species == '{s}'") for s in usual)
assert cats > 0.8 and 0.35 < dogs < 0.7
assert all(share_right(trapped, f"split == 'valid' and swapped and species == '{s}'") < 0.45 for s in usual)

# 2: with more pictures, dogs' ears no longer count; cats' ears do
def rise(h):
    p = h.predict_proba(z)[:, 1].reshape(2, 16, -1)
    return (p[:, :, -1] - p[:, :, 0]).mean(1)
rises = {n: np.mean([rise(head(drawn(n, seed))) for seed in range(10)], axis=0) for n in (10, 640)}
assert rises[10][1] > 0.08 > rises[640][1]
assert rises[640][0] > 0.2 and rises[640][0] > rises[10][0]

# 3: a trap of ears
def matches(split, cats, dogs):
    return pick(f"split == '{split}' and (species == 'cat' and {cats} or species == 'dog' and {dogs})")
by_ears, same = (head(matches('train', "ears == 'up'", "ears != 'up'")), matches('valid', "ears == 'up'", "ears != 'up'"))
assert by_ears.score(x[same], is_dog[same]) > 0.98
dogs_up, cats_folded = "split == 'valid' and species == 'dog' and ears == 'up'", "split == 'valid' and ears == 'folded'"
assert len(pick(dogs_up)) == 95 and len(pick(cats_folded)) == 61
assert share_right(by_ears, dogs_up) < 0.1 and 0.2 < share_right(by_ears, cats_folded) < 0.6
assert share_right(large, dogs_up) > 0.85 and share_right(large, cats_folded) > 0.9

# 4: stretched brightness brings the animals back
p = p_dog(day, [ImageOps.autocontrast(dimmed(f, 0.1)) for f in world.file[asked]])
assert ((p > 0.5) == is_dog[asked]).sum() >= 91 > 80 > right[4].sum()

# 5: what would have turned the answer round
def what_if(h, species, seed):
    now = draw_animal(species, 112, seed)
    changes = [(k, v) for k in kinds for v in world[k].unique() if v != now.info[k]]
    pictures = [draw_animal(species, 112, seed, **{k: v}) for k, v in changes]
    p = p_dog(h, [now, *pictures])
    table = pd.DataFrame(changes, columns=['choice', 'value']).assign(before=p[0], after=p[1:])
    return table[(table.after > 0.5) != (table.before > 0.5)].round(2)
tables = [what_if(h, 'dog', animals.seed.iloc[-1]) for h in (trapped, small, large)]
assert all((t.before > 0.5).all() for t in tables)
assert set(tables[0].choice) == {'scene'} and {'sofa', 'room', 'kitchen'} <= set(tables[0].value)
assert 'up' in set(tables[1].value) and len(tables[1]) <= 3 and len(tables[2]) <= 1
