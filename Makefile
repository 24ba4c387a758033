# `make demo`: see it work. `make test`: the tests. Both set up .venv by themselves; Debian needs python3-venv and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ARGS ?=
PARALLEL ?= -n 3

.PHONY: help demo test lint docs pictures bench bench-peers venv clean
.NOTPARALLEL:

help:
	@echo "make demo     photographs, mails and a killed worker, with real processes (one minute)"
	@echo "make test     the tests; make test ARGS='tests/worker -k grace' runs some"
	@echo "make lint     ruff and mypy"
	@echo "make docs     the documentation, in site/"
	@echo "make pictures  the pictures of terminals in the documentation; it needs tmux (apt-get install tmux)"
	@echo "make bench    the benchmarks; make bench ARGS='--quick' is over in minutes, ARGS='drain latency' runs two groups"
	@echo "make bench-peers   the same tasks in other queues"
	@echo "make venv     only the virtualenv for all of these, $(VENV)"
	@echo "make clean    away with the virtualenv and what was built"

demo: $(VENV)/.demo
	$(BIN)/python examples/photos/demo.py

test: $(VENV)/.test
	@.ci/debian-packages nginx
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/.test
	$(BIN)/mkdocs build --strict

pictures: $(VENV)/.test
	$(BIN)/python docs/pictures/make.py

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(VENV)/.bench-peers
	$(BIN)/python -m benchmarks peers $(ARGS)

venv: $(VENV)/.test

# The stamps make it happen once, and again when pyproject.toml changed.
$(VENV)/.demo: EXTRAS := demo
$(VENV)/.test: EXTRAS := test,lint,docs
$(VENV)/.bench: EXTRAS := bench
$(VENV)/.bench-peers: EXTRAS := bench-peers
$(VENV)/.demo $(VENV)/.test $(VENV)/.bench $(VENV)/.bench-peers: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "aspool needs Python 3.11 or later: make PYTHON=python3.12 …")'
	@# Without pip it was cut short, or python3-venv was missing.
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --quiet --editable '.[$(EXTRAS)]'
	@touch $@

clean:
	rm -rf $(VENV) build dist site demo-output
