# GridFleet: every job of the project. CI calls these same targets.
# `make` alone explains them.

PYTHON   ?= python3
VENV     := .venv
BIN      := $(VENV)/bin
SCENARIO ?= normal
ARGS     ?=
UPGRADE  ?=
WORKERS  ?= auto
UV       := uv==0.13.9
COSMIC_RAY := cosmic-ray==8.7.0

PIP      := $(BIN)/python -m pip --quiet --disable-pip-version-check
LOCK     := pip compile pyproject.toml --universal --python-version 3.11 --fork-strategy fewest \
            --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --quiet \
            --custom-compile-command "make lock" $(UPGRADE)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-dev run test test-all check format mutants bench page dashboards influxdb observe-e2e qemu lock clean distclean

help: ## Show this help
	@echo 'GridFleet: a power grid made of devices that bargain.'
	@echo
	@echo 'Start here:'
	@echo '  make run                   a fleet negotiates 30 simulated hours; the report lands in out/'
	@echo '  make run SCENARIO=storm    another scenario, or your own file: SCENARIO=path/to/mine.toml'
	@echo '  make test ARGS="-k market" only some of the tests'
	@echo
	@echo 'Targets:'
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'
	@echo
	@echo 'The first target sets up $(VENV) by itself (Python 3.11 or later, no root).'
	@echo 'Another interpreter: make run PYTHON=python3.12'
	@echo 'After that, $(BIN)/gridfleet --help shows everything else.'

# --- jobs ---------------------------------------------------------------------------------------

run: setup ## Run a scenario over a real broker and write its report
	$(BIN)/gridfleet run $(SCENARIO) $(ARGS)

# One process for each core (WORKERS=0 for one process in all); a group of tests that share something stays in one process.
TEST     := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup

test: setup-dev ## Run the tests but for slow trials; the summary reports what was left out
	$(TEST) -m "not slow" $(ARGS)

test-all: setup-dev ## Run all tests, as CI does: also faults, containers and other slow trials
	$(TEST) $(ARGS)

check: setup-dev ## Lint, formatting and types (changes nothing)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup-dev ## Put the code in the house format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

mutants: setup-dev ## Try small faults in the files that must not be wrong: do the tests find them? (20 minutes)
	@test -x .venv-mutants/bin/cosmic-ray || { $(PYTHON) -m venv --clear .venv-mutants && .venv-mutants/bin/python -m pip install --quiet $(COSMIC_RAY); }
	$(BIN)/python tools/mutants/run.py --cosmic-ray $(CURDIR)/.venv-mutants/bin/cosmic-ray $(ARGS)

bench: setup-dev ## Measure what docs/benchmarks.md states
	$(BIN)/python -m benchmarks $(ARGS)

page: setup-dev ## Build the live console's page again (needs Node.js 20 and npm)
	$(BIN)/python -m gridfleet.dashboards.console.page_messages >console/src/model/messages.ts
	npm --prefix console ci --ignore-scripts
	npm --prefix console run build

dashboards: setup-dev ## Write Grafana's pages, alert rules and data source anew
	$(BIN)/python -m gridfleet.dashboards.grafana

influxdb: ## Build InfluxDB 2.7 for the tests that need it, once (needs Go and Rust, 10 minutes)
	tools/build-influxdb.sh

observe-e2e: setup ## Start the containers, run a scenario, have Grafana answer every panel (needs Docker)
	tools/observe-e2e.sh $(SCENARIO)

qemu: setup-dev ## Boot a flashed system in qemu until it bids (root; see docs/flashing.md)
	$(BIN)/python tools/qemu/boot.py

# --- set-up -------------------------------------------------------------------------------------

setup: $(VENV)/.stamp-run ## Set up what `make run` needs
setup-dev: $(VENV)/.stamp-dev ## Set up what tests and tools need as well

# The environment knows its folder by full path: build it anew when the folder has moved or Python is gone.
ifneq ($(shell test -x $(BIN)/python && cat $(VENV)/.stamp-venv),$(CURDIR))
.PHONY: $(VENV)/.stamp-venv
endif

$(VENV)/.stamp-venv:
	@command -v $(PYTHON) >/dev/null || { \
	  echo 'GridFleet needs Python 3.11 or later, and there is no $(PYTHON) here.' >&2; \
	  echo 'Install it (sudo apt-get install python3 python3-venv) or name yours: make PYTHON=/path/to/python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "GridFleet needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo 'Name a newer one: make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo 'This Python cannot make virtual environments.' >&2; \
	  echo 'Provide that with: sudo apt-get install python3-venv' >&2; exit 1; }
	@echo 'Setting up $(VENV) ...'
	@$(PYTHON) -m venv --clear $(VENV)
	@printf '%s' '$(CURDIR)' > $@

$(VENV)/.stamp-run: $(VENV)/.stamp-venv requirements.lock pyproject.toml
	@echo 'Installing what a run needs (requirements.lock) ...'
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# The development lock holds all of requirements.lock at the same versions, so it makes both stamps.
$(VENV)/.stamp-dev: $(VENV)/.stamp-venv requirements-dev.lock requirements.lock pyproject.toml
	@echo 'Installing what tests and tools need (requirements-dev.lock) ...'
	@$(PIP) install --require-hashes --requirement requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.stamp-run $@

lock: ## Pin the dependencies of pyproject.toml anew (UPGRADE=--upgrade for newer ones)
	@test -x .venv-lock/bin/uv || { $(PYTHON) -m venv --clear .venv-lock && .venv-lock/bin/python -m pip install --quiet $(UV); }
	.venv-lock/bin/uv $(LOCK) --extra run --extra observe --extra grafana --extra pi --extra test --extra dev --extra install \
	  --output-file requirements-dev.lock
	.venv-lock/bin/uv $(LOCK) --extra run --extra observe --extra grafana --extra install \
	  --constraint requirements-dev.lock --output-file requirements.lock
	.venv-lock/bin/uv $(LOCK) --extra observe --extra pi --extra install \
	  --constraint requirements-dev.lock --output-file requirements-image.lock
	.venv-lock/bin/uv $(LOCK) --extra pi --extra install \
	  --constraint requirements-dev.lock --output-file requirements-device.lock

# --- tidying ------------------------------------------------------------------------------------

clean: ## Remove results and caches
	rm -rf out build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
	find broker devices dashboards provisioning src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## As clean, and the set-up as well
	rm -rf $(VENV) .venv-lock .venv-mutants
