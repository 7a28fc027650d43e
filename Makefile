# make demo | make test: each makes its own virtual environment first, and reuses it the next time.
# make test-slow: the tests that take minutes (a run killed before each of its changes to the disk, disks of many sizes).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
OUT ?= out/demo
export PYTHONDONTWRITEBYTECODE :=  # set by some containers: each of the tests' processes would compile the package anew

.PHONY: demo test test-slow lint types docs lock sanitize neon system clean

demo: $(STAMP)
	@echo "== one photo in, a film and a scene out: $(OUT)"
	$(BIN)/splatmem flyaround assets/photos/interior_table.jpg --out $(OUT) --overwrite

test: $(STAMP)
	@echo "== the test suite (make test-slow runs what takes minutes)"
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test-slow: $(STAMP)
	@echo "== the tests that take minutes"
	$(BIN)/python -m pytest -m slow

lint: $(STAMP)
	$(BIN)/ruff check splatmem tools tests examples
	$(BIN)/ruff format --check splatmem tools tests examples
	$(BIN)/lint-imports

types: $(STAMP)
	$(BIN)/pyright --project pyproject.toml

docs: $(STAMP)
	@echo "== the pages of docs/ as a site: site/index.html"
	$(BIN)/python -m mkdocs build --strict

lock: $(STAMP)
	@echo "== the versions that are installed here, with hashes: requirements.lock"
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/python tools/lock_versions.py

sanitize: $(STAMP)
	@echo "== the kernels under the address and undefined-behaviour sanitizers"
	PATH="$(abspath $(BIN)):$$PATH" tools/check_kernels.sh

neon: $(STAMP)
	@echo "== the ARM kernels, emulated (Debian: g++-aarch64-linux-gnu, qemu-user)"
	PATH="$(abspath $(BIN)):$$PATH" tools/check_kernels.sh aarch64

# What pip cannot install: a C++ compiler for the kernels, and Open3D's libraries.
system:
	@sh tools/system_packages.sh

$(STAMP): pyproject.toml constraints.txt CMakeLists.txt tools/system_packages.sh tools/install_torch.sh $(wildcard csrc/*)
	@$(MAKE) --no-print-directory system
	@echo "== virtual environment in $(VENV) (a few minutes the first time)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	PYTHON=$(BIN)/python tools/install_torch.sh
	$(BIN)/python -m pip install --quiet -c constraints.txt "scikit-build-core>=0.10" "nanobind>=2.4" cmake ninja
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation --editable ".[dev,docs,evaluate,inspect-cpu,heif,usd,colmap,cluster]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) build out site
