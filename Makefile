# Mortise. `make` lists the targets.

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME ?= 10s
# The demo starts anew every time; 10,000 seconds of traffic, held for an hour.
DEMO        ?= mortise-data/demo
DEMO_LISTEN ?= 127.0.0.1:9092
# Packages that start goroutines: `make test` runs these under the race
# detector, `make test RACE=all` runs all.
CONCURRENT := /(experiments|cmd|joiner/disk|joiner/checkpoint|features/pebble|features/redis|instances/dataset|internal/objectstore)(/|$$)
RACE       ?= concurrent
GOTEST     := go test -timeout 25m
# The linter is run from source at this version, so that every machine sees the same faults.
GOLANGCI   := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the static binary bin/mortise
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION)" -o bin/mortise ./cmd/mortise

.PHONY: run
run: build ## build, then run the demo to its end (under a minute); DEMO_LISTEN=host:port to move it
	rm -rf $(DEMO)
	./bin/mortise generate --out $(DEMO)/traffic --impressions 1500000 --rate 150
	./bin/mortise run examples/demo/experiment.yaml --embedded $(DEMO) --listen $(DEMO_LISTEN) --until-end --set output.parquet.path=$(DEMO)/instances \
	  --input impressions=$(DEMO)/traffic/impressions.jsonl --input clicks=$(DEMO)/traffic/clicks.jsonl \
	  --input orders=$(DEMO)/traffic/orders.jsonl --input queries=$(DEMO)/traffic/queries.jsonl

.PHONY: test
test: provision fmt-check vet ## set up what the tests need, check format, vet, run every test
ifeq ($(RACE),all)
	$(GOTEST) -race ./...
else
	$(GOTEST) $$(go list ./... | grep -vE '$(CONCURRENT)')
	$(GOTEST) $$(.ci/race-flag) $$(go list ./... | grep -E '$(CONCURRENT)')
endif

.PHONY: provision
provision: ## install what tests use (kcat, Apache Kafka, an S3 server, Parquet readers), where the machine allows it
	@.ci/provision

.PHONY: fmt-check
fmt-check:
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not gofmt-ed (run gofmt -w):"; echo "$$unformatted"; exit 1; }

.PHONY: vet
vet: ## go vet
	go vet ./...

.PHONY: race
race: provision ## run every test under the race detector
	$(GOTEST) -race ./...

SEEDS ?= 1000
.PHONY: sim
sim: ## simulate whole workers with SEEDS (1000) seeds, or SEED=n alone, telling what happens
ifdef SEED
	go test ./experiments -run 'TestSimulation$$' -v -args -seed $(SEED) -trace
else
	GOGC=400 go test ./experiments -run 'TestSimulation$$' -timeout 0 -args -seeds $(SEEDS)
endif

.PHONY: fuzz
fuzz: ## fuzz each target for FUZZTIME (10s)
	@.ci/fuzz $(FUZZTIME)

.PHONY: fuzz-corpus
fuzz-corpus: ## run each fuzz target on its seed corpus only
	$(GOTEST) -run '^Fuzz' ./...

.PHONY: bench
bench: ## run every benchmark once, sizes cut down by -short
	$(GOTEST) -short -run '^$$' -bench . -benchtime 1x ./...

.PHONY: lint
lint: ## golangci-lint with .golangci.yml
	$(GOLANGCI) run

.PHONY: clean
clean: ## remove what building and running the demo left here
	rm -rf bin out mortise-data mortise-state
