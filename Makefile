# Two commands do everything: `make demo` and `make test`. Both set up .venv once.
PYTHON ?= python3
MINUTES ?= 5
BIN := .venv/bin

# Bytecode is kept: without it each process of the tests compiles all that it imports again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint install install-dev bench peers clean

demo: install
	$(BIN)/allometry compare --minutes $(MINUTES)

test: install-dev
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -q

lint: install-dev
	$(BIN)/ruff check src tests benchmarks examples studies
	$(BIN)/ruff format --check src tests benchmarks examples studies

# The figures of benchmarks/README.md, one after the other, on an otherwise idle machine.
bench: install peers
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/coverage.py
	$(BIN)/python benchmarks/fit_coverage.py
	$(BIN)/python benchmarks/calibrate.py
	$(BIN)/python benchmarks/kill.py
	$(BIN)/python benchmarks/overhead.py
	.venv-peers/bin/python benchmarks/transformer_speed.py
	.venv-peers/bin/python benchmarks/transformer_speed.py --compile
	$(BIN)/python benchmarks/batch_size.py
	$(BIN)/python benchmarks/demo.py

# The same with transformers and x-transformers, whose pins may clash with ours: an environment of its own.
peers: .venv-peers/.installed

.venv-peers/.installed: pyproject.toml constraints.txt benchmarks/peers.txt
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --constraint constraints.txt --requirement benchmarks/peers.txt --editable .
	touch $@

install: .venv/.installed
install-dev: .venv/.installed-dev

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .venv-peers .pytest_cache .ruff_cache build dist
