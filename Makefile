# Every task, one line each: `make` lists them. Each sets up what it needs (scripts/setup.sh), and says what it does.
# ARGS passes flags on, for example: make run ARGS="--speed 600 --data-dir /tmp/demo"
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run build test check fmt stack stack-stop bench bench-rules bench-validate chaos soak soak-sockets clean
ARGS ?=
SEED ?= 1
MINUTES ?= 10

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r task text; do printf '  make %-12s %s\n' "$$task" "$$text"; done

run: build ## build, then start the dashboard with everything embedded; prints its address
	@. .tools/env && exec target/release/stockstream demo $(ARGS)

build: ## build the release: target/release/stockstream and target/site
	@scripts/setup.sh build
	@. .tools/env && scripts/frontend.sh release
	@. .tools/env && echo "build: the server (release)" >&2 && cargo build --release -p server

test: ## every ring of tests, from the pure crates to the real CDC stack and a browser
	@scripts/test.sh

check: ## formatting, lints, crate arrows, documented paths, licences, shell scripts, Dockerfile, compose file
	@scripts/setup.sh build
	@scripts/setup.sh lint
	@. .tools/env && scripts/check.sh

fmt: ## format the Rust code
	@if [ -f .tools/env ]; then . .tools/env; fi; cargo fmt --all

stack: build ## the real thing: MariaDB, Debezium, Kafka and PostgreSQL, with stockstream beside them; prints its address
	@scripts/setup.sh stack
	@. .tools/env && scripts/stack.sh start $(ARGS)

stack-stop: ## end what `make stack` started
	@scripts/stack.sh stop

bench: ## rows per second and per CPU-second, next to raw consume, raw COPY and Debezium's JDBC sink
	@scripts/setup.sh bench
	@. .tools/env && bench/ingest.sh $(ARGS)

bench-rules: ## what judging every record costs: the built-in rules, and a suite of ten expectations on top
	@scripts/setup.sh build
	@. .tools/env && bench/rules.sh $(ARGS)

bench-validate: ## one suite over 10 million rows (ARGS='--rows N'): seconds, CPU and scans, next to Great Expectations on the same PostgreSQL
	@scripts/setup.sh stack
	@scripts/setup.sh oracle
	@. .tools/env && bench/validate.sh $(ARGS)

.PHONY: bench-load
bench-load: ## one CSV into one table, by `feed replay --load` and by pandas.to_sql on the same PostgreSQL (ARGS='--rows N')
	@scripts/setup.sh oracle
	@. .tools/env && bench/load.sh $(ARGS)

.PHONY: bench-api
bench-api: ## the newest 100 bars and a day of minutes: requests per CPU-second, next to FastAPI with asyncpg and to bare axum
	@scripts/setup.sh api
	@. .tools/env && bench/api.sh $(ARGS)

soak-sockets: ## 9,000 live sockets for MINUTES: memory per client, frames a second, delay
	@scripts/setup.sh build
	@. .tools/env && bench/sockets.sh 9000 $(MINUTES) $(ARGS)

chaos: ## MINUTES of faults around the real server, decided by SEED; then a judge compares what is left with what must be
	@scripts/setup.sh stack
	@scripts/chaos.sh --seed $(SEED) --minutes $(MINUTES) $(ARGS)

soak: ## MINUTES (10) of new histories for the model and the state machine, and of new broken inputs for the fuzzers
	@scripts/setup.sh test
	@MINUTES=$(MINUTES) scripts/soak.sh

.PHONY: bench-charts bench-size
bench-charts: ## 50 live charts in one page, beside lightweight-charts: frames, main-thread time, heap
	@scripts/setup.sh build
	@. .tools/env && node bench/charts.mjs $(ARGS)

bench-size: ## what the browser downloads, compressed; fails above the budget
	@scripts/setup.sh build
	@. .tools/env && scripts/frontend.sh release && cargo build -q -p server --bin stockstream && node bench/size.mjs

clean: ## delete what was built; tools and data stay
	@rm -rf target
