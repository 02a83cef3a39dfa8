# The one list of commands. What is not here is not a command of this project.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Seconds for each fuzz target, and which ones (all, when empty).
TIME ?= 60
TARGET ?=

# What `make mutants` changes: crates or source files (all three crates, when empty).
FILE ?=

# How often the crash test kills.
N ?= 200

# One schedule of the simulator (all, when empty).
SEED ?=

##@ Every day

.PHONY: help
help: ## print this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## show the thing working
	@scripts/demo

.PHONY: check
check: ## formatting, lints and house rules: run before each commit
	@scripts/test format lints tidy

.PHONY: test
test: setup ## everything, with one count at the end (VERBOSE=1 shows each test)
	@scripts/test

.PHONY: fmt
fmt: ## format all Rust source
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

.PHONY: setup
setup: ## install what the tests need and this machine lacks
	@scripts/setup

##@ One tier alone

.PHONY: tidy
tidy: ## the house rules
	@scripts/test tidy

.PHONY: vectors
vectors: ## the vectors through the second implementation, and its own tests
	@scripts/test vectors

.PHONY: interop
interop: ## the ledger through an independent client, in Go
	@scripts/test interop

.PHONY: crash
crash: ## kill the real process at random points (N=200), then audit
	@WRIT_CRASH_N=$(N) scripts/test crash

.PHONY: authority
authority: ## every refusal of the authority, alone and in a crowd
	@scripts/test authority

.PHONY: sim
sim: ## a thousand seeded schedules of a whole domain, or one: SEED=7
	@WRIT_SIM_SEED=$(SEED) scripts/test simulation

.PHONY: faults
faults: ## a disk that fails and forgets, below the real store and below governed runs
	@scripts/test faults

.PHONY: fuzz
fuzz: ## fuzz every parser: TIME=60 seconds each, TARGET="a b" for some
	@scripts/fuzz --seconds $(TIME) $(TARGET)

.PHONY: mutants
mutants: ## change the source in small ways, and see a test notice each: FILE="a b" for some
	@scripts/mutants $(FILE)

.PHONY: release
release: ## the binary as it is installed, statically linked
	@scripts/release

.PHONY: bench
bench: ## measure, and print the table (bench-authorize: one group)
	@scripts/bench

bench-%:
	@scripts/bench $*

.PHONY: deny
deny: ## licences, duplicates, sources and advisories, by cargo-deny
	@scripts/deny
