# Two commands do everything on a fresh machine with Python 3.11 or newer:
#   make chat    environment, install, open the chat   (make chat ARGS="--model qwen3-1.7b")
#   make test    environment, install, lint, types, layer contracts, tests

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ARGS ?=

.PHONY: chat test test-slow clean

chat: $(VENV)/.installed
	@$(BIN)/qwenchat $(ARGS)

test: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n 2 --dist loadfile

test-slow: $(VENV)/.installed-dev
	$(BIN)/pytest -q -m slow

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "qwenchat needs Python 3.11 or newer; this is $$($(PYTHON) --version 2>&1). Name another: make chat PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) dist build
