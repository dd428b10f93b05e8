# Installs, runs and checks Maestro. `make` alone lists what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev up down test beside acceptance unit lint bench docs record lock tools clean

# Everything below is relative to the checkout, so that a path with spaces needs no quoting.
VENV := .venv
PYTHON := $(VENV)/bin/python
DETACH ?=

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

setup: $(VENV)/.installed ## Install into .venv what running needs

setup-dev: $(VENV)/.installed-dev

up: setup ## Start everything in the foreground; DETACH=1 returns once it is ready
	@exec $(VENV)/bin/maestro up $(if $(filter-out 0 no,$(DETACH)),--detach)

down: setup ## Stop what `make up` started
	@$(VENV)/bin/maestro down

# The acceptance tests mostly wait. The checks, the unit tests and those integration tests that mind no company are done
# beside them.
test: ## Check style, imports and types, and run all tests
	@$(MAKE) --jobs=2 acceptance beside \
	    || { echo "Not all is well above: make lint, make unit and make acceptance show it one by one." >&2; exit 1; }
	$(PYTHON) -m pytest tests/integration -m alone

beside: lint unit
	$(PYTHON) -m pytest tests/integration -m "not alone"

acceptance: setup-dev ## Run the acceptance tests only: they start stacks of their own
	$(PYTHON) -m pytest tests/acceptance

unit: setup-dev ## Run the unit tests only: no server, no worker
	$(PYTHON) -m pytest tests/unit

lint: setup-dev ## Check style, imports and types only
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/mypy

bench: setup-dev ## Measure Maestro beside raw Celery; BENCH="--scale 0.1 --only W1" for less
	$(PYTHON) -m tests.benchmarks $(BENCH)

docs: setup ## Write the pages of docs/ that are made from the code
	$(PYTHON) docs/generate.py

record: setup ## Write the terminal recording of README.md on the stack that runs
	$(PYTHON) docs/record.py

lock: ## Write requirements*.txt from requirements*.in (needs uv)
	uv pip compile --universal --generate-hashes --no-header --python-version 3.11 requirements.in -o requirements.txt
	uv pip compile --universal --generate-hashes --no-header --python-version 3.11 requirements-dev.in -o requirements-dev.txt

# Where there is no apt-get, or no right to use it, the tests that need a tool are skipped and say so. Each is named by its
# command, which is its package's name too.
TOOLS := chromium faketime

tools: ## Install the system packages that tests need: Chromium and faketime, by apt-get as root
	@for tool in $(TOOLS); do \
	    if command -v "$$tool" >/dev/null 2>&1; then \
	        echo "$$tool is installed."; \
	    elif ! command -v apt-get >/dev/null 2>&1; then \
	        echo "There is no apt-get here. Install $$tool yourself, or the tests that need it are skipped."; \
	    elif [ "$$(id -u)" -ne 0 ]; then \
	        echo "Installing needs root: sudo make tools. Without $$tool, the tests that need it are skipped."; \
	    else \
	        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$$tool"; } \
	            || echo "$$tool could not be installed: the tests that need it are skipped."; \
	    fi; \
	done

clean: ## Remove .venv and caches; data in .maestro stays
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Some of these names may be shims that fail, so each is tried, not only looked up.
$(PYTHON):
	@for candidate in python3.13 python3.12 python3.11 python3; do \
	    "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    "$$candidate" -c 'import venv, ensurepip' 2>/dev/null \
	        || { lacking="$$candidate"; continue; }; \
	    echo "Making $(VENV) with $$("$$candidate" --version)"; \
	    rm -rf $(VENV); \
	    exec "$$candidate" -m venv $(VENV); \
	done; \
	if [ -n "$$lacking" ]; then \
	    echo "$$lacking cannot make virtual environments. Install its venv module, on Debian and Ubuntu:" >&2; \
	    echo "    apt-get install $$("$$lacking" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" >&2; \
	else \
	    echo "Maestro needs Python 3.11 or newer; found none. On Debian and Ubuntu: apt-get install python3 python3-venv" >&2; \
	fi; \
	exit 1

$(VENV)/.installed: requirements.txt requirements.in pyproject.toml | $(PYTHON)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
