# make demo   the main job on this machine, without an AWS account
# make test   everything that CI runs
# make lock   renew the hash-locked requirement files

.DEFAULT_GOAL := help
.PHONY: help demo test lock sdk dev contract clean

PYTHON ?= python3
BUILD := build
UV := $(or $(shell command -v uv 2>/dev/null),$(BUILD)/uv/bin/uv)
BIN := .venv/bin
LOCK := $(UV) pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11
SYNC := $(UV) pip sync --quiet --require-hashes --link-mode hardlink

help:
	@sed -n '1,3s/^# //p' Makefile

demo: dev $(BUILD)/envs/sdk-v3/.ready $(BUILD)/envs/model/.ready
	@$(BIN)/python examples/demo/demo.py

test:
	@bash .ci/run

dev: .venv/.ready
contract: $(BUILD)/github/description.json
sdk: $(BUILD)/envs/sdk-v3/.ready $(BUILD)/envs/sdk-v2/.ready $(BUILD)/envs/model/.ready

$(BUILD)/uv/bin/uv: requirements/uv.txt
	@echo "installing uv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -m venv $(BUILD)/uv || { echo "python3 -m venv does not work here. On Debian: apt-get install python3-venv" >&2; exit 2; }
	@$(BUILD)/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<

.venv/.ready: requirements/dev.txt pyproject.toml | $(filter $(BUILD)/%,$(UV))
	@echo "installing sagemaker-gitops and its tools (.venv)"
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) .venv
	@$(SYNC) --python $(BIN)/python $<
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(BUILD)/envs/model/.ready: pipelines/abalone/requirements.txt
$(BUILD)/envs/sdk-%/.ready: requirements/sdk-%.txt
	@$(call environment,SageMaker SDK $*)
$(BUILD)/envs/model/.ready:
	@$(call environment,model environment)

# SDKs are compiled to byte code once: importing SDK v3 costs 4 s with it and 10 s without.
define environment
echo "installing the $(1) ($(@D))"; \
test -x $(@D)/bin/python || $(UV) venv --quiet --python $(PYTHON) $(@D); \
$(SYNC) --python $(@D)/bin/python --compile-bytecode $< && touch $@
endef

$(BUILD)/envs/sdk-v3/.ready $(BUILD)/envs/sdk-v2/.ready $(BUILD)/envs/model/.ready: | $(filter $(BUILD)/%,$(UV))

# What the tests hold the loopback GitHub to: 400 MB of descriptions, cut down to 130 KB.
$(BUILD)/github/description.json: requirements/github/package-lock.json tests/support/github_contract.py tests/support/github_graphql.py | .venv/.ready
	@echo "installing GitHub's description of its API ($(@D))"
	@command -v npm >/dev/null || { echo "npm is needed. On Debian: apt-get install npm" >&2; exit 2; }
	@rm -rf $(@D) && mkdir -p $(@D)/npm && cp requirements/github/package*.json requirements/github/.npmrc $(@D)/npm
	@cd $(@D)/npm && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@$(BIN)/python tests/support/github_graphql.py $(@D)/npm/node_modules/@octokit/graphql-schema/schema.graphql $(@D)/schema.graphql
	@$(BIN)/python tests/support/github_contract.py $(@D)/npm/node_modules/@octokit/openapi/generated $@
	@rm -rf $(@D)/npm

lock: | $(filter $(BUILD)/%,$(UV))
	$(LOCK) --universal requirements/uv.in -o requirements/uv.txt
	$(LOCK) --universal pyproject.toml -o requirements/run.txt
	$(LOCK) --universal --all-extras pyproject.toml requirements/dev.in -o requirements/dev.txt

clean:
	rm -rf $(BUILD) .venv
