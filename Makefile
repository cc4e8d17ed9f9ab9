# On a machine with Python 3.11 or newer and make: `make demo`. Java 17+ (and Maven, once) give it a real Kafka.

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell \
	$(name) -c 'import sys; print(sys.executable) if sys.version_info >= (3, 11) else None' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test check quick wheel lock pictures

help:  ## show these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY)  ## run everything on this machine, with a simulated service desk
	$(BIN)/slastream demo

test: check quick  ## all checks and all tests (without Java 17+ those on a real broker are skipped, unless CI=true)
	$(BIN)/python -m pytest -rs -m "broker or compiler"

quick: $(READY)  ## the tests that need no broker and no compiler, a process for each core
	$(BIN)/python -m pytest -rs -m "not broker and not compiler" --numprocesses auto --dist loadfile

check: $(READY)  ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

wheel: $(READY)  ## dist/*.whl with the hot modules compiled by mypyc: half the CPU (needs a C compiler)
	rm -rf build/wheel && mkdir -p build/wheel
	git ls-files -z | xargs -0 tar cf - | tar xf - -C build/wheel  # a compiled module must not lie beside the source that you edit
	cd build/wheel && HATCH_BUILD_HOOK_ENABLE_MYPYC=1 $(abspath $(BIN))/python -m pip wheel \
		--quiet --no-deps --no-build-isolation --wheel-dir ../../dist .

# Everything comes from the lock with its hash, the build backend too: nothing is resolved anew on your machine.
$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it with make PYTHON=..." >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

pictures: $(READY)  ## docs/pictures: the dashboards of a simulated day, drawn from a real Prometheus (apt-get install prometheus)
	PYTHONPATH=.:tests:grafana $(BIN)/python -m grafana.day docs/pictures

lock:  ## write requirements.lock anew from pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet uv
	@printf 'hatchling>=1.27\neditables\n' | $(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 \
		--all-extras --group dev --generate-hashes --no-emit-index-url --no-annotate \
		--custom-compile-command 'make lock' --output-file requirements.lock pyproject.toml -
