# Every task of the project: `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
ARCH ?= arm64
ARGS ?=

BIN := .venv/bin
SAM := .sam-venv/bin/sam
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-deps

# SAM reads AWS's settings; none of these commands needs an account, but all want a region.
export AWS_DEFAULT_REGION ?= us-east-1
export SAM_CLI_TELEMETRY ?= 0

.PHONY: help setup run run-lambda test fuzz check lint sam-check artifact build deploy bench docs live lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready ## make the project's own environment, in .venv

run: setup ## serve on this machine
	@$(BIN)/tollgate serve $(ARGS)

run-lambda: setup artifact ## the same, with the Lambda artifact under a local function URL
	@$(BIN)/python -m devtools.run_artifact $(ARGS)

test: setup artifact ## run the tests
	$(BIN)/pytest $(ARGS)

fuzz: setup ## feed every wire family's parsers changed answers, a minute each
	PYTHONPATH=.:tests $(BIN)/python -m fuzz $(ARGS)

check: lint test fuzz sam-check ## everything a change must pass

lint: setup ## style, types, and the law of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	PYTHONPATH=.:layers/streaming/python $(BIN)/lint-imports --no-cache

sam-check: .sam-venv/.ready ## the template, as SAM and cfn-lint read it, and the build
	$(SAM) validate --lint
	.sam-venv/bin/cfn-lint template.yaml
	TOLLGATE_ARCH=$(ARCH) $(SAM) build --parameter-overrides Architecture=$(ARCH) --build-dir .build/sam

artifact: setup .build/python ## the Lambda artifact for this machine, in .build/function

build: .sam-venv/.ready ## what `sam deploy` uploads, in .aws-sam; ARCH=arm64 or x86_64
	TOLLGATE_ARCH=$(ARCH) $(SAM) build --parameter-overrides Architecture=$(ARCH)

deploy: build ## deploy to your AWS account
	$(SAM) deploy --parameter-overrides Architecture=$(ARCH) $(ARGS)

bench: setup artifact ## measure: cold start, CPU per request, memory, size
	PYTHONPATH=.:tests $(BIN)/python -m bench

live: setup ## a dozen real calls: PROVIDER=openai, its credential in the environment; costs some cents
	PYTHONPATH=.:tests $(BIN)/python -m live $(PROVIDER) $(ARGS)

docs: setup ## write what is generated in docs/
	$(BIN)/python scripts/parameter_table.py

lock: setup ## pin every dependency anew
	$(BIN)/uv pip compile $(LOCK) pyproject.toml -o src/requirements.txt
	$(BIN)/uv pip compile $(LOCK) --extra local --extra dev pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile $(LOCK) requirements/sam.in -o requirements/sam.txt
LOCK := --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

clean: ## remove everything that was made
	rm -rf .venv .sam-venv .build .aws-sam .cache .pytest_cache .ruff_cache .hypothesis

.venv/.ready: requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python $(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	$(BIN)/python $(PIP_INSTALL) --no-build-isolation --no-index --editable .
	@touch $@

.sam-venv/.ready: requirements/sam.txt
	$(PYTHON) -m venv --clear .sam-venv
	.sam-venv/bin/python $(PIP_INSTALL) --require-hashes -r requirements/sam.txt
	@touch $@

# .build/python names the interpreter the artifact is for: the managed runtime's version if it is at hand, else our own.
.build/python: src/requirements.txt scripts/build_artifact.py $(shell find src/ -name '*.py' -o -name '*.toml')
	$(BIN)/python scripts/build_artifact.py local .build
