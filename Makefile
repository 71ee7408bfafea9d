.PHONY: run test bench readme

# pip and the project's commands, in an environment of the project's own
bin := .venv/bin

.venv:
	python3 -m venv $@

run: .venv  ## install, and train a first classifier
	$(bin)/pip install -e . && $(bin)/dogscats train

test: .venv  ## install what the tests need, and run them
	$(bin)/pip install -e '.[dev]' && $(bin)/pytest

bench: .venv  ## measure beside plain fastai, on the photos of DOGSCATS_DATA; takes hours on a laptop
	$(bin)/pip install -e .
	$(bin)/python benchmarks/train.py
	$(bin)/python benchmarks/train.py --again
	$(bin)/python benchmarks/predict.py
	$(bin)/python benchmarks/scale.py

readme: .venv  ## make README.md from nbs/index.ipynb
	$(bin)/python nbs/readme.py
