"What the answers to the exercises of lesson 8 say, in its kernel"

# 1: one more group
learn = start(sides)
learn.freeze_to(-3)
assert trainable(learn).trained_parameters.iloc[-1] == 15_251_520

# 2: only longer
learn = start(sides)
with learn.no_logging(): learn.fit_head(40)
print('2:', score(learn))
assert score(learn)['accuracy'] < 0.85

# 3: the careful rate
learn = start(sides)
careful = [score(learn)['accuracy']]
for _ in range(2):
    with learn.no_logging(): learn.fit_last_block(3)
    careful.append(score(learn)['accuracy'])
print('3:', careful)
assert careful[0] < careful[1] - 0.03 and careful[1] <= careful[2] + 0.02 and careful[2] > 0.75

# 4: a trap
def mirrored(): return make_dls(side_path, size=size, bs=bs, batch_tfms=aug_transforms())
trapped = score(train(mirrored, ways['last block']))
print('4:', trapped)
assert 0.35 < trapped["accuracy"] < 0.78

# 5: build a question
def draw_choice(folder, choice, value, n, first):
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        im = draw_animal(('cat', 'dog')[i % 2], size=96, seed=first + i, **{choice: value})
        im.save(folder/f'{i}.jpg', quality=92)

def ask(choice, values):
    root = Path('asked')/choice
    for value in values:
        draw_choice(root/'train'/value, choice, value, 50, first=0)
        draw_choice(root/'valid'/value, choice, value, 50, first=1000)
    learn = start(lambda: make_dls(root, size=size, bs=bs))
    head = score(learn)['accuracy']
    with learn.no_logging(): learn.fit_last_block(3, lr=lr)
    return head, score(learn)['accuracy']

ears, light = ask('ears', ('up', 'flop')), ask('light', ('left', 'right'))
print('5:', ears, light)
assert 0.75 < ears[0] and ears[1] > 0.9 and ears[1] > ears[0]
assert max(light) < 0.7
