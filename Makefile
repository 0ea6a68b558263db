# Each target is one command that does the whole of what it says.

export PATH := $(CURDIR)/.venv/sam/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0

FUNCTIONS := api mailer import-planner import-worker sweeper feedback operations details
LOCAL := cargo run --quiet --bin muster-local --

.PHONY: up demo inbox down deploy test test-long simulate bench audit build tools

up: build ## start the local stack and deploy to it
	@$(LOCAL) up

demo: build ## run the main job on the local stack
	@$(LOCAL) demo

inbox: tools ## show the mails that were sent
	@$(LOCAL) inbox

down: ## stop the local stack
	@$(LOCAL) down

ENV ?= prod
STACK ?=
REGION ?=
SENDER ?=
PARAMETERS ?=
DEPLOY = cargo run --quiet --bin muster-deploy -- --environment $(ENV) $(STACK:%=--stack %) $(REGION:%=--region %) $(SENDER:%=SenderAddress=%) $(PARAMETERS)

deploy: tools ## deploy to AWS: SENDER=<address> REGION=<region> [ENV=prod STACK=<name> PARAMETERS="Key=Value …"]
	@$(DEPLOY) --check
	@$(MAKE) --no-print-directory build
	@$(DEPLOY)

test: tools ## everything that gates a change
	@tests/stages.sh

FROM ?= 0
COUNT ?= 300
STORY ?= people
SIMULATE := cargo run --quiet --bin simulate --
PROVE := cargo run --quiet --profile proof --bin simulate --

simulate: ## seeded schedules of faults: FROM=<seed> COUNT=<n> [STORY=people|import|plain-import|repeats] [TIMELINE=1 | BUDGET=1]
	@$(SIMULATE) --story $(STORY) --from $(FROM) --count $(COUNT) $(if $(TIMELINE),--timeline) $(if $(BUDGET),--budget)

test-long: build ## the long proofs: 10,000 schedules, 1,000 of imports, 100,000 mails due at once, 1,000,000 rows, 100 kills
	@$(PROVE) --count 10000
	@$(PROVE) --story import --count 1000
	@$(PROVE) --story plain-import --count 100
	@$(PROVE) --story repeats --count 1000
	@$(PROVE) --flood 100000 --rate 50
	@$(PROVE) --rows 1000000 --per-mille 300
	@$(PROVE) --kills 100

PAIRS ?= 500

bench: build ## what the time of an answer tells a stranger, what a row costs the worker, how long many sources take: [PAIRS=<n>]
	@cargo bench --quiet --profile dev --package muster-tests --bench timing -- --count $(PAIRS)
	@cargo bench --quiet --profile dev --package muster-tests --bench timing -- --count $(PAIRS) --attributes 14000
	@cargo bench --quiet --package muster-tests --bench lag
	@infra/local/tools/install.sh aiohttp
	@cargo bench --quiet --package muster-tests --bench details

audit: ## licences, bans and sources of every dependency
	@test -x .venv/cargo/bin/cargo-deny || cargo install --quiet --locked --root .venv/cargo cargo-deny@0.20.2
	@.venv/cargo/bin/cargo-deny --log-level error check bans licenses sources

build: tools ## the functions, as they go to AWS
	@echo "Building the functions (several minutes the first time)"
	@cargo lambda build --quiet --release $(FUNCTIONS:%=--package muster-%)

tools: ## emulator, SAM and cargo-lambda, into .venv/
	@infra/local/tools/install.sh
