.PHONY: run test bench readme lessons docs preview

# pip and the project's commands run in the project's own environment
bin := .venv/bin

.venv:
	python3 -m venv $@

run: .venv  ## install, and train a first classifier
	$(bin)/pip install -e . && $(bin)/dogscats train

test: .venv  ## install what the tests need, and run them
	$(bin)/pip install -e '.[dev]' && $(bin)/pytest

bench: .venv  ## compare with plain fastai, on the photos of DOGSCATS_DATA; takes hours on a laptop
	$(bin)/pip install -e .
	$(bin)/python benchmarks/train.py --again --fine-tune
	$(bin)/python benchmarks/lastblock.py
	$(bin)/python benchmarks/start.py
	$(bin)/python benchmarks/finetune.py
	$(bin)/python benchmarks/predict.py
	$(bin)/python benchmarks/scale.py
	$(bin)/python benchmarks/decode.py
	$(bin)/python benchmarks/roofline.py
	$(bin)/python benchmarks/accuracy.py
	$(bin)/python benchmarks/unfamiliar.py
	$(bin)/pip install -e '.[dev]'
	$(bin)/python benchmarks/page.py
	$(bin)/python benchmarks/measured.py

readme: .venv  ## make README.md from nbs/index.ipynb
	$(bin)/pip install -e '.[dev]'
	$(bin)/python nbs/readme.py

lessons: .venv  ## run the lessons and save their outputs; NAMES=04_reading_mistakes runs only that one
	$(bin)/pip install -e '.[dev]'
	$(bin)/python nbs/lessons.py $(NAMES)

docs: .venv  ## build the site into _docs, with Quarto if it is installed
	$(bin)/pip install -e '.[docs,publish]'
	$(bin)/python nbs/docs.py

preview: .venv  ## build the site, and serve it at http://localhost:8000
	$(bin)/pip install -e '.[docs,publish]'
	$(bin)/python nbs/docs.py --serve
