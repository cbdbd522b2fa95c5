# Two commands do everything on a fresh machine with Python 3.11 or newer:
#   make chat    environment, install, open the chat   (make chat ARGS="--model qwen3-1.7b")
#   make test    environment, install, lint, types, layer contracts, tests
# And make dist builds the wheel and the sdist into dist/, and checks them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ARGS ?=
# Without an NVIDIA driver a torch for CPUs, else the newest for CUDA that the driver can run; or what uv is told here.
TORCH ?= $(if $(wildcard /proc/driver/nvidia/version)$(shell which nvidia-smi 2>/dev/null),auto,cpu)

.PHONY: chat test test-slow dist clean

chat: $(VENV)/.installed
	@$(BIN)/qwenchat $(ARGS)

test: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n 4 --dist loadfile

test-slow: $(VENV)/.installed-dev
	$(BIN)/pytest -q -m 'slow or hypothesis' --hypothesis-profile=full

# The wheel is built from the sdist, so that the sdist is known to be complete.
dist: $(VENV)/.installed-dev
	$(PIP) install --quiet --constraint constraints.txt twine
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist
	$(BIN)/twine check --strict dist/*
	DIST=dist $(BIN)/pytest -q tests/project/test_wheel.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "qwenchat needs Python 3.11 or newer; this is $$($(PYTHON) --version 2>&1). Name another: make chat PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# On Linux the torch of PyPI is the one for CUDA, 2.7 GB to fetch, also where there is no GPU; uv knows where the others are.
# Where pip was told where packages come from, that counts alone; and when uv finds nothing, PyPI's torch is good.
$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@[ "$$(uname)" != Linux ] || $(PIP) config list | grep -qE 'index|find-links' || \
	  { $(PIP) install --quiet --constraint constraints.txt uv && \
	    $(BIN)/uv pip install --python $(BIN)/python --torch-backend $(TORCH) --constraint constraints.txt torch; } || \
	  echo "The torch for $(TORCH) could not be had; PyPI's is taken."
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) dist build
