# Every target is a command of deploy/bootstrap.py; without make: python3 deploy/bootstrap.py help

# The first Python that really starts (shims can exist and fail). It only has to be able to run the script above,
# which looks for the one to build the environment with.
PYTHON := $(shell for name in python3 python3.14 python3.13 python3.12 python /usr/bin/python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null && { echo $$name; break; }; done)
BOOTSTRAP = @$(or $(PYTHON),$(error There is no Python 3.8 or newer here: install Python 3.13)) deploy/bootstrap.py

.DEFAULT_GOAL := help
.PHONY: help setup run test chaos chaos-nightly chaos-ingest check format lint types lock bench bench-peers golden golden-accept

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-14s %s\n", $$1, $$2 }'

run: ## set up what is missing, then start the site (PORT=8000)
	$(BOOTSTRAP) run

setup: ## environment, bundle, database, sample data, first account; starts nothing
	$(BOOTSTRAP) setup

test: ## the suite on SQLite, PostgreSQL and in a browser (INSTALL=1 installs Chromium; ARGS="tests/engine -k name" runs just that)
	$(BOOTSTRAP) test $(ARGS)

chaos: ## kill anything of a loaded throw-away site at random and count what was lost (KILLS=50 DB=sqlite|postgres SEED=n)
	$(BOOTSTRAP) chaos $(if $(KILLS),--kills $(KILLS)) $(if $(DB),--db $(DB)) $(if $(SEED),--seed $(SEED)) $(ARGS)

chaos-nightly: ## 50 kills on SQLite and 50 on PostgreSQL, and strategies that take what they can (SEED=n)
	$(BOOTSTRAP) chaos-nightly $(if $(SEED),--seed $(SEED))

chaos-ingest: ## kill importers at random and read what is left (KILLS=500 DB=postgres SEED=n)
	$(BOOTSTRAP) chaos-ingest $(if $(KILLS),--kills $(KILLS)) $(if $(DB),--db $(DB)) $(if $(SEED),--seed $(SEED))

check: ## format, lint, types, imports, sizes, missing migrations, deployment settings
	$(BOOTSTRAP) check

format: ## rewrite the code in the house format
	$(BOOTSTRAP) format

lint: ## only the lint rules
	$(BOOTSTRAP) lint

types: ## only the types
	$(BOOTSTRAP) types

lock: ## pin the packages anew (needs the network)
	$(BOOTSTRAP) lock

bench: ## time the engine against the bare cost of calling a strategy
	$(BOOTSTRAP) bench

bench-peers: ## time it beside vectorbt and backtesting.py and compare results (ARGS="W2 W3": only those)
	$(BOOTSTRAP) bench-peers $(ARGS)

golden: ## show what differs from the accepted results; writes nothing
	$(BOOTSTRAP) golden

golden-accept: ## accept a changed result: CASE=name REASON="why it changed"
	$(BOOTSTRAP) golden-accept "$(CASE)" "$(REASON)"

# Read by the commands above.
export HINDSIGHT_HOME HINDSIGHT_PYTHON INSTALL CI
ifdef PORT
export HINDSIGHT_PORT := $(PORT)
endif
