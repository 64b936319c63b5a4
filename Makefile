# Every target with its line of help: make help

GO ?= go
export GOTOOLCHAIN = local
# What .ci/components puts there (promtool) is found by the tests.
export PATH := $(CURDIR)/tmp/bin:$(PATH):/usr/local/go/bin

# The race detector needs cgo and a C compiler. The product needs neither.
CC_FOUND := $(shell PATH="$(PATH)"; command -v $$($(GO) env CC) 2>/dev/null)
RACE := $(if $(CC_FOUND),-race)
# What is compiled for tests is not compiled by profile, which would take all of it twice; the
# weir that they start is.
GOTEST = CGO_ENABLED=$(if $(RACE),1,0) $(CURDIR)/bin/gotest $(RACE) -pgo=off -timeout 15m
PKG ?= ./...

.PHONY: run test check bench demo build docs fuzz image help

run: build ## build weir and run it with no configuration; its state is kept in ./tmp/state
	STATE_DIRECTORY="$${STATE_DIRECTORY:-$(CURDIR)/tmp/state}" ./bin/weir run

test: ## install real components where possible, then vet and test everything (PKG=./… for a part)
	@.ci/components
	$(GO) vet -pgo=off $(PKG)
	@$(if $(RACE),,echo "SKIP race detector: no C compiler on this machine, tests run without it")
	@CGO_ENABLED=0 $(GO) build -o bin/gotest ./internal/realtest/gotest
	$(GOTEST) $(PKG)
	$(if $(filter ./...,$(PKG)),cd bench && $(GO) vet ./... && $(GOTEST) ./...)

check: ## what CI runs: formatting, linters, the tests, some seconds of each fuzz test
	@failed=""; \
	.ci/lint || failed="$$failed lint"; \
	$(MAKE) --no-print-directory test || failed="$$failed test"; \
	.ci/fuzz 200 || failed="$$failed fuzz"; \
	if [ -n "$$failed" ]; then echo "make check: FAILED:$$failed"; exit 1; fi; \
	echo "make check: passed"

bench: ## measure weir and what peers this machine has, in one table (BENCH="-quick", "-long", "-o FILE", "-profile FILE")
	cd bench && $(GO) run ./cmd/bench $(BENCH)

demo: build ## generate traffic, follow it, and show the counts moving
	./bin/weir demo

build: ## build the static binary ./bin/weir
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/weir ./cmd/weir

docs: ## write the reference pages again from the code
	$(GO) generate ./...

fuzz: ## ten seconds of each fuzz test
	@.ci/fuzz

image: build ## make the container image weir:latest without any registry
	deploy/image.sh bin/weir

help: ## print this
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 9
