# Muster: what people type. Every target sets up what it needs first; a second run is quick.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
SYSTEM ?= x0tta6bl4
ENV ?= lab
PROFILE ?= target
WORKERS ?= 1
export PYTHONDONTWRITEBYTECODE :=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

bin := .venv/bin

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "; print "usage: make TARGET [SYSTEM=$(SYSTEM)] [ENV=$(ENV)]\n"} \
	  /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: .venv/.ready ## Install what the suite and the lab need (virtual environment, HAProxy, Prometheus, Alertmanager)
	@lab/setup.sh

.PHONY: smoke
smoke: setup ## Judge the runbooks' health claims, once, now (boots the lab when ENV=lab does not run)
	@$(bin)/muster smoke --system $(SYSTEM) --env $(ENV)

.PHONY: drill
drill: setup ## Break it on purpose: detection, page, rollback and proof (EXPERIMENTS="NAME GLOB TAG all" selects; RATE=r)
	@$(bin)/muster drill --system $(SYSTEM) --env $(ENV) $(if $(RATE),--rate "$(RATE)") $(EXPERIMENTS)

.PHONY: drill-quick
drill-quick: setup ## The same with three experiments (a bad release, a killed pod, the key exchange), in a minute
	@$(bin)/muster drill --system $(SYSTEM) --env $(ENV) quick

.PHONY: load
load: setup ## Send the promised load and judge it (PROFILE=smoke, target, spike, soak or step; WORKERS=n RATE=r DURATION=d)
	@$(bin)/muster load $(PROFILE) --system $(SYSTEM) --env $(ENV) --workers $(WORKERS) \
	  $(if $(RATE),--rate $(RATE)) $(if $(DURATION),--duration $(DURATION))

.PHONY: heal
heal: .venv/.ready ## Undo every fault that an interrupted drill left behind
	@$(bin)/muster heal --system $(SYSTEM) --env $(ENV)

.PHONY: lab
lab: setup ## Run the lab in the foreground with a live table, until Ctrl-C
	@$(bin)/muster lab run

.PHONY: bench
bench: setup ## Measure smoke, drill and set-up times for docs/benchmarks.md (wants an idle machine)
	@$(bin)/python benchmarks/bench_first_light.py

.PHONY: bench-drill
bench-drill: setup ## Measure detection, rollback, recovery and whole drills (RUNS=3 of each set; wants an idle machine)
	@$(bin)/python benchmarks/bench_drill.py --runs $(or $(RUNS),3)

.PHONY: bench-smoke
bench-smoke: setup ## Measure smoke against bare pytest, far sources, curl and many pods (wants an idle machine)
	@$(bin)/python benchmarks/bench_smoke.py

.PHONY: bench-lab
bench-lab: setup ## Measure the lab for docs/benchmarks.md (wants an idle machine)
	@$(bin)/python benchmarks/bench_lab.py

.PHONY: bench-load
bench-load: setup ## Measure the load generator for docs/benchmarks.md (wants an idle machine)
	@$(bin)/python benchmarks/bench_clients.py
	@$(bin)/python benchmarks/bench_load.py

.PHONY: rules
rules: .venv/.ready ## Write deploy/rules/ and deploy/dashboards/ from all facts: rules, routes, promtool cases, panels
	@$(bin)/muster rules --env staging --out deploy/rules
	@$(bin)/muster rules --env staging --out deploy/dashboards --format grafana

.PHONY: schema
schema: .venv/.ready ## Write docs/system.schema.json, by which editors know what may stand in systems/*.yaml
	@$(bin)/muster schema --out docs/system.schema.json

.PHONY: report
report: .venv/.ready node_modules/.ready ## Build the HTML report of the runs so far (reports/html)
	@$(bin)/muster report

.PHONY: report-open
report-open: report ## Serve the HTML report on loopback and say where
	@$(bin)/muster report --serve

.PHONY: coverage
coverage: .venv/.ready ## Show which alerts and steps of the runbooks are proven by what, and what nothing proves
	@$(bin)/muster coverage $(SYSTEM)

.PHONY: test
test: setup node_modules/.ready ## Run the tests of muster and the lab themselves
	@lab/setup.sh --tests
	@$(bin)/pytest -m "not drill" -n 3 --dist loadgroup
	@$(bin)/pytest -m drill

.PHONY: attack
attack: setup ## Kill a drill at 50 random instants and look whether healing leaves anything (ATTACKS=50 SEED=)
	@lab/setup.sh --tests
	@MUSTER_ATTACKS=$(or $(ATTACKS),50) MUSTER_SEED=$(SEED) $(bin)/pytest -s tests/faults/test_attack.py

.PHONY: lint
lint: .venv/.ready ## Format, lint, types, layers, rules in step with the facts
	@$(bin)/ruff format --check
	@$(bin)/ruff check
	@$(bin)/mypy
	@$(bin)/lint-imports
	@$(bin)/muster rules --env staging --out deploy/rules --check
	@$(bin)/muster rules --env staging --out deploy/dashboards --format grafana --check
	@$(bin)/muster schema --out docs/system.schema.json --check

.PHONY: lock
lock: ## Resolve the dependencies again and write requirements.lock (needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras --upgrade \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml -o requirements.lock

.PHONY: clean
clean: ## Stop the lab and remove everything that can be made again (reports stay)
	@if [ -x $(bin)/muster ]; then $(bin)/muster lab down; fi
	@rm -rf .venv .lab node_modules .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "muster: Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1 || echo missing); name another with PYTHON=..." >&2; exit 1; }
	@echo "muster: setting up .venv (about a minute, once)"
	@$(PYTHON) -m venv .venv || { echo "muster: $(PYTHON) has no venv; on Debian: apt install python3-venv" >&2; exit 1; }
	@$(bin)/pip install --quiet --require-hashes -r requirements.lock
	@$(bin)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

node_modules/.ready: package.json package-lock.json
	@command -v npm >/dev/null || \
	  { echo "muster: the HTML report needs Node 20 or newer with npm; everything else works without (https://nodejs.org)" >&2; exit 1; }
	@echo "muster: setting up the report builder"
	@npm ci --silent --no-audit --no-fund
	@touch $@
