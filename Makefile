# GridFleet: all tasks of the project. CI calls the same targets.
# `make` lists them.

PYTHON   ?= python3
VENV     := .venv
BIN      := $(VENV)/bin
SCENARIO ?= normal
ARGS     ?=
UPGRADE  ?=
ENGINE   ?= docker
MINUTES  ?= 10
SEED     ?=
COUNT    ?= 40
WORKERS  ?= $(shell echo $$((2 * $$(nproc))))

PIP      := $(BIN)/python -m pip --quiet --disable-pip-version-check
LOCK     := pip compile --universal --python-version 3.11 --fork-strategy fewest \
            --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --quiet \
            --custom-compile-command "make lock" $(UPGRADE)
# Tools that are no dependencies: tools/pip/NAME.in names one, NAME.lock pins it and what it needs by hash.
HASHED   := -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all:

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-dev run test test-all check format mutants fuzz resilience bench dist image page dashboards reference notebook checkers influxdb observe-e2e brokers qemu lock clean distclean

help: ## Show this help
	@echo 'GridFleet: a power grid of bargaining devices.'
	@echo
	@echo 'Start here:'
	@echo '  make run                   run 57 devices for 30 simulated hours, with a page to watch; the report is written to out/'
	@echo '  make run SCENARIO=storm    another scenario, or your own file: SCENARIO=path/to/mine.toml'
	@echo '  make test ARGS="tests/devices/test_market.py"   only some of the tests'
	@echo
	@echo 'Targets:'
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'
	@echo
	@echo 'The first run of a target sets up $(VENV) (Python 3.11 or later, no root).'
	@echo 'Another interpreter: make run PYTHON=python3.12'
	@echo 'Then $(BIN)/gridfleet --help lists all commands.'

# --- tasks --------------------------------------------------------------------------------------

run: setup ## Run a scenario over a real broker and write its report
	$(BIN)/gridfleet run $(SCENARIO) $(ARGS)

# Two processes for each core, because many tests wait (WORKERS=0: one in all). A file stays in one process, which makes its costly fixtures once.
TEST     := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

test: setup-dev ## Run the tests except the slow ones; the summary reports what was left out
	$(TEST) -m "not slow" $(ARGS)

test-all: setup-dev ## Run all tests, as CI does, including slow ones such as faults and containers
	$(TEST) $(ARGS)

check: setup-dev ## Lint, formatting and types (changes nothing)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup-dev ## Format the code and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

fuzz: setup-dev ## Mutated inputs for every reader, and random command lines: MINUTES=10, SEED for a repetition
	$(BIN)/python -m tests.fuzz $(MINUTES) $(SEED)

resilience: setup-dev ## Signals at random instants of commands, and full disks at random points: COUNT=40 of each
	$(BIN)/python -m tests.fuzz.resilience $(COUNT)

mutants: setup-dev ## Try small faults in the files that must not be wrong: do the tests find them? (20 minutes)
	@test -x .venv-mutants/bin/cosmic-ray || { $(PYTHON) -m venv --clear .venv-mutants && \
	  .venv-mutants/bin/python $(HASHED) --requirement tools/pip/build.lock && \
	  .venv-mutants/bin/python $(HASHED) --no-build-isolation --no-binary yattag --requirement tools/pip/cosmic-ray.lock; }
	$(BIN)/python tools/mutants/run.py --cosmic-ray $(CURDIR)/.venv-mutants/bin/cosmic-ray $(ARGS)

bench: setup-dev ## Run the benchmarks of docs/benchmarks.md
	$(BIN)/python -m benchmarks $(ARGS)

dist: setup ## Build the wheel and the source distribution into dist/, reproducibly, without network
	$(BIN)/python -m gridfleet.provisioning.deploy.distribution dist

image: dist ## Build the container image from the wheel (ENGINE=podman where there is no Docker)
	$(ENGINE) build --tag gridfleet:$$($(BIN)/gridfleet --version | cut -d' ' -f2) .

page: setup-dev ## Rebuild the live console's page (needs Node.js 20 and npm)
	$(BIN)/python -m gridfleet.dashboards.console.page_messages >console/src/model/messages.ts
	npm --prefix console ci --ignore-scripts
	npm --prefix console run build

dashboards: setup-dev ## Regenerate Grafana's dashboards, alert rules and data source
	$(BIN)/python -m gridfleet.dashboards.grafana

reference: setup-dev ## Write the generated parts of docs/ and the downsampling tasks again
	$(BIN)/python -m gridfleet.provisioning.documents

notebook: setup-dev ## Execute the notebook of examples/notebook again and write its outputs (a minute)
	$(BIN)/python tools/execute_notebook.py examples/notebook/wind-and-prices.ipynb

checkers: ## Install the checkers of other projects that some tests need (npm, Go)
	tools/install-checkers $(PYTHON)

influxdb: ## Build InfluxDB 2.7 for the tests that need it, once (needs Go and Rust, 10 minutes)
	tools/build-influxdb.sh

observe-e2e: setup ## Start the containers, run a scenario and query every Grafana panel (needs Docker)
	tools/observe-e2e.sh $(SCENARIO)

brokers: setup-dev ## Try the brokers that this machine has or can build (npm, Go, Maven; see docs/how-to/site/broker.md)
	$(BIN)/python tools/brokers/try.py

qemu: setup-dev ## Boot a flashed system in qemu until it publishes a bid (needs root; see docs/explanation/trials.md)
	$(BIN)/python tools/qemu/boot.py

# --- setup --------------------------------------------------------------------------------------

setup: $(VENV)/.stamp-run ## Set up what `make run` needs
	@$(if $(filter setup,$(MAKECMDGOALS)),echo 'Done: $(BIN)/gridfleet is ready; try $(BIN)/gridfleet run normal',:)
setup-dev: $(VENV)/.stamp-dev ## Set up what tests and tools need
	@$(if $(filter setup-dev,$(MAKECMDGOALS)),echo 'Done: $(BIN)/gridfleet is ready; try make test',:)

# The environment contains its absolute path: rebuild it when the folder has moved or its Python is missing.
ifneq ($(shell test -x $(BIN)/python && cat $(VENV)/.stamp-venv),$(CURDIR))
.PHONY: $(VENV)/.stamp-venv
endif

$(VENV)/.stamp-venv:
	@command -v $(PYTHON) >/dev/null || { \
	  echo 'GridFleet needs Python 3.11 or later, and there is no $(PYTHON) here.' >&2; \
	  echo 'Install it (sudo apt-get install python3 python3-venv) or name another: make PYTHON=/path/to/python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "GridFleet needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo 'Name a newer one: make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo 'This Python cannot create virtual environments.' >&2; \
	  echo 'Install the missing package: sudo apt-get install python3-venv' >&2; exit 1; }
	@echo 'Setting up $(VENV) ...'
	@$(PYTHON) -m venv --clear $(VENV)
	@printf '%s' '$(CURDIR)' > $@

$(VENV)/.stamp-run: $(VENV)/.stamp-venv requirements.lock pyproject.toml
	@echo 'Installing what a run needs (requirements.lock) ...'
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# The development lock contains requirements.lock at the same versions, so this sets both stamps.
$(VENV)/.stamp-dev: $(VENV)/.stamp-venv requirements-dev.lock requirements.lock pyproject.toml
	@echo 'Installing what tests and tools need (requirements-dev.lock) ...'
	@$(PIP) install --require-hashes --requirement requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.stamp-run $@

lock: ## Pin the dependencies of pyproject.toml and the tools (UPGRADE=--upgrade for newer versions; the checkers need npm)
	@test -x .venv-lock/bin/uv || { $(PYTHON) -m venv --clear .venv-lock && .venv-lock/bin/python $(HASHED) --requirement tools/pip/uv.lock; }
	.venv-lock/bin/uv $(LOCK) pyproject.toml --extra run --extra observe --extra grafana --extra pi --extra test --extra dev --extra install \
	  --output-file requirements-dev.lock
	.venv-lock/bin/uv $(LOCK) pyproject.toml --extra run --extra observe --extra grafana --extra pi --extra install \
	  --constraint requirements-dev.lock --output-file requirements.lock
	.venv-lock/bin/uv $(LOCK) pyproject.toml --extra image --extra observe --extra pi \
	  --constraint requirements-dev.lock --output-file requirements-image.lock
	.venv-lock/bin/uv $(LOCK) pyproject.toml --extra pi --extra install \
	  --constraint requirements-dev.lock --output-file requirements-device.lock
	for tool in uv build cosmic-ray kubernetes-validate; do \
	  .venv-lock/bin/uv $(LOCK) tools/pip/$$tool.in --output-file tools/pip/$$tool.lock || exit 1; done
	for checker in tools/checkers/*/; do \
	  npm install --prefix "$$checker" --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved \
	    --no-audit --no-fund || exit 1; done

# --- cleaning -----------------------------------------------------------------------------------

clean: ## Remove results and caches
	rm -rf out build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
	find broker devices dashboards provisioning src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Remove results, caches and the virtual environments
	rm -rf $(VENV) .venv-lock .venv-mutants
