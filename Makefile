# `make demo` and `make test` need nothing but Python >= 3.11 with venv; both set up .venv first.
# On Linux, PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make test spares 2 GB of CUDA.
PYTHON ?= python3
DEMO ?= demo
BIN := .venv/bin

.PHONY: demo test lint clean

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/test-ready: .venv/ready .ci/constraints.txt
	$(BIN)/python -m pip install --quiet --editable '.[test]' --constraint .ci/constraints.txt
	touch $@

demo: .venv/ready  ## write the synthetic study, analyse it, say where the report is
	$(BIN)/bidsface-demo $(DEMO)

test: .venv/test-ready  ## run the test suite
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: .venv/test-ready  ## run every static check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" lint-imports

clean:
	rm -rf .venv demo
