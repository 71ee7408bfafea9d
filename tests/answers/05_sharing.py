"What the answers to the exercises of lesson 5 say"

# exercise 1
class Present:
    def __reduce__(self): return sum, ([1, 2, 3],)
assert pickle.loads(pickle.dumps(Present())) == 6

# exercise 2
swapped = shutil.copytree(model, out/'swapped', dirs_exist_ok=True)
config = json.loads((swapped/'config.json').read_text())
config['classes'] = config['classes'][::-1]
(swapped/'config.json').write_text(json.dumps(config))
sharp, turned = checked(answers[0]), checked(predict_files(load_classifier(swapped), blurred(0)))
print(sharp, turned)
assert abs(sharp['right'] - 57) <= 2 and sharp['right'] + turned['right'] == 60 and abs(sharp['how_sure'] - turned['how_sure']) < 1e-3

# section 7
table = pd.DataFrame({radius: checked(a) for radius, a in answers.items()}).T
print(table)
assert table.right.is_monotonic_decreasing and table.right[2] < 48 and (table.how_sure > 0.85).all()
assert table.warned[0] < 4 and table.warned[2] > 25 and table.warned[4] > 55
assert (answers[0].label[i], answers[4].label[i]) == ('cats', 'dogs') and Path(answers[0].file[i]).name.startswith('cat')

# exercise 3
if onnx_file.exists():
    large = session.run(None, {'photos': x*255})[0]
    assert (large[:, 0] > 0.99).all() and [f.parent.name for f in files].count('dogs') == 4

# exercise 4
def decide(answers, least=0.9):
    sure = answers[['cats', 'dogs']].max(axis=1) >= least
    return answers.label.where(sure & (answers.warning == ''), 'ask a person')

decided = {}
for radius, a in answers.items():
    said = decide(a)
    right = sum(Path(f).name[:3] == label[:3] for f, label in zip(a.file, said))
    decided[radius] = (said != 'ask a person').sum(), right
print(decided)
for radius, (said, right) in {0: (49, 49), 2: (16, 13), 4: (0, 0)}.items():
    assert abs(decided[radius][0] - said) <= 4 and abs(decided[radius][1] - right) <= 4
assert decided[0][0] - decided[0][1] <= 1

# exercise 5
assert model_card(save_classifier(learn, out/'bare')).count('not given') == 7
