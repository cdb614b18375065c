# Needs make, a Python of 3.11 or newer that has venv, and a package index; nothing else.
VENV ?= .venv
ARGS ?=
# Tests mostly wait for sockets, so there are more workers than cores.
TEST_WORKERS ?= 5
# Where the environment forbids bytecode, each worker would compile every test again.
export PYTHONDONTWRITEBYTECODE =

bin := $(VENV)/bin
pytest = "$(bin)/python" -m pytest -n $(TEST_WORKERS) --dist worksteal
# What needs a browser or Node.
browsers := browser chat client
# Servers, stores and platforms of others, which take as long as all of `make test`.
platforms := container lambda vercel real/cluster real/servers real/upstash
# Each fault of processes, stores and ways; random histories and requests; crowds.
faults := faults model scale
# What is about the tree and not about what the service does: rooms, names, sizes, tables of docs/, imports, packages.
beyond := $(browsers) $(platforms) docs $(faults) project testkit

.DEFAULT_GOAL := help
.PHONY: help setup dev run test rest packed browsers others platforms docs faults project harness check lint types contracts wheel soak mutants lambda bench lock clean

help: ## Show this.
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' Makefile | while IFS='|' read -r a b; do printf '%-18s %s\n' "$$a" "$$b"; done

setup: ## Install what the service needs into .venv. PYTHON=python3.12 picks the interpreter.
	@sh requirements/install.sh "$(VENV)" run

dev: ## Install what tests and checks need, too.
	@sh requirements/install.sh "$(VENV)" dev

run: setup ## Start the service on 127.0.0.1:8000. HOST=… and PORT=… move it; ARGS="--workers 2" is handed on.
	@exec "$(bin)/gapless" serve $(ARGS)

test: dev ## Run the product's tests. ARGS="-k cursor" is handed to pytest.
	$(pytest) $(foreach part,others $(beyond),--ignore=tests/$(part)) $(ARGS)

rest: dev packed ## Run the tests that `make test` leaves out: browsers, platforms, docs, faults, project and harness, in one go.
	$(pytest) $(foreach part,$(beyond),tests/$(part)) $(ARGS)

browsers: dev ## Run the browser client and the chat: in Chromium against the service, and its pure parts in Node.
	$(pytest) $(foreach part,$(browsers),tests/$(part)) $(ARGS)

others: dev ## Run the browser client in Firefox and WebKit, if they are installed (docs/browser.md). Not part of `check`.
	npm --prefix tests/others/driver install --no-package-lock --no-audit --no-fund --loglevel=error
	"$(bin)/python" -m pytest -n 0 tests/others $(ARGS)

# Before the tests and on no test's clock: what it downloads takes as long as it takes.
packed: dev
	"$(bin)/python" -m tests.testkit.lambda_runtime.package

platforms: dev packed ## Run the service as Lambda, Vercel and the Dockerfile build it, under other servers, on Upstash's API, on a cluster that fails over.
	$(pytest) $(foreach part,$(platforms),tests/$(part)) $(ARGS)

docs: dev ## Run every block of README.md, CONTRIBUTING.md and docs/, as a reader would, in fresh clones.
	$(pytest) tests/docs $(ARGS)

faults: dev ## Run each fault of processes, stores and ways alone; random histories and requests; crowds of thousands.
	$(pytest) $(foreach part,$(faults),tests/$(part)) $(ARGS)

project: dev ## Run the tests of the tree itself: rooms, names, sizes, tables of docs/, cold start, packages.
	$(pytest) tests/project $(ARGS)

harness: dev ## Run the tests of the tests' own tools: checker, fault proxy, emulator, platforms.
	$(pytest) tests/testkit $(ARGS)

check: lint types contracts test rest wheel ## All that has to be right before a commit.

lint: dev
	"$(bin)/ruff" check .
	"$(bin)/ruff" format --check .

types: dev
	"$(bin)/mypy"

contracts: dev
	"$(bin)/lint-imports"

wheel: dev ## Build the wheel, leave it in dist/, and test it where the tree cannot be seen.
	"$(bin)/python" .ci/wheel.py

soak: dev ## A crowd reads and writes for a minute while everything fails. ARGS="--seconds 1200 --seed 7 --store tcp"
	"$(bin)/python" -m tests.soak $(ARGS)

mutants: dev ## Break each promise on purpose and see its test catch it. ARGS="trim-gap-silent" breaks one.
	"$(bin)/python" -m tests.mutants $(ARGS)

lambda: setup ## Build the zips for AWS Lambda. ARGS="--python 3.13 --machine x86_64" is handed on.
	"$(bin)/python" deploy/lambda/build.py $(ARGS)

bench: dev ## Measure. ARGS="fanout" runs one of them.
	"$(bin)/python" -m benchmarks $(ARGS)

lock: dev ## Renew requirements/*.txt from pyproject.toml. ARGS=--upgrade takes the newest versions.
	sh requirements/lock.sh "$(bin)/uv" $(ARGS)

clean: ## Remove .venv, caches and build output. The data folder .gapless stays.
	rm -rf -- "$(VENV)" build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . \( -name .gapless -o -name .git -o -name node_modules \) -prune -o -name __pycache__ -prune -exec rm -rf -- {} +
