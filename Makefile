# The front door: thin, each target is a script in tools/ or a command of cmake, ninja or ctest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: build test sanitize chaos fuzz demo bench lint format install clean help

PREFIX ?= /usr/local
DESTDIR ?=
DURATION ?=
PARTS ?=
TARGET ?=
LINT ?=
TESTS ?=
SEED ?=
MINUTES ?=

help: ## This list
	@echo "millrace: a live PostgreSQL database in ClickHouse"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "Missing Debian packages are installed as root or with sudo; downloads are kept in ~/.cache/millrace."

build: ## Installs what is missing and builds build/millrace
	@tools/install-deps build olap
	@tools/build millrace

test: ## All tests: unit and integration, with servers of their own
	@tools/install-deps build olap test
	@tools/build all
	@tools/run-tests

sanitize: ## The tests with ASan and UBSan, in build-asan/; TESTS=regex for some
	@tools/install-deps build olap test
	@TESTS="$(TESTS)" tools/sanitize

chaos: ## Random statements, schema changes and faults, then a comparison; SEED=n, MINUTES=n (5)
	@tools/install-deps build olap test
	@tools/build all
	@MILLRACE_BINARY=$(CURDIR)/build/millrace MILLRACE_FAULTS_BINARY=$(CURDIR)/build/test/millrace_faults MILLRACE_SEED="$(SEED)" \
	  MILLRACE_MINUTES="$(or $(MINUTES),5)" /usr/bin/python3 -m pytest -q -s -p no:cacheprovider test/integration/test_chaos.py

demo: ## A shop's database, live in ClickHouse; ends with Ctrl-C or after DURATION=n seconds
	@tools/install-deps build olap demo
	@tools/build millrace
	@/usr/bin/python3 tools/demo.py $(if $(DURATION),--duration $(DURATION))

bench: ## What is fast, slow and large, against references of the same run; PARTS="catchup latency" for some
	@tools/install-deps build olap demo
	@tools/build millrace
	@/usr/bin/python3 bench/bench.py $(PARTS)

fuzz: ## libFuzzer over what reads foreign bytes; TARGET=name for one, SECONDS=n for each (60)
	@tools/install-deps build olap fuzz
	@TARGET="$(TARGET)" DURATION="$(or $(SECONDS),60)" tools/fuzz

lint: ## clang-format (dry run) and clang-tidy; LINT="http olap/users.cpp" for some
	@tools/install-deps build lint
	@LINT="$(LINT)" tools/lint

format: ## clang-format of all sources, in place
	@tools/install-deps lint
	@tools/lint --format

install: ## What was built, to DESTDIR and PREFIX (default /usr/local)
	@DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" tools/install

clean: ## Removes build/ and its like; downloads stay in ~/.cache/millrace
	rm -rf build build-asan build-fuzz build-lint
