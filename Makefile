# The five things to do with this project. Each makes what it needs first.
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
COMPILED := $(VENV)/.compiled
SOURCES := $(shell find src -name '*.py')
ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo -E)

.PHONY: help up down test check bench

help:
	@echo "make up     start a cluster on this machine, with a demo"
	@echo "make down   take it away again, without a trace"
	@echo "make test   all tests (as root: also those with real containers)"
	@echo "make check  ruff, mypy, import-linter"
	@echo "make bench  the benchmarks"

$(READY): requirements.lock pyproject.toml
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Kubetree needs Python 3.11 or newer"; exit 1; }
	@python3 -c 'import ensurepip, venv' 2>/dev/null || { command -v apt-get >/dev/null && $(ROOT) apt-get update -qq && $(ROOT) apt-get install -y -qq python3-venv; } || { echo "install Python's venv module"; exit 1; }
	python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Importing sources takes three times as long as importing bytecode, and a root's environment may keep Python from writing it itself.
$(COMPILED): $(READY) $(SOURCES)
	@$(BIN)/python -m compileall -q -j 0 src/kubetree
	@touch $@

up: $(COMPILED)
	@$(ROOT) $(BIN)/kubetree up

down: $(READY)
	@$(ROOT) $(BIN)/kubetree down

# The tests on nodes wait more than they compute, so they run beside the others; what they said comes last. A shell has what runs beside it
# ignore an interrupt: these must not, since they have containers to end.
test: $(COMPILED)
	@$(ROOT) $(BIN)/python -m kubetree.testing.prerequisites
	@$(ROOT) env --default-signal=INT $(BIN)/pytest tests/node > $(VENV)/node-tests.log 2>&1 & on_nodes=$$!; \
	$(ROOT) $(BIN)/pytest tests/unit tests/behaviour; others=$$?; \
	wait $$on_nodes; on_nodes=$$?; cat $(VENV)/node-tests.log; exit $$((others | on_nodes))

check: $(READY)
	$(BIN)/pip check --disable-pip-version-check
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(COMPILED)
	@for script in benchmarks/bench_*.py; do echo "== $$script"; $(ROOT) env PYTHONPATH=src:tests $(BIN)/python $$script || exit 1; done
