.PHONY: run test readme

# pip and the project's commands, in an environment of the project's own
bin := .venv/bin

.venv:
	python3 -m venv $@

run: .venv  ## install, and train a first classifier
	$(bin)/pip install -e . && $(bin)/dogscats train

test: .venv  ## install what the tests need, and run them
	$(bin)/pip install -e '.[dev]' && $(bin)/pytest

readme: .venv  ## make README.md from nbs/index.ipynb
	$(bin)/python nbs/readme.py
