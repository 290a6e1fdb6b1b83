# make run   install into .venv, run the default study on real data, print where the report is
# make test  install what the tests need and run them all
PYTHON ?= python3
BIN := .venv/bin
RECIPE ?=
ARGS ?=

.PHONY: run test lint types wheel-check check check-long soak bench bench-nets bench-reading studies notebooks clean help

help:
	@sed -n 's/^# //p' Makefile

.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Matinee needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[torch]'
	@touch $@

.venv/.ready-dev: .venv/.ready
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

.venv/.ready-notebooks: .venv/.ready
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[torch,notebooks]'
	@touch $@

run: .venv/.ready
	$(BIN)/matinee run $(RECIPE) $(ARGS)

test: .venv/.ready-dev
	$(BIN)/pytest -n 2 --dist loadgroup

lint: .venv/.ready-dev
	$(BIN)/ruff check
	$(BIN)/ruff check --preview --select PLW1514  # text in a named encoding: the default of Windows is another
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: .venv/.ready-dev
	$(BIN)/mypy

# the sdist, a wheel made from it, and the wheel used in an empty environment; another Python: ARGS="--python python3.13"
wheel-check:
	$(PYTHON) .ci/wheel_check.py $(ARGS)

# everything CI does
check: lint types wheel-check test

# tests over ten seconds each
check-long: .venv/.ready-dev
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[notebooks,oracles,onnx]'
	$(BIN)/pytest -m slow -o addopts="-q --strict-markers --strict-config"

# the service's faults at full number: 200 kills, 200 swaps, 10,000 requests by its schema; under thirty minutes
soak: .venv/.ready-dev
	$(BIN)/pytest -m slow -o addopts="-q --strict-markers --strict-config" tests/serve

# the published rows of docs/results.md; needs ../shared/data or a copy of the data sets elsewhere
studies: .venv/.ready
	for study in ml-1m-static ml-100k-random ml-100k-next ml-100k-half-life; do \
		$(BIN)/matinee run recipes/$$study.toml --data-dir $(or $(DATA),../shared/data) || exit 1; \
	done

# the founding studies' notebooks, run whole into runs/notebooks; on ml-1m and ml-latest-small where DATA (../shared/data) has them
notebooks: .venv/.ready-notebooks
	mkdir -p runs/notebooks
	for name in notebooks/*.ipynb; do \
		MATINEE_DATA_DIR=$(abspath $(or $(DATA),../shared/data)) \
			$(BIN)/jupyter execute $$name --output=$(CURDIR)/runs/$$name || exit 1; \
	done

# ours beside RecTools, irspack and implicit, in their own environment
bench: .bench-venv/.ready
	.bench-venv/bin/python benchmarks/static.py --data-dir $(or $(DATA),../shared/data) $(ARGS)

# nets and sequence models beside RecBole and RecTools; takes an hour or two
bench-nets: .bench-torch/.ready
	.bench-torch/bin/python benchmarks/nets.py --data-dir $(or $(DATA),../shared/data) $(ARGS)
	.bench-torch/bin/python benchmarks/sequences.py --data-dir $(or $(DATA),../shared/data) $(ARGS)

# seconds and memory of reading a log of 25 million rows
bench-reading: .venv/.ready
	$(BIN)/python benchmarks/reading.py --data-dir $(or $(DATA),../shared/data) $(ARGS)

.bench-venv/.ready: benchmarks/requirements.txt benchmarks/setup.sh constraints.txt pyproject.toml
	sh benchmarks/setup.sh
	@touch $@

.bench-torch/.ready: benchmarks/requirements-torch.txt benchmarks/setup.sh constraints.txt pyproject.toml
	sh benchmarks/setup.sh torch
	@touch $@

clean:
	rm -rf .venv .bench-venv .bench-torch runs build dist
