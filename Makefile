# make report   set up, measure the shipped model on real speech on this CPU, write the report
# make test     set up, check the house, build the site, run the tests
# make docs     set up, build the site into site/
#
# All work from an empty clone; what they install goes into .venv and nowhere else.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
REPORTS ?= reports
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help report test test-fast test-plugin test-integration check audit docs smoke examples mutation openvino clean
.DEFAULT_GOAL := help

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

report: $(VENV)/.ready-to-measure ## measure the shipped model on real speech, end with the report's path and verdict
	$(BIN)/pytest -m hardware --sla-policy=report-only --sla-report=$(REPORTS)
	@echo "report:  $(REPORTS)/PERFORMANCE_ANALYSIS.md"
	@echo "verdict: $$(sed -n 's/^\*\*\(.*\)\*\*$$/\1/p' $(REPORTS)/PERFORMANCE_ANALYSIS.md | head -n 1)"

# Much of the time of the integration tests is waiting for processes of their own.
test: check docs ## check style, types and layers, build the site, then run the unit, integration and fuzz tests
	@echo "three runs of tests, two at a time; each is shown when it is over"
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-integration test-plugin test-fast

test-fast:
	$(BIN)/pytest tests/unit tests/fuzz

test-plugin:
	$(BIN)/pytest tests/integration/test_plugin_*.py

test-integration:
	$(BIN)/pytest tests/integration --ignore-glob='*/test_plugin_*.py'

check: $(VENV)/.ready-to-test ## style, types, layers and bandit only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive src

audit: $(VENV)/.ready-to-test ## known vulnerabilities of what is installed (needs the index of vulnerabilities)
	$(BIN)/python scripts/audit.py

docs: $(VENV)/.ready-to-test ## the site, from docs/ and the docstrings, into site/; a dead link fails it
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	$(BIN)/python -m scripts.docs.check site

examples: $(VENV)/.ready-to-test ## make docs/examples again, from real runs on this machine (needs Chromium for the pictures)
	$(BIN)/python -m benchmarks.examples

mutation: $(VENV)/.ready-to-test ## test the tests of latency and sla by mutants; goes on where it was broken off
	nice $(BIN)/python -m benchmarks.mutation

smoke: $(VENV)/.ready-to-measure ## a short measurement whose verdict fails nothing
	$(BIN)/pytest -m hardware --sla-policy=report-only --sla-span=2s --sla-time-budget=20s --sla-report=$(REPORTS)/smoke

openvino: .venv-openvino/.ready ## prove placement on a provider that is not the CPU's, in an environment of its own
	.venv-openvino/bin/pytest tests/openvino

clean: ## remove the virtual environment and caches
	rm -rf site mutants $(VENV) .venv-openvino .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The stamps are written last, so an installation that was interrupted starts again.
$(VENV)/.ready-to-measure: pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable ".[cpu,roofline,serve,client]"
	@touch $@

$(VENV)/.ready-to-test: pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable ".[cpu,train,export,registry,serve,client,ray,docs,dev]"
	@touch $@ $(VENV)/.ready-to-measure

# onnxruntime-openvino brings the module onnxruntime: beside another build of it, which files ran would be chance.
.venv-openvino/.ready: pyproject.toml
	$(PYTHON) -m venv --clear .venv-openvino
	.venv-openvino/bin/python -m pip --disable-pip-version-check install --quiet --editable ".[openvino,roofline]"
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, $(PYTHON) is older: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
