# `make help` lists the targets. Every target does its own set-up from a fresh clone.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help env env-ops env-crf env-triton env-extras env-openmmlab env-docs demo test lint docs bench clean

# ENV=extras names a second environment, .venv-extras, with the optional packages, and
# ENV=openmmlab a third with the original OpenMMLab packages in place of the OneDL forks.
ENV ?=
export FAMILY := $(if $(filter openmmlab,$(ENV)),openmmlab,onedl)
export VENV := .venv$(if $(ENV),-$(ENV))
CONSTRAINTS := requirements/constraints-$(FAMILY).txt
PINS := $(shell cat requirements/*.txt setup.py tools/misc/make_env.sh | cksum | cut -d' ' -f1)
STAMP := $(VENV)/.env-$(PINS)
PY := $(VENV)/bin/python

# One thread a process: two test processes use two cores better than one does.
export OMP_NUM_THREADS ?= 1
export WSSS_SHARED ?= $(abspath ../shared)
override WHEELHOUSE := $(abspath $(WHEELHOUSE))
export WHEELHOUSE
PYTEST_ARGS ?= -n 2
REPORT := work_dirs/tests/report.xml

help:  ## say what the targets do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

env: $(STAMP)  ## create .venv from the pins in requirements/ (PYTHON=, WHEELHOUSE=, TORCH_ARGS=)
	@$(if $(filter env,$(MAKECMDGOALS)),echo 'env: $(VENV) is up to date with requirements/',:)

$(STAMP):
	@tools/misc/make_env.sh $@

env-ops: env  ## add mmcv's compiled ops: a wheel of WHEELHOUSE=, or compiled here
	@tools/misc/build_mmcv_ops.sh

env-crf: env  ## add pydensecrf2, the second backend of DenseCRF (compiled here)
	@$(PY) -m pip install -c $(CONSTRAINTS) -r requirements/optional.txt \
		>>$(VENV)/install.log 2>&1 || { tail -n 20 $(VENV)/install.log; exit 1; }
	@echo 'env-crf: done, DenseCRF(backend="pydensecrf") works'

env-triton: env  ## add Triton, whose interpreter tests the GPU kernels without a GPU
	@$(PY) -m pip install -r requirements/triton.txt >>$(VENV)/install.log 2>&1 \
		|| { tail -n 20 $(VENV)/install.log; exit 1; }
	@echo 'env-triton: done'

env-extras:  ## create .venv-extras: mmcv's compiled ops, pydensecrf2 and Triton for the tests
	@$(MAKE) --no-print-directory ENV=extras env-ops env-crf env-triton

env-openmmlab:  ## create .venv-openmmlab: the original packages, mmcv 2.1.0 with compiled ops
	@$(MAKE) --no-print-directory ENV=openmmlab env

DOCS_STAMP := $(VENV)/.docs-$(PINS)
env-docs: $(DOCS_STAMP)  ## add Sphinx and its theme, for `make docs`
$(DOCS_STAMP): $(STAMP)
	@$(PY) -m pip install -c $(CONSTRAINTS) -r requirements/docs.txt \
		>>$(VENV)/install.log 2>&1 || { tail -n 20 $(VENV)/install.log; exit 1; }
	@rm -f $(VENV)/.docs-* && touch $@

demo: env  ## train ASDT (METHOD=mkd: 10 masks; METHOD=mixed: masks and tags) on the toy set, 10 minutes
	@$(if $(filter-out asdt mkd mixed,$(METHOD)),$(error METHOD=$(METHOD): expected asdt, mkd or mixed))
	@env -u OMP_NUM_THREADS $(PY) tools/demo$(addprefix _,$(filter-out asdt,$(METHOD))).py

test: env  ## run the tests (PYTEST_ARGS=, ENV=extras or openmmlab, WSSS_SHARED=)
	@mkdir -p $(dir $(REPORT))
	@$(PY) -m pytest $(PYTEST_ARGS) --junitxml=$(REPORT); code=$$?; \
	ops=with; $(PY) -c 'import mmcv.ops' >/dev/null 2>&1 || ops=without; \
	echo "make test: ran tests/ in $(VENV), mmcv $$ops compiled ops; report: $(REPORT)"; \
	exit $$code

lint: env  ## ruff (rules and format) and mypy
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@echo 'make lint: ruff and mypy found nothing'

docs: env-docs  ## build the site offline into docs/_build/html; every warning is an error
	@$(PY) -m sphinx -W --keep-going -n -q -b html docs docs/_build/html
	@echo 'make docs: open docs/_build/html/index.html'

bench: env  ## run the benchmarks (but those that need VOC or a GPU); results in benchmarks/results
	@for script in $(filter-out %/dense_crf.py %/mask_voting.py %/cost_curve.py %/gpu_check.py %_tables.py,$(wildcard benchmarks/*.py)); do \
		echo "bench: $$script"; $(PY) $$script || exit 1; done

clean:  ## remove caches and build leftovers; environments and work_dirs stay
	@rm -rf build dist docs/_build *.egg-info .pytest_cache .mypy_cache .ruff_cache
	@find . -path './.venv*' -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf
	@echo 'make clean: caches and build leftovers removed; environments and work_dirs stay'
