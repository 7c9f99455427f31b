# Everything a newcomer needs: `make demo` shows what the project does, `make test` checks that it works.
PYTHON ?= python3
VENV ?= .venv
# Build of torch: empty = that of PyPI, which brings CUDA on Linux; cpu = without CUDA, from the index of pytorch.org.
TORCH ?=
TORCH_INDEX ?= https://download.pytorch.org/whl/$(TORCH)
READY = $(VENV)/.ready$(addprefix -,$(TORCH))

# uv is used where it is installed: it does the same in less time.
ifneq ($(shell command -v uv 2>/dev/null),)
CREATE = uv venv -q --seed --allow-existing --python "$$(command -v $(PYTHON))" $(VENV)
INSTALL = uv pip install -q --python $(VENV)/bin/python
else
CREATE = $(PYTHON) -m venv $(VENV) && $(VENV)/bin/python -m pip install -q --upgrade pip
INSTALL = $(VENV)/bin/python -m pip install -q
endif

.PHONY: demo test test-fast faults lint docs clean

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

# The documentation, in site/. To see it while you write: .venv/bin/mkdocs serve
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

$(READY): setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	@command -v c++ >/dev/null || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 13))' || \
		{ echo "a C++ compiler is needed to build pydensecrf2 (Debian: apt install g++)"; exit 1; }
	$(CREATE)
ifneq ($(TORCH),)
	@echo "torch for $(TORCH) from $(TORCH_INDEX)"
	@$(INSTALL) --index-url $(TORCH_INDEX) torch torchvision >$(VENV)/torch.log 2>&1 || \
		{ echo "torch for $(TORCH) cannot be installed from $(TORCH_INDEX) (see $(VENV)/torch.log); make without TORCH=$(TORCH) takes the build of PyPI"; exit 1; }
endif
	$(INSTALL) -e ".[test,docs]"
ifeq ($(TORCH),cpu)
	@$(VENV)/bin/python -c 'import sys, torch; torch.version.cuda and sys.exit("$(VENV) has torch " + torch.__version__ + ", which brings CUDA; run make clean and this command again (if it stays, another index in the settings of pip or uv offers it)")'
endif
	touch $@

clean:
	rm -rf $(VENV) *.egg-info site .pytest_cache .mypy_cache .ruff_cache
