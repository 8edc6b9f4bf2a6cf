# Two commands: `make demo` and `make test`. Each makes its own .venv first, from nothing.

PYTHON ?= python3
TORCH ?= torch==2.13.0
BIN := .venv/bin

# Threads that wait leave the processor to others.
export OMP_WAIT_POLICY ?= passive

.PHONY: demo test

demo: .venv/ready
	$(BIN)/annatto weights get minilm smollm2
	$(BIN)/annatto demo

test: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/annatto weights get minilm smollm2
	$(BIN)/pytest
	$(BIN)/pytest -m slow tests/unit/train
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

.venv/ready: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable ".[dev,train,serve,mteb,ray,milvus]"
	touch $@
