# Everything a newcomer needs: `make demo` shows what the project does, `make test` checks that it works.
PYTHON ?= python3
VENV ?= .venv
READY = $(VENV)/.ready

.PHONY: demo test test-fast faults lint clean

demo: $(READY)
	$(VENV)/bin/luigi --module pipeline RunAll --dataset demo

test: $(READY)
	$(VENV)/bin/python -m pytest

# Without the tests that start the real command line in processes.
test-fast: $(READY)
	$(VENV)/bin/python -m pytest -m "not pipeline"

# Thousands of faults, about half an hour; `make test` tries a few of each kind (docs/reliability.md).
faults: $(READY)
	$(VENV)/bin/python -m tests.faults --seed 0

lint: $(READY)
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

$(READY): setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	@command -v c++ >/dev/null || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 13))' || \
		{ echo "a C++ compiler is needed to build pydensecrf2 (Debian: apt install g++)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q --upgrade pip
	$(VENV)/bin/python -m pip install -q -e ".[test]"
	touch $@

clean:
	rm -rf $(VENV) *.egg-info .pytest_cache .mypy_cache .ruff_cache
