# Every command of the project; `make help` lists them. What a command needs is set up on its first use.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11

# The certificates of the machine are trusted by uv too, as pip already does.
export UV_SYSTEM_CERTS ?= 1
# Every process of the system is a Python: without its compiled files a start takes three times as long.
unexport PYTHONDONTWRITEBYTECODE
# Passed on to benchmarks and chaos checks.
export QUICK SABOTAGE PHOTOS GRAPH

.PHONY: help env run demo test check lint types proto bench chaos down clean lock lock-check

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F '\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

env: ## set up .venv and the generated code (every other command does it when needed)
	@bash devstack/environment.sh

run: env ## start the whole system in the foreground, print an address, a token and commands to try
	@exec $(BIN)/python -m devstack run $(ARGS)

demo: env ## tell the product's story over the public API with real photographs (PHOTOS=folder for your own)
	@exec $(BIN)/python -m devstack.demo $(ARGS)

test: env ## run all tests on the embedded stack (ARGS="tests/unit -k name" for some)
	@exec $(BIN)/python -m pytest $(ARGS)

check: lint types proto lock-check ## everything but the tests that must hold before a merge
	$(BIN)/lint-imports
	$(BIN)/bandit -q -ll -r mesh gateway feed_svc story_svc dm_svc media_svc devstack cli -c pyproject.toml

lint: env ## check format and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: env ## check types
	$(BIN)/mypy

proto: env ## check the protos: style, comments, and that nothing published was broken
	$(BIN)/python protos/check.py

bench: env ## run a benchmark: make bench NAME=fan_out (QUICK=1 for less than two minutes)
	@exec $(BIN)/python -m benchmarks $(NAME)

chaos: env ## run a promise under faults: make chaos NAME=messages (QUICK=1, SABOTAGE=name)
	@exec $(BIN)/python -m tests.chaos $(NAME)

down: env ## stop the system that runs from this folder
	@$(BIN)/python -m devstack down

clean: ## stop the system, delete its data, the environment and everything generated
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m devstack clean; fi
	rm -rf .venv gen build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

lock: env ## resolve the dependencies anew, within pyproject.toml
	$(COMPILE) --upgrade --output-file requirements.lock pyproject.toml
	$(COMPILE) --upgrade --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

lock-check: env
	@bash devstack/locks.sh
