# Thin: the logic is in `factory`. Everything is installed into .venv/ once, and works offline after that.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STUDY ?= studies/embedded.yaml
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup adapters matrix test lint perf docs clean

help: ## show this
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.dev ## install everything, tests and linters too

# torch first and exactly: any looser request would fetch several GB of CUDA packages on a machine without a GPU.
$(VENV)/.installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

adapters: $(VENV)/.installed ## train the adapters of the default study
	$(BIN)/factory run $(STUDY) --only adapters

matrix: $(VENV)/.installed ## the default study: base, adapters, merges, matrix, report
	$(BIN)/factory run $(STUDY)

test: $(VENV)/.dev ## all tests, one small study from end to end among them
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not alone"
	$(BIN)/python -m pytest -m alone

lint: $(VENV)/.dev ## ruff, mypy, import layers, and the README's generated parts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/readme_parts.py --check

docs: $(VENV)/.dev ## write the README's generated parts again
	$(BIN)/python tests/readme_parts.py

perf: $(VENV)/.dev ## speed, as ratios against named peers in one run
	@for file in perf/[a-z]*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean: ## remove what was built here: .venv/ and caches; the store stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
