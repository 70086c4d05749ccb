# Everything a fresh machine needs is Python 3.11+, pip and make: each target sets itself up.
PYTHON ?= python3
BIN := .venv/bin
PYTEST_ARGS ?= -n 2

.DEFAULT_GOAL := help
.PHONY: help run test faults fuzz bench load check format lint types contracts migrations schema snapshot docs lock clean setup setup-dev

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

run: setup ## Start everything here: PostgreSQL, Redis, API, worker and sandbox, with demo data
	@exec $(BIN)/python -m app run --end-with $$PPID

test: setup-dev ## Run every test on real servers of its own
	@exec $(BIN)/python -m pytest $(PYTEST_ARGS)

faults: setup-dev ## Break everything for half an hour: 150 seeded runs with real processes, 10,000 in simulation, 10,000 races
	@exec $(BIN)/python -m tests.faults

fuzz: setup-dev ## Send 45,000 made-up requests, bodies and frames to a live API
	@FUZZ_SHARE=1 $(BIN)/python -m pytest -n 0 -s tests/fuzz

check: setup-dev lint types contracts snapshot test ## All that must hold before a change lands

lint: setup-dev
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check

types: setup-dev
	@$(BIN)/mypy

contracts: setup-dev
	@$(BIN)/lint-imports --no-cache

snapshot: setup-dev
	@$(BIN)/python -m app schema --check

format: setup-dev ## Put the code into the house's form
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

schema: setup ## Write the schema's snapshot anew
	@$(BIN)/python -m app schema

docs: setup ## Write the GraphQL contract as a page to read, artefacts/reference/index.html
	@$(BIN)/python -m app docs

bench: setup-dev .shipped/stamp ## Ask pages and posts of Crier, of an ORM and of hand-written SQL in turn, and print the ratios
	@$(BIN)/python -m benchmarks.pages --python .shipped/bin/python

load: setup-dev ## Load one API process, then two, until the objective breaks; prints the knee
	@$(BIN)/python -m benchmarks.load

migrations: setup-dev ## Judge the migrations as what runs beside the release before them
	@$(BIN)/python -m app migrate --sql | $(BIN)/squawk --stdin-filepath migrations.sql

lock: setup-dev ## Resolve the dependencies anew, with hashes
	@$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --quiet --upgrade pyproject.toml --group local -o requirements.lock
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --quiet --upgrade pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock

clean: ## Remove what the targets above made, but for data
	rm -rf .venv .shipped .assets tests/clients/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis

# A stamp is as new as the lock file that was installed.
setup: .venv/run.stamp .assets/stamp
setup-dev: .venv/dev.stamp .assets/stamp tests/clients/node_modules/.stamp

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Crier needs Python 3.11 or newer: make PYTHON=python3.12")'
	@echo "Making .venv …"
	@$(PYTHON) -m venv .venv

.venv/run.stamp: requirements.lock | .venv/pyvenv.cfg
	@echo "Installing the pinned dependencies …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

.venv/dev.stamp: requirements-dev.lock | .venv/pyvenv.cfg
	@echo "Installing the pinned dependencies …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@ .venv/run.stamp

# What is shipped and nothing else: libraries load others where they find them, structlog Rich for one.
.shipped/stamp: requirements.lock | .venv/pyvenv.cfg
	@echo "Installing what is shipped …"
	@$(PYTHON) -m venv .shipped
	@.shipped/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

.assets/stamp: $(shell find app/pages -type f) | .venv/run.stamp
	@$(BIN)/python -m app.assets && touch $@ || echo "Crier runs without its browser pages for now."

tests/clients/node_modules/.stamp: tests/clients/package-lock.json | .venv/dev.stamp
	@$(BIN)/python -m tests.clients.packages && touch $@ || echo "The examples in tests/clients cannot be run for now."
