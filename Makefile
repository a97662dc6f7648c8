PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo check format test test-long fuzz bench lock clean

setup: $(READY)

# Needs only Python 3.11 or later: the lock names every package with its exact version.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Peakproof needs Python 3.11 or later; name one with: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	$(BIN)/peakproof run peak-season

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: setup
	$(BIN)/python -m pytest -m "not long"

test-long: setup
	$(BIN)/python -m pytest -m long

# Per change; every night with CASES=100000.
CASES ?= 1500
fuzz: setup
	$(BIN)/peakproof contracts fuzz --all --cases $(CASES)

bench: setup
	$(BIN)/python -m tests.benchmarks

# Takes the newest versions that pyproject.toml allows; without addresses, so that it installs from any index.
lock: setup
	$(BIN)/pip-compile --quiet --extra contracts --extra live --extra dev --strip-extras --allow-unsafe \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --no-annotate --upgrade --output-file requirements.lock pyproject.toml
	sed -i '/^#/d; /^$$/d' requirements.lock

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache reports/runs
