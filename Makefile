.DEFAULT_GOAL := help
.PHONY: help demo test soak soak-channels crash-matrix bench lint format lock clean
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin

help: ## show what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: .venv/.run ## watch one day of meetings and their conferences (ARGS="--headless --json")
	@$(BIN)/python -m sync demo $(ARGS)

test: .venv/.dev .venv/.node ## run every test (ARGS=tests/unit narrows it)
	@$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

soak: .venv/.dev ## tell very many stories of faults (SEEDS=100000 FIRST=0 PROCESSES=2)
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),10000) --first $(or $(FIRST),0) \
	  $(if $(PROCESSES),--processes $(PROCESSES))

soak-channels: .venv/.dev ## keep watch over a thousand calendars for ninety days (ARGS="--days 9 --calendars 100")
	@$(BIN)/python -m tests.simulation.soak_channels $(ARGS)

crash-matrix: .venv/.dev ## let a process die at every call of a story, and print what came of it
	@$(BIN)/python -m tests.passes.crash_matrix > docs/crash-matrix.md && cat docs/crash-matrix.md

bench: .venv/.dev ## measure what a full listing costs (about two minutes; ARGS=--json)
	@$(BIN)/python -m bench.listing $(ARGS)

lint: .venv/.dev ## ruff, mypy --strict, and the walls between the rooms
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/.dev ## put the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: .venv/.dev ## compile every *.in to its .txt, with hashes
	@for list in requirements requirements-dev tests/terraform/checkov .ci/terraform-schemas; do \
	  $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	    --annotation-style line $$list.in -o $$list.txt || exit 1; done

clean: ## forget the virtual environment
	@rm -rf .venv

# A stamp is written only after pip has checked every hash, so an interrupted set-up starts again.
.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is needed; name one with PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/.run: requirements.txt | .venv/bin/python
	@echo "setting up .venv (once, about half a minute)" >&2
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.run
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt -r requirements-dev.txt
	@touch $@

# One test plays with Google's own client for Node: only where there is a Node to run it.
.venv/.node: tests/simulator/node/package-lock.json | .venv/bin/python
	@if command -v npm >/dev/null; then npm ci --prefix tests/simulator/node --silent --no-audit --no-fund && touch $@; fi
