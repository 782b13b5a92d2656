# Every task of the project: `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
ARCH ?=
ARGS ?=

BIN := .venv/bin
SAM := .sam-venv/bin/sam
# One worker more than there are cores: many tests wait for a moment.
PARALLEL := -n $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1) --dist worksteal
PYTEST := $(BIN)/pytest $(PARALLEL)
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-deps

# SAM wants a region even where it calls nothing. A deployment takes that of the owner's AWS configuration.
sam-check build e2e-sam: export AWS_DEFAULT_REGION ?= us-east-1
export SAM_CLI_TELEMETRY ?= 0

.PHONY: help setup run run-lambda unit test check coverage check-rest e2e-clients fuzz format typecheck lint sam-check audit e2e-sam artifact build deploy bench soak docs wheel release live site catalog lock screenshots clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready ## make the project's own environment, in .venv

run: setup ## serve on this machine
	@$(BIN)/tollgate serve $(ARGS)

run-lambda: setup artifact ## the same, with the Lambda artifact under a local function URL
	@$(BIN)/python -m devtools.run_artifact $(ARGS)

unit: setup ## run the unit tests: no process, no port, no artifact
	$(PYTEST) -m "not slow" tests/unit $(ARGS)

test: setup artifact .build/browser ## run the tests, without the slow ones
	$(PYTEST) -m "not slow" $(ARGS)

check: lint coverage check-rest fuzz sam-check audit site ## everything a change must pass

coverage: setup ## the unit and contract tests, and how much of the code they run
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PARALLEL) --hypothesis-profile=check -m "not slow" tests/unit tests/contract
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check-rest: setup artifact .build/browser ## the tests of whole gateways and of clients, and the slow tests
	$(PYTEST) tests/integration tests/e2e $(ARGS)
	$(PYTEST) -m slow tests/unit tests/contract $(ARGS)

e2e-clients: setup artifact ## agents from their registries: Claude Code, Codex, OpenAI Agents SDK, aider
	$(PYTEST) tests/e2e_clients $(ARGS)

e2e-sam: setup .sam-venv/.ready ## both functions in SAM's local Lambda; skipped where no Docker daemon answers
	$(MAKE) build ARCH=$(patsubst aarch64,arm64,$(shell uname -m))
	$(BIN)/pytest tests/e2e_sam $(ARGS)

fuzz: setup ## feed the parsers of every family changed responses
	PYTHONPATH=.:tests $(BIN)/python -m fuzz $(ARGS)

format: setup ## format the code
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format .

typecheck: setup ## check the types
	$(BIN)/pyright

lint: setup ## check style, types and the import law
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	PYTHONPATH=.:layers/streaming/python $(BIN)/lint-imports --no-cache

sam-check: setup .sam-venv/.ready ## the template, as SAM and cfn-lint read it, what SAM makes of it, build and deployment
	$(SAM) validate --lint
	.sam-venv/bin/cfn-lint template.yaml
	rm -rf .build/template
	.sam-venv/bin/python scripts/translate_template.py .build/template
	TOLLGATE_ARCH=$(ARCH) $(SAM) build --build-dir .build/sam
	$(BIN)/pytest tests/template

audit: .audit-venv/.ready ## the template by a policy linter, and secrets in what git tracks
	.audit-venv/bin/checkov --config-file .checkov.yaml
	git ls-files -z | xargs -0 -n 100 -P 2 .audit-venv/bin/detect-secrets-hook $(NO_GUESSES) --exclude-files '$(INVENTED)'
# Known forms of secrets are looked for; what is only random or named "key" would be found in every fixture.
NO_GUESSES := --no-verify $(foreach each,Base64HighEntropyString HexHighEntropyString KeywordDetector,--disable-plugin $(each))
# Files with invented secrets, which must look real; hashes and the model map, which are large and have none.
INVENTED := tests/unit/adapters/test_redaction.py|test_proxies.py|test_tls_and_proxies.py|requirements/.*.txt|catalog_generated.json

artifact: setup .build/sources ## the Lambda artifact for this machine, in .build/function

build: .sam-venv/.ready ## what `sam deploy` uploads, in .aws-sam; ARCH=arm64 or x86_64
	TOLLGATE_ARCH=$(ARCH) $(SAM) build

deploy: setup .sam-venv/.ready ## deploy to your AWS account; asks the first time, and saves the answers
	PATH="$(CURDIR)/.sam-venv/bin:$$PATH" $(BIN)/tollgate deploy --run $(if $(ARCH),--arch $(ARCH)) -- $(ARGS)

bench: setup artifact ## measure starts, CPU, memory, growth, size; PEERS=litellm,portkey,lwa beside
	PYTHONPATH=.:tests $(BIN)/python -m bench

soak: setup artifact ## many requests, and what is left of them; SOAK_REQUESTS of each kind
	PYTHONPATH=.:tests $(BIN)/python -m bench.soak

wheel: setup ## the package, in .build/wheel
	rm -rf .build/wheel build
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index --wheel-dir .build/wheel .

release: wheel ## what a release carries, in .build/release: TAG=v1.2.3
	$(BIN)/python scripts/release.py "$(TAG)" .build/wheel .build/release

live: setup ## a dozen real calls: PROVIDER=openai, its credential in the environment; costs some cents
	PYTHONPATH=.:tests $(BIN)/python -m live $(PROVIDER) $(ARGS)

screenshots: setup .build/browser ## take the pictures of docs/dashboard.md
	PYTHONPATH=.:tests $(BIN)/python scripts/dashboard_screenshots.py

docs: setup ## write what is generated: tables in docs/, the OpenAPI document
	$(BIN)/python scripts/parameter_table.py
	$(BIN)/python -m devtools.openapi

site: .docs-venv/.ready ## build the documentation site in .build/site; broken links are errors
	NO_MKDOCS_2_WARNING=1 .docs-venv/bin/mkdocs build --strict

catalog: setup ## write src/catalog_generated.json from the pinned model map; review its diff
	rm -rf .build/catalog
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes -r requirements/catalog.txt -d .build/catalog
	$(BIN)/python scripts/generate_catalog.py .build/catalog/*.whl

lock: setup ## pin the newest version of every dependency, with hashes
	$(BIN)/uv pip compile $(LOCK) requirements/function.in -o src/requirements.txt
	$(BIN)/uv pip compile $(LOCK) requirements/function.in requirements/local.in requirements/dev.in -o requirements/dev.txt
	$(BIN)/uv pip compile $(LOCK) requirements/sam.in -o requirements/sam.txt
	$(BIN)/uv pip compile $(LOCK) requirements/docs.in -o requirements/docs.txt
	$(BIN)/uv pip compile $(LOCK) requirements/audit.in -o requirements/audit.txt
	$(BIN)/uv pip compile $(LOCK) --no-deps requirements/catalog.in -o requirements/catalog.txt
LOCK := --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

# The tests of the dashboard need a browser. Root gets one from apt; without one they are skipped, and say so.
.build/browser:
	@command -v $(BROWSERS) >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends chromium; } || echo "No browser: the dashboard is not tested."
	@mkdir -p .build && touch $@
BROWSERS := chromium chromium-browser google-chrome

clean: ## remove everything that was made
	rm -rf .venv .sam-venv .docs-venv .audit-venv .build .aws-sam .cache .pytest_cache .ruff_cache .hypothesis

# The wheels of .venv are installed again only when their pins change, the project only when its metadata does.
.venv/.wheels: requirements/dev.txt
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python $(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

.venv/.ready: .venv/.wheels pyproject.toml requirements/function.in requirements/local.in
	$(BIN)/python $(PIP_INSTALL) --no-build-isolation --no-index --editable .
	@touch $@

.audit-venv/.ready: requirements/audit.txt .venv/.ready
	$(PYTHON) -m venv --clear --without-pip .audit-venv
	$(BIN)/uv pip install --quiet --no-deps --require-hashes --python .audit-venv/bin/python -r requirements/audit.txt
	@touch $@

.sam-venv/.ready: requirements/sam.txt
	$(PYTHON) -m venv --clear .sam-venv
	.sam-venv/bin/python $(PIP_INSTALL) --require-hashes -r requirements/sam.txt
	@touch $@

.docs-venv/.ready: requirements/docs.txt
	$(PYTHON) -m venv --clear .docs-venv
	.docs-venv/bin/python $(PIP_INSTALL) --require-hashes -r requirements/docs.txt
	@touch $@

# .build/python names the interpreter the artifact is for: the managed runtime's version if it is installed, else our own.
.build/python: src/requirements.txt scripts/build_artifact.py
	$(BIN)/python scripts/build_artifact.py local-wheels .build
.build/sources: .build/python $(shell find src/ -name '*.py' -o -name '*.toml' -o -name '*.json' -o -name '*.html' -o -path 'src/dashboard/*' -o -type d -not -name __pycache__)
	$(BIN)/python scripts/build_artifact.py local-sources .build
	@touch $@
