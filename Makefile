# What can be done with a checkout. `make` alone prints this list.
#
# Everything is installed into .venv; all data of the running site is kept in .attractor.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What runs the tests; .ci/run measures coverage with it.
PYTEST ?= $(BIN)/python -m pytest
# How many processes run the tests, each with servers of its own; a file's tests stay together.
WORKERS ?= logical
# Slow tests wait for each other's programs more than they compute.
SLOW_WORKERS ?= 3
QUICK := not slow and not exhaustive and not browser and not benchmark
STAMP := $(VENV)/.installed
PEERS := $(VENV)/.peers-installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.PHONY: help install run test test-rest test-slow test-browser test-exhaustive test-front lint types weaknesses audit \
	sbom coverage client lock front clean bench bench-stack

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Create .venv and install the locked requirements

# The environment is made again only when a lock or the package's own description changed.
$(STAMP): requirements/torch.txt requirements/lock.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "No $(PYTHON) found. Install Python 3.11 or newer, or name one: make install PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"$(PYTHON) is Python {v[0]}.{v[1]}; Attractor needs 3.11 or newer. Name one: make install PYTHON=python3.12")'
	@test -x $(BIN)/python || { echo "→ Creating the environment $(VENV) …"; $(PYTHON) -m venv $(VENV) || { echo "FAILED. On Debian and Ubuntu the package python3-venv is needed." >&2; exit 1; }; }
	@echo "→ Installing torch (a plain index entry would bring CUDA, so it comes first and alone) …"
	@$(PIP) install -qq -r requirements/torch.txt
	@echo "→ Installing the locked requirements …"
	@$(PIP) install -qq -r requirements/lock.txt
	@echo "→ Installing the engine from this checkout …"
	@$(PIP) install -qq --no-deps --no-build-isolation -e .
	@touch $@

run: install ## Start everything: servers, worker, sweeper, site; Ctrl-C stops it
	@exec $(BIN)/python -m config.launch up --with-parent

test: install front ## Run the unit and integration tests on real PostgreSQL and Valkey
	@$(PYTEST) -n $(WORKERS) --dist loadfile -m "$(QUICK)" $(ARGS)

test-rest: install front ## Run the tests that `make test` leaves out, side by side: slow ones, those in a browser
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target test-slow test-browser

test-slow: install front
	@$(PYTEST) -n $(SLOW_WORKERS) --dist loadgroup -m slow tests/unit tests/integration

test-browser: install front
	@$(PYTEST) -m browser tests/browser

test-exhaustive: install front ## Run the longest tests: of the engine's numbers, and a hundred kills
	@$(PYTEST) -n $(WORKERS) -m exhaustive tests/unit tests/integration

test-front: install ## Check the types of the front end and run its unit tests
	@$(BIN)/python -m config.launch npm -- run check
	@$(BIN)/python -m config.launch npm -- run test

lint: install ## Check style, formatting and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: install ## Check types (strict in the engine, models and presets)
	@$(BIN)/mypy platform/attractor models presets apps config manage.py

weaknesses: install ## Look for weak spots in our own code (bandit)
	@$(BIN)/bandit --quiet --configfile pyproject.toml --recursive apps config models presets platform/attractor manage.py

audit: install front ## Ask whether weaknesses are known of what is locked (pip-audit, npm audit)
	@$(BIN)/python requirements/audit.py

sbom: install front ## Write what the product is made of, as CycloneDX, into sbom/
	@$(BIN)/python requirements/sbom.py

coverage: install front ## Run every test and report line and branch coverage
	@$(BIN)/coverage erase
	@$(BIN)/python -m coverage run -m pytest -m "not benchmark and not exhaustive" $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

front: install ## Build the front end if its sources changed
	@$(BIN)/python -m config.launch front

client: install ## Write the generated parts of the Python client again, after a change of the API
	@$(BIN)/python manage.py generate_client

lock: install ## Resolve requirements/*.in again and write the lock
	@$(BIN)/python requirements/lock.py

bench: $(PEERS) ## Run every benchmark, beside the peers of requirements/bench.txt
	@$(BIN)/python -m pytest tests/benchmarks -m benchmark $(ARGS)

bench-stack: install ## Run the benchmarks of the running site alone, which need no peers
	@$(BIN)/python -m pytest tests/benchmarks/test_run_latency.py -m benchmark $(ARGS)

# Peers share the environment, so that both sides of a comparison run in one process.
$(PEERS): $(STAMP) requirements/bench.txt
	@echo "→ Installing the peers that the benchmarks compare with …"
	@$(PIP) install -qq -r requirements/bench.txt
	@touch $@

clean: ## Remove the environment, what was built and all caches; keeps .attractor, where the data is
	@rm -rf $(VENV) static/dist static/src/node_modules staticfiles htmlcov .coverage .coverage.* \
		.pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
