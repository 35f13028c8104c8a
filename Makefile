# make demo   see the monitor at work; needs only Python 3.10 to 3.12 and make
# make test   run all tests; starts a real Kafka if Java and Maven are there
# make check  lint, types and import boundaries
# make clean  remove what the others made
#
# Options for the program behind a target go in ARGS:  make demo ARGS=--json   make test ARGS="-k windows"
# Another Python than the first suitable one on the PATH:  make test PYTHON=/opt/python3.10/bin/python3

ARGS ?=
BIN := .venv/bin
# Tests mostly wait for servers, so that two at a time take little more than half as long. A Redis that is not
# their own is one database for all of them.
PROCESSES := $(if $(REDIS_URL),0,2)
COMPILED := streams/codecs/json/scanner streams/codecs/oip/scanner streams/record_parts
INSTALLED_FROM := pyproject.toml $(COMPILED:=.pyx) streams/codecs/json/scanner.pxd
PYTHON_NAMES := python3.12 python3.11 python3.10 python3 python

.PHONY: demo test check clean
.DELETE_ON_ERROR:

demo: .venv/installed-demo
	@$(BIN)/drift-monitor demo $(ARGS)

test: .venv/installed-dev
	@$(BIN)/pytest -n $(PROCESSES) --dist loadfile $(ARGS)

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist *.egg-info
	rm -f $(COMPILED:=.cpp) $(COMPILED:=.*.so)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A name on the PATH may stand for nothing (a version manager's shim) or for a Python without venv, so each
# candidate is run and asked.
.venv/bin/python:
	@for python in $(or $(PYTHON),$(PYTHON_NAMES)); do \
	  "$$python" -c 'import sys, ensurepip, venv; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' \
	    2>/dev/null || continue; \
	  echo "Making .venv with $$("$$python" --version) ($$(command -v "$$python"))."; \
	  "$$python" -m venv .venv && exit 0; \
	  rm -rf .venv; exit 1; \
	done; \
	echo "No Python 3.10, 3.11 or 3.12 with the venv module was found as: $(or $(PYTHON),$(PYTHON_NAMES))." >&2; \
	echo "Install one (on Debian and Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3." >&2; \
	exit 1

# A stamp says for which pyproject.toml and which compiled code the packages were installed. What dev installs
# contains what demo needs, so it leaves both stamps.
.venv/installed-demo: $(INSTALLED_FROM) | .venv/bin/python
	@echo "Installing drift-monitor; TensorFlow is large, so the first time takes a minute or more."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

.venv/installed-dev: $(INSTALLED_FROM) | .venv/bin/python
	@echo "Installing drift-monitor and what its tests need; the first time takes a minute or more."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch .venv/installed-demo $@
