# Two commands for a stranger: `make quickstart` and `make test`. Each makes its own environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= auto
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: quickstart test test-slow test-lowest coverage lint types pytest wheel lock clean help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

quickstart: $(VENV)/.run  ## set up and run the main job: tune, hold a cluster out, evaluate, adapt with LoRA
	$(BIN)/python -m scripts.quickstart $(ARGS)

test: $(VENV)/.test lint types pytest wheel  ## set up and run every check but the slow tests

test-slow: $(VENV)/.test  ## the tests marked slow: runs that are killed, runs that are minutes long
	$(BIN)/python -m pytest -m slow -n $(WORKERS) --dist loadgroup --durations=15 $(ARGS)

lint: $(VENV)/.test  ## ruff over the code, the linter of tasks over the declarations
	$(BIN)/ruff check .
	$(BIN)/python -m scripts.inspect_tasks lint --rows=0 --module tasks.flan2021 --module tasks.quickstart --module tasks.extra

types: $(VENV)/.test
	$(BIN)/mypy

# Fast tests compile more than they compute: LLVM leaves its optimisation out there. Slow tests and runs have it.
pytest coverage test-lowest: export XLA_FLAGS += --xla_backend_optimization_level=0

pytest: $(VENV)/.test
	$(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --durations=15 $(ARGS)

coverage: $(VENV)/.test  ## the fast tests again, a quarter slower, with the lines that none of them runs
	$(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --cov=flan_jax --cov=tasks --cov-report=term-missing:skip-covered $(ARGS)

wheel: $(VENV)/.test  ## build the wheel, install it in a fresh environment, run one command from it
	$(BIN)/python -m tests.check_wheel

# The environments: a stamp file says which lock was installed, so that a second run has nothing to do.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock setup.py | $(BIN)/python
	$(PIP) install --quiet --no-deps -r requirements.lock
	$(PIP) install --quiet --no-deps --editable .
	touch $@

$(VENV)/.test: requirements-test.lock requirements-beam.lock $(VENV)/.run
	$(PIP) install --quiet -r requirements.lock -r requirements-test.lock
	$(PIP) install --quiet --no-deps -r requirements-beam.lock
	touch $@

lock: | $(BIN)/python  ## resolve the newest versions that setup.py allows and pin them
	$(PIP) install --quiet uv
	$(BIN)/uv pip compile -q setup.py --python-version 3.11 --universal --no-header --no-annotate -o requirements.lock
	UV_FIND_LINKS="$$PIP_FIND_LINKS" $(BIN)/uv pip compile -q setup.py --extra dev -c requirements.lock --python-version 3.11 \
	  --no-header --no-annotate -o $(VENV)/all.txt
	sed -e 's/+cpu$$//' -e '/^nvidia-/d' -e '/^triton==/d' -e '/^cuda-/d' $(VENV)/all.txt \
	  | awk -F'==' 'NR==FNR {run[$$1]; next} !($$1 in run)' requirements.lock - > requirements-test.lock

test-lowest:  ## run the fast tests on the lowest versions that setup.py allows
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet uv
	.venv-lowest/bin/uv pip compile -q setup.py --extra test --python-version 3.11 --resolution lowest-direct -o .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip install --quiet -r .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip install --quiet --no-deps --editable .
	.venv-lowest/bin/python -m pytest -n $(WORKERS) -m "not slow" $(ARGS)

clean:  ## remove environments and build products, keep runs
	rm -rf $(VENV) .venv-lowest build dist *.egg-info
