# `make demo` and `make test` need python3 (3.11 or newer, with venv) and nothing else.
# ARGS goes to the program that a target runs: make demo ARGS='--loss 0.4', make test ARGS=-x.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ARGS ?=
# `make test` runs six-objects: six packets, with the virtual disks of Python objects, encrypted.
VARIANTS ?= four-objects six-sqlite four-sqlite-plain
# One more than cores: some tests wait for processes and clocks.
WORKERS ?= $(shell echo $$(($$(nproc) + 1)))
CORES := wire crypto hop im node
# The virtual world, its oracle and its simulator.
WORLD := testing sim regress
APART := $(WORLD) kills syscalls
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test world-tests kill-points syscall-points power calibrate variants model kills syscalls attacks mutants check style types imports protocol coverage bench clean

help:
	@echo 'make demo      two clients, one server, a bad network, and the truth'
	@echo 'make test      all tests but the next ones; those of the cores first, with their branch coverage (must be 100 %)'
	@echo 'make world-tests  the tests of the virtual world: network, disks, oracle, simulator, tapes of bugs found'
	@echo 'make kill-points  the tests that kill real processes at every effect boundary'
	@echo 'make syscall-points  the tests that kill and fail real processes at single system calls; they want strace'
	@echo 'make model     20 000 random schedules of the abstract model, and every mutant of its rules'
	@echo 'make kills     SIGKILL at every effect boundary: a line for each; ARGS=given_up-server, --json'
	@echo 'make syscalls  every system call of one exchange is the last one, or fails: a line for each; ARGS=server, --json'
	@echo 'make power     2000 losses of power of the real store; ARGS="--synchronous normal" is the control, --json'
	@echo 'make calibrate  plant known bugs, let the simulator find and shrink each; ARGS="NAME --jobs 1", --json'
	@echo 'make attacks   a million datagrams of each kind of stranger; ARGS="--case replay --count 20000", --json'
	@echo 'make variants  the tests of the semantics in four packets, on SQLite, and both in plaintext; VARIANTS=six-sqlite'
	@echo 'make mutants   plant every known bug in turn, and name the test that notices it'
	@echo 'make check     lint, formatting, types and import contracts'
	@echo 'make style     apply the fixes and the formatting that ruff can do by itself'
	@echo 'make types     mypy alone'
	@echo 'make imports   import contracts alone'
	@echo 'make protocol  print the tables of PROTOCOL.md anew, and number its new clauses'
	@echo 'make coverage  all tests, with the coverage of the whole library, as HTML too'
	@echo 'make bench     cost per message of codecs, hop and the whole exchange, in memory'
	@echo 'make clean     remove whatever was made, .venv included'

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "udpim needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; name another one: make PYTHON=python3.x")'
	@echo 'setting up $(VENV) ...'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(INSTALLED)
	@$(BIN)/udpim demo $(ARGS)

test: $(INSTALLED)
	$(PYTEST) $(CORES:%=--cov=udpim.%) --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=100 $(CORES:%=tests/%) $(ARGS)
	$(PYTEST) $(APART:%=--ignore=tests/%) $(CORES:%=--ignore=tests/%) tests $(ARGS)

world-tests: $(INSTALLED)
	$(PYTEST) $(WORLD:%=tests/%) $(ARGS)

kill-points: $(INSTALLED)
	$(PYTEST) tests/kills $(ARGS)

syscall-points: $(INSTALLED)
	$(BIN)/python -m pytest tests/syscalls $(ARGS)

kills: $(INSTALLED)
	@$(BIN)/python -m tests.kills.campaign $(ARGS)

syscalls: $(INSTALLED)
	@$(BIN)/python -m tests.syscalls.campaign $(ARGS)

power: $(INSTALLED)
	@$(BIN)/python -m udpim.testing.power $(ARGS)

calibrate: $(INSTALLED)
	@$(BIN)/python -m udpim sim calibrate $(ARGS)

attacks: $(INSTALLED)
	@$(BIN)/python -m tests.security.campaign $(ARGS)

model: $(INSTALLED)
	@$(BIN)/python -m tests.model.campaign $(ARGS)

variants: $(VARIANTS:%=variant-%)

variant-%: $(INSTALLED)
	UDPIM_EXCHANGE=$(word 1,$(subst -, ,$*)) UDPIM_STORE=$(word 2,$(subst -, ,$*)) UDPIM_SECURITY=$(word 3,$(subst -, ,$*)) $(BIN)/python -m pytest -n auto --dist loadfile tests/semantics $(ARGS)

mutants: $(INSTALLED)
	@$(BIN)/python -m tests.semantics.mutants $(ARGS)

check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

style: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(INSTALLED)
	$(BIN)/mypy

imports: $(INSTALLED)
	$(BIN)/lint-imports --no-logo

protocol: $(INSTALLED)
	@$(BIN)/python -m udpim_tools.protocol $(ARGS)

coverage: $(INSTALLED)
	$(BIN)/python -m pytest --cov=udpim --cov-branch --cov-report=html --cov-report=term:skip-covered --cov-fail-under=90 $(ARGS)
	@echo 'htmlcov/index.html shows it line by line'

bench: $(INSTALLED)
	@$(BIN)/udpim_bench micro $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find udpim bench tools tests -name __pycache__ -type d -prune -exec rm -rf {} +
