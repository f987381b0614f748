# Parley. `make run` on a fresh machine is all it takes.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
VENV   := .venv
BIN    := $(VENV)/bin
NEEDS  := requirements.txt $(wildcard docker/requirements/*.txt)
SETTINGS = $(foreach name,HOST PORT DATA_DIR MODEL,$(if $($(name)),$(name)=$($(name))))

.PHONY: help run test lint format bench doctor clean
help:            ## this list
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

run: $(VENV)/.installed   ## start everything (settings: make run PORT=9000 MODEL=…)
	@exec env $(SETTINGS) $(BIN)/python manage.py up

test: $(VENV)/.installed-tests   ## lint, types, and the whole suite
	@tests/run.sh

lint: $(VENV)/.installed-tests   ## ruff and mypy
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: $(VENV)/.installed-tests   ## let ruff put the code in form
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: $(VENV)/.installed   ## decode speed of the engine against transformers
	@folder=$$($(BIN)/python -m inference.serving.prepare --models-dir $(or $(DATA_DIR),var)/models --json | \
	  $(BIN)/python -c 'import json, sys; print(json.loads(sys.stdin.readlines()[-1])["path"])') && \
	  $(BIN)/python -m inference.engine.bench "$$folder"

doctor: $(VENV)/.installed   ## what runs here, what is wrong, and the remedy
	@env $(SETTINGS) $(BIN)/python manage.py doctor

clean:           ## remove the virtual environment (never the data)
	@rm -rf $(VENV)

$(VENV)/.python:
	@command -v $(PYTHON) >/dev/null || { echo "parley: $(PYTHON) is not installed. Install Python 3.11, or name it: make run PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "parley: $(PYTHON) is $$($(PYTHON) -V 2>&1), and Parley needs Python 3.11. Name one: make run PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "parley: no virtual environment could be made. On Debian: apt-get install python3.11-venv"; exit 2; }
	@touch $@

$(VENV)/.installed: $(NEEDS) | $(VENV)/.python
	@echo "Installing packages (about 3 GB, once) …"
	@$(BIN)/pip install --disable-pip-version-check torch==2.13.0 -c docker/requirements/constraints.txt && \
	 $(BIN)/pip install --disable-pip-version-check -r requirements.txt || \
	 { echo "parley: the packages could not be installed (see the line above). Check the network and the disk, then run the same command again: it goes on where it stopped."; exit 2; }
	@touch $@

$(VENV)/.installed-tests: tests/requirements.txt $(VENV)/.installed
	@$(BIN)/pip install --disable-pip-version-check -r tests/requirements.txt || \
	 { echo "parley: the test packages could not be installed (see the line above)."; exit 2; }
	@touch $@
