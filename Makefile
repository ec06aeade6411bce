PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

unexport PYTHONDONTWRITEBYTECODE  # the tests start hundreds of processes, and each would compile the package again

.PHONY: help demo test test-slow test-all lint coverage docs bench package clean

help: ## Say what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | column -t -s '|'

demo: $(READY) ## Run a whole migration on generated history, on the embedded server
	$(BIN)/lbmigrate demo

test: $(READY) ## Run the tests, but for those that take long
	$(BIN)/python -m pytest -n 3 --dist worksteal -m "not slow"

test-slow: $(READY) ## Run those that take long: killed at every write, raced, cut off, held, and in every case on a server
	$(BIN)/python -m pytest -n 3 --dist worksteal -m slow

test-all: test test-slow ## Run every test

lint: $(READY) ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

coverage: $(READY) ## Measure which lines the quick tests in memory reach
	$(BIN)/coverage run -m pytest -q -m "not slow" tests/unit tests/mock tests/lifecycle
	$(BIN)/coverage report

docs: .venv/.docs ## Build the documentation as a site into build/docs/; a link that leads nowhere is an error
	$(BIN)/python -m docs._generate
	$(BIN)/sphinx-build -q -W --keep-going -c docs . build/docs
	@echo build/docs/docs/index.html

bench: $(READY) ## Measure speed and memory
	$(BIN)/python -m benchmarks

package: $(READY) ## Build the wheel and the source archive into dist/
	$(BIN)/python -m hatchling build

clean: ## Remove the environment and every cache
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage build dist

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local,dryrun,dask,dev]'
	@touch $@

.venv/.docs: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@
