GO ?= go
BIN := bin/patchproof
PLAN := configs/plans/btrfs-dio-race-6.1.yaml
# A guest test may have to build kernels first: no cache, two cores.
TESTTIMEOUT ?= 80m
SOURCE := /usr/src/linux-source-6.1.tar.xz

.PHONY: build check test e2e demo nightly bench bench-perturb bench-report clean setup fuzz

build:
	$(GO) build -trimpath -o $(BIN) ./cmd/patchproof

setup:
	@scripts/setup

# Everything that needs no guest; under a minute.
check:
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "gofmt: run gofmt -w on:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags vm ./...
	$(GO) vet -tags e2e ./results/live
	$(GO) tool staticcheck ./...
	$(GO) tool staticcheck -tags vm ./...
	$(GO) tool staticcheck -tags e2e ./results/live
	$(GO) test ./...

# The site in Chromium.
e2e:
	@scripts/setup test
	$(GO) test -tags e2e -run E2E -count 1 -timeout 10m ./results/live

# check, then the tests on real kernels and real guests. One package at a
# time: guests of two packages at once would only take each other's cores.
test: setup check build e2e
	kernel=$$($(BIN) kernel build --tarball $(SOURCE)) && \
	$(GO) test -tags vm -timeout $(TESTTIMEOUT) ./vm -args -kernel $$kernel
	$(GO) test -tags vm -run VM -p 1 -timeout $(TESTTIMEOUT) ./kernels ./orchestrator ./cmd/...

demo: setup build
	$(BIN) verify $(PLAN)

# The race on four kernels, one of them Debian's packaged 6.12 (fetched once, 100
# MB): 64 cells. In the end the cells of the base kernel with compression fail,
# and no others.
nightly: setup build
	scripts/debian-kernel 6.12 .cache/debian-6.12
	$(BIN) matrix configs/nightly.yaml --fail-on none

# Rates and cost of perturbed kernels: 60 runs, half an hour.
bench-perturb: setup build
	$(GO) test -tags vm -run '^$$' -bench VMPerturb -benchtime 1x -timeout $(TESTTIMEOUT) ./cmd/...

bench: setup build
	$(GO) test -run '^$$' -bench . -p 1 ./dmesg ./kernels ./results/...
	kernel=$$($(BIN) kernel build --tarball $(SOURCE)) && \
	$(GO) test -tags vm -run '^$$' -bench . -benchtime 5x -timeout $(TESTTIMEOUT) ./vm -args -kernel $$kernel
	$(GO) test -tags vm -run '^$$' -bench VMHarness -benchtime 1x -p 1 -timeout $(TESTTIMEOUT) ./cmd/...
	$(BIN) bench verdict --jobs 2 --tuned btrfs-dio-race-6.1-tuned btrfs-dio-race-6.1

# The founding report's workload, 8 GiB a run, for a verdict with and without
# saved machines: two hours without KVM.
bench-report: setup build
	$(BIN) bench verdict --perturb fs/btrfs/file.c,fs/btrfs/inode.c btrfs-dio-race-report-6.1

# Each parser's fuzz target for FUZZTIME.
FUZZTIME ?= 30s
fuzz:
	FUZZTIME=$(FUZZTIME) scripts/fuzz

clean:
	rm -rf bin
