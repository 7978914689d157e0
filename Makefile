# Every target makes what it needs: a machine with python3 (3.11 or newer) is enough.
.PHONY: test fuzz lint format types docs docs-serve demo demo-docker bench clean

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
MAN ?= $(HOME)/.local/share/man
INSTALLED := .venv/.installed
# Python compiles a module once, not for each of the thousands of processes that the tests start.
unexport PYTHONDONTWRITEBYTECODE
CODE := core cli templates tests benchmarks docs/site_hooks.py

$(INSTALLED): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; say make PYTHON=/path/to/python3"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

test: $(INSTALLED)  ## all tests, in parallel
	$(BIN)/pytest --numprocesses auto

fuzz: $(INSTALLED)  ## requests of all kinds to every route, for RUNYARD_FUZZ_SECONDS (300); DATABASE=postgres
	$(BIN)/pytest --numprocesses 0 -m slow tests/server/test_fuzz.py -k $(or $(DATABASE),sqlite)

lint: $(INSTALLED)  ## style and mistakes, and that rooms import one way
	$(BIN)/ruff check $(wildcard $(CODE))
	$(BIN)/lint-imports --no-logo

format: $(INSTALLED)  ## is it formatted? (ruff format to do it)
	$(BIN)/ruff format --check $(wildcard $(CODE))

types: $(INSTALLED)  ## static types
	$(BIN)/mypy core/runyard cli/runyard_cli templates/runyard_templates

docs: $(INSTALLED)  ## the documentation as a site in build/site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "Built build/site/index.html; to read it with search: make docs-serve"

docs-serve: $(INSTALLED)  ## the site on http://127.0.0.1:8000, built again after each change
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

demo: $(INSTALLED)  ## the main job, end to end, in a folder that is thrown away
	PATH="$(CURDIR)/$(BIN):$$PATH" bash tests/end_to_end/demo.sh

demo-docker: $(INSTALLED)  ## the docker pool of the tutorial from nothing, on the Docker Engine of this machine
	PATH="$(CURDIR)/$(BIN):$$PATH" bash tests/end_to_end/demo_docker.sh

man: $(INSTALLED)  ## man pages of all commands in MAN; read them with: man -M MAN runyard
	$(BIN)/python -m runyard_cli.reference --man $(MAN)/man1

bench: $(INSTALLED)  ## figures beside their limits; PREFECT=/path/to/python adds Prefect's; BASE=COMMIT compares
	$(BIN)/python benchmarks $(if $(PREFECT),--prefect $(PREFECT)) $(if $(BASE),--base $(BASE))

clean:
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis
