# Two doors: `make demo` and `make test`. They need Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One more than there are processors: many tests wait, for a browser, a socket or a timer.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

# Where programs may not keep what they compiled, each of the tests' hundreds compiles all of ours anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check bench chaos format translations screenshots clean

demo: $(VENV)/installed
	@$(BIN)/mailer demo

test: $(VENV)/installed-dev check
	$(BIN)/pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term

check: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed-dev
	$(BIN)/python -m bench

# Hundreds of senders killed, databases stopped, disks filled; about a quarter of an hour.
chaos: $(VENV)/installed-dev
	$(BIN)/python -m tests.chaos

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Collect the texts of pages and letters into every catalogue; a translator fills in what is new.
translations: $(VENV)/installed-dev
	$(BIN)/python -m tests.catalogues

screenshots: $(VENV)/installed-dev
	$(BIN)/python -m tests.screenshots docs/images

clean:
	rm -rf $(VENV) dist .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Installed anew only when pyproject.toml has changed.
$(VENV)/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV), about a minute"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/installed-dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV), about two minutes"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/installed
