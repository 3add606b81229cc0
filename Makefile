.DEFAULT_GOAL := help
.PHONY: help setup demo run gateway failover test test-compose mutants bench chaos screenshots check hooks openapi lock clean
PYTHON ?= python3
BIN := .venv/bin

help:  ## What can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: .venv/.ready  ## Check this machine and install what the project needs into .venv

.venv/.ready: pyproject.toml requirements/dev.txt tools/setup.py
	@$(PYTHON) tools/setup.py

demo: .venv/.ready  ## Start everything, take orders through payment, show what happened
	@$(BIN)/python -m tools.demo

run: .venv/.ready  ## Run MongoDB and both services until Ctrl-C, with the settings of the environment
	@$(BIN)/python -m tools.run

gateway: .venv/.ready  ## Run MongoDB and the payment gateway alone, to test a service of your own against
	@$(BIN)/python -m tools.gateway

failover: .venv/.ready  ## Kill the primary of MongoDB while orders are placed, and look for what was acknowledged
	@$(BIN)/python -m tools.failover

test: .venv/.ready  ## Run all tests that need no Docker
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

# The containers mostly wait, so both halves run at once. What the first says is shown when the second has ended.
test-compose: .venv/.ready  ## Test the images and compose.yaml, and the integration tests on mongo:8.0 (needs Docker)
	@docker version >/dev/null && docker compose version >/dev/null \
	  || { echo "test-compose: needs a running Docker engine and Compose v2" >&2; exit 1; }
	@log=$$(mktemp); $(BIN)/python -m pytest tests/compose $(ARGS) >$$log 2>&1 & compose=$$!; \
	$(BIN)/python -m pytest -n 3 --dist loadfile --mongo=container --ignore=tests/integration/tools tests/integration $(ARGS); \
	integration=$$?; wait $$compose; compose=$$?; cat $$log; rm $$log; exit $$((integration + compose))

mutants: .venv/.ready  ## Take each rule out of the code, one at a time, and see a test fail for it
	@$(BIN)/python -m tools.mutants $(ARGS)

bench: .venv/.ready  ## Measure how fast it is, in 25 minutes; ARGS=paid measures a part (needs wrk)
	@BASE=$(BASE) $(BIN)/python -m tools.bench $(ARGS)

SEED ?= 1
MINUTES ?= 5
ORDERS ?= 2000

chaos: .venv/.ready  ## Break everything while orders are placed, heal, judge: SEED=1 MINUTES=5 ORDERS=2000
	@$(BIN)/python -m tools.chaos --seed $(SEED) --minutes $(MINUTES) --orders $(ORDERS)

screenshots: .venv/.ready  ## Make the pictures of the consoles anew (needs Chromium)
	@$(BIN)/python -m tools.screenshots

check: .venv/.ready  ## Lint, types, import rules, stray files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy services shared tools tests
	@$(BIN)/lint-imports
	@$(BIN)/python -m tools.tidy

hooks: .venv/.ready  ## Have git run the same checks before each commit
	@$(BIN)/pre-commit install

openapi: .venv/.ready  ## Write the OpenAPI documents of both services
	@$(BIN)/python -m tools.openapi

lock:  ## Renew the hashed requirement locks (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 pyproject.toml -o requirements/runtime.txt
	uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 pyproject.toml --extra otel -c requirements/runtime.txt -o requirements/otel.txt
	uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 pyproject.toml --extra otel --group dev -c requirements/otel.txt -o requirements/dev.txt

clean:  ## Remove .venv, caches and the data of make run and make gateway
	rm -rf .venv .data .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
