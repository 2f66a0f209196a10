# What one can do here. `make help` lists it.

CASES ?= ../shared/aws-conformance
SUITE ?= ../shared/jsonata-suite
DEFINITIONS ?= examples
# How many times the size of a change's the tests of faults have in `make faults`.
SCALE ?= 10

# One build serves all tests: the same features everywhere.
FEATURES := --features engine/crash-points
TEST := cargo test --workspace --no-fail-fast $(FEATURES)

.PHONY: help demo dev test check fmt lint docs services services-stop simulate conformance collection bench faults fuzz

help: ## list what one can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## watch an order go through
	cargo run -p engine -- demo

dev: ## serve the API on http://127.0.0.1:8083, everything in one process
	cargo run -p engine -- dev

check: fmt lint docs test ## all that must hold before a change is merged

fmt: ## the formatting
	cargo fmt --all -- --check

lint: ## the lints
	cargo clippy --workspace --all-targets $(FEATURES) -- -D warnings

docs: ## the documentation of the code
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

test: services ## the tests, those with boto3 and the AWS CLI included
	. target/services.env && $(TEST)
	. target/services.env && .ci/clients

services: ## the RabbitMQ and Postgres of the tests: those that are there, or private ones
	.ci/services start

services-stop: ## stops the private ones
	.ci/services stop

simulate: ## one run of the simulation again (SEED=n; if it fails, step through it: warren replay); else WARREN_SEEDS (1000)
	WARREN_SEED=$(SEED) $(TEST) --test simulation executions_end -- --nocapture

conformance: ## cases recorded on AWS (CASES=DIR), compared with engine/tests/conformance.floor; JSONata's suite (SUITE=DIR)
	.ci/conformance "$(CASES)"
	WARREN_JSONATA_SUITE="$(abspath $(SUITE))" $(TEST) --test jsonata_suite -- --ignored --nocapture

collection: ## definitions that others wrote (DEFINITIONS=DIR): whether they are accepted, and run with empty answers
	WARREN_DEFINITIONS="$(abspath $(DEFINITIONS))" $(TEST) --test collection -- --ignored --nocapture

bench: ## the limits of this machine and Warren beside them (BENCH="chain10-express …"), then the interpreter alone
	cargo build --release -p engine -p benches
	cargo run --release -p benches --bin warren-bench -- $(BENCH)
	cargo bench -p benches

faults: ## real processes, killed at the worst moment, at length (SCALE=10 times as much as in `make test`; FAULT=name)
	WARREN_KILLS=200 WARREN_EXECUTIONS=2000 $(TEST) --test kills -- --nocapture
	WARREN_FAULTS_SCALE=$(SCALE) $(TEST) --test faults -- --nocapture $(FAULT)

fuzz: ## a minute for each entrance that takes text from anybody (nightly, cargo-fuzz)
	.ci/fuzz 60
