# Set-up happens once: each stamp in .venv stands for one list of packages, and is made anew when that list changes.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
PY   := $(VENV)/bin/python
PIP  := $(PY) -m pip install --disable-pip-version-check --no-input --progress-bar off
DATA ?= data

# pip tells of each package; what a reader wants of it is that something moves.
MOVING := 2>&1 | { grep --line-buffered -vE '^(Requirement already|  |WARNING: Location|Looking in)' || true; } \
	| sed -u -E 's/^(Collecting [^ ;]+).*/    \1/; s/^(Downloading|Using cached|Installing|Successfully|Building|Created|Processing|Preparing|Getting|Obtaining|Checking|Stored).*/    &/' \
	| cut -c1-140

.PHONY: help
help:  ## this list
	@echo "citybrain: a city's cameras in, governance cases out"
	echo
	grep -hE '^[a-z-]+:.*  ## ' $(firstword $(MAKEFILE_LIST)) | awk -F ':.*  ## ' '{printf "  make %-21s %s\n", $$1, $$2}'
	echo
	echo "  make run takes CONFIG=my-city/ DATA=$(DATA) HOST=127.0.0.1 PORT=8000 DISPATCH=url; make PYTHON=… chooses a Python"

# ------------------------------------------------------------------------------------------------------ set-up

$(VENV)/.python:
	@.ci/virtual-environment $(VENV)
	touch $@

$(VENV)/.base: $(VENV)/.python requirements.txt pyproject.toml
	@echo "==> Installing what citybrain runs on (630 MB on disk; one to three minutes the first time)"
	$(PIP) --require-hashes -r requirements.txt $(MOVING)
	$(PIP) --no-deps --no-build-isolation --editable . $(MOVING)
	touch $@

# The list is complete, so pip need follow nothing: left to itself it would bring a second OpenCV (docs/decisions/0002).
$(VENV)/.ultralytics: $(VENV)/.base requirements-torch.txt requirements-ultralytics.txt requirements/opencv-python/pyproject.toml
	@echo "==> Installing torch, ultralytics and the exporters (1.5 GB on disk with a CPU build of torch; two to six minutes)"
	$(PIP) --require-hashes --no-deps -r requirements-ultralytics.txt $(MOVING)
	$(PIP) --no-deps --no-build-isolation requirements/opencv-python $(MOVING)
	$(PIP) -r requirements-torch.txt $(MOVING)
	$(PY) -m pip check
	touch $@

$(VENV)/.test: $(VENV)/.base requirements-test.txt
	@echo "==> Installing the test tools (450 MB on disk; a minute or so)"
	$(PIP) --require-hashes -r requirements-test.txt $(MOVING)
	$(PY) -m pip check
	touch $@

.PHONY: install install-ultralytics install-test lock
install: $(VENV)/.base  ## set up what `make run` needs
	@echo "citybrain is installed: $(VENV)/bin/citybrain --help"

install-ultralytics: $(VENV)/.ultralytics  ## add torch and ultralytics: that backend, training, export
	@echo "The backend 'ultralytics', training and export are installed"

install-test: $(VENV)/.test $(VENV)/.ultralytics

lock:  ## write requirements*.txt anew from pyproject.toml (UPGRADE=--upgrade raises the pins)
	@requirements/lock $(UPGRADE)

# --------------------------------------------------------------------------------------------------------- use

.PHONY: run bench
run: $(VENV)/.base  ## start the demo city, or your own with CONFIG=my-city/
	@mkdir -p "$(DATA)"
ifdef CONFIG
	exec $(VENV)/bin/citybrain up --config "$(CONFIG)" --data "$(DATA)" \
		$(if $(HOST),--host "$(HOST)") $(if $(PORT),--port "$(PORT)") $(if $(DISPATCH),--dispatch "$(DISPATCH)")
else
	exec $(PY) -m citybrain.demo --data "$(DATA)" $(if $(HOST),--host "$(HOST)") $(if $(PORT),--port "$(PORT)")
endif

bench: $(VENV)/.base  ## measure: NAME=endtoend, ARGS=--json
	@$(VENV)/bin/citybrain bench $(NAME) $(ARGS)

# ------------------------------------------------------------------------------------------------------- check

.PHONY: test lint format
test: $(VENV)/.test $(VENV)/.ultralytics  ## set up everything that is tested, then lint and run all tests
	@.ci/system-packages
	failed=
	$(MAKE) --no-print-directory lint || failed+=" lint"
	echo "==> Running the tests"
	# One more than there are cores: most of their time tests wait for processes of their own.
	$(PY) -m pytest -n $$(( $$(nproc) + 1 )) --dist loadfile $(ARGS) || failed+=" tests"
	[ -z "$$failed" ] || { echo "Failed:$$failed"; exit 1; }

lint: $(VENV)/.test  ## style, types, and who may import whom
	@failed=
	echo "==> Style"
	$(VENV)/bin/ruff check || failed+=" style"
	$(VENV)/bin/ruff format --check || failed+=" layout"
	echo "==> Types (a minute the first time)"
	$(VENV)/bin/mypy || failed+=" types"
	echo "==> Who may import whom"
	$(VENV)/bin/lint-imports --no-logo || failed+=" imports"
	[ -z "$$failed" ] || { echo "Failed:$$failed"; exit 1; }

format: $(VENV)/.test  ## let ruff lay out the code
	@$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

.PHONY: image-by-hand
image-by-hand:  ## follow the Dockerfile without an engine, on a root that is thrown away (as root; minutes)
	@$(or $(PYTHON),python3) .ci/image

.PHONY: clean
clean:  ## remove what set-up and the tools made; DATA stays
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './data/*' -prune -exec rm -rf {} +
