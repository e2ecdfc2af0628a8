# SPDX-License-Identifier: Apache-2.0

LAB_VERSION       ?= 1.37.0
LAB_TEST_VERSIONS ?= 1.37.0,1.32.2
MATRIX_VERSIONS   ?= 1.37.0,1.34.4,1.32.2,1.28.15,1.25.0
HOP_VERSIONS      ?= 1.24.17,1.25.0,1.32.2,1.33.13,1.34.4,1.35.4,1.36.3,1.37.0
NODE_VERSIONS     ?= 1.37.0,1.32.2
NODE_PROBES       ?= 10000
NODE_PATIENT      ?=
NODE_KILLS        ?=
NODE_RATE         ?= 50
NODE_TESTS        ?= ^TestNode
FUZZTIME          ?= $(if $(filter true,$(CI)),20s,60s)
FUZZTIME_OTHERS   ?= 5s
VERSION           ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)

GO_BUILD = CGO_ENABLED=0 go build -trimpath -buildvcs=false
LDFLAGS  = -s -w -X perennial.dev/perennial/internal/cli.Version=$(VERSION)
BIN      = $(CURDIR)/bin
WITH_LAB = PERENNIAL_LAB=$(BIN)/lab PERENNIAL_BIN=$(BIN)/perennial
comma   := ,

# The sources of all three modules, for what goes by file.
SOURCES = cmd internal lab hack

.DEFAULT_GOAL := help
ifneq ($(TOGETHER),true)
.NOTPARALLEL:
endif
.PHONY: help build demo demo-down test lint bench fuzz matrix e2e knowledge clean lab labs e2e.test test-go test-lab test-node lab-newest-first lab-newest-rest lab-older lab-packages lab-itself node-itself node-newest node-older node-fuzz

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "  make %-10s %s\n", $$1, $$2 }'

build: ## build bin/perennial, one static binary
	$(GO_BUILD) -ldflags '$(LDFLAGS)' -o bin/perennial ./cmd/perennial

demo: build lab ## show a real control plane, what stops it and what helps (LAB_VERSION=1.32.2 for another)
	bin/lab demo --perennial $(BIN)/perennial --version $(LAB_VERSION)

demo-down: lab ## end what the demo started and remove it
	bin/lab down --name demo

test: lint test-go test-lab test-node ## run all tests (fuzzing too where CI=true)
	@echo "== all tests passed"

lint: ## gofmt, go vet and staticcheck, for all three modules
	@echo "== gofmt"
	@bad=$$(gofmt -l $(SOURCES)); test -z "$$bad" || { echo "not formatted, run gofmt -w on:"; echo "$$bad"; exit 1; }
	@echo "== go vet"
	@status=0; for module in . lab hack; do go -C $$module vet ./... || status=1; done; exit $$status
	@echo "== staticcheck"
	@go -C hack build -o $(BIN)/staticcheck honnef.co/go/tools/cmd/staticcheck
	@status=0; for module in . lab hack; do (cd $$module && $(BIN)/staticcheck ./...) || status=1; done; exit $$status

bench: build lab ## measure, on a control plane of the lab
	bench/check $(LAB_VERSION)
	go test -run '^$$' -bench . ./...

# go test -list prints a package's targets and then the package itself.
# What reads files and command lines of others gets FUZZTIME, the rest less.
# Without a limit on minimising, that takes most of the minute.
READERS = FuzzRead FuzzReadKubeconfig FuzzParseManifest FuzzParseKubeletConfig FuzzCommandLine

# Before Go 1.27 the end of the time may itself count as a failure, without an input
# that failed (go.dev/issue/75804): then it is tried once more.
fuzz: ## fuzz the readers for FUZZTIME each, other targets for FUZZTIME_OTHERS
	@mkdir -p $(BIN)
	@go test -list '^Fuzz' ./... | while read -r word package rest; do \
	  case $$word in \
	    Fuzz*) targets="$$targets $$word" ;; \
	    ok) for target in $$targets; do \
	          time=$(FUZZTIME_OTHERS); for reader in $(READERS); do test $$target != $$reader || time=$(FUZZTIME); done; \
	          echo "== $$target in $$package for $$time"; \
	          once() { go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $$time -fuzzminimizetime 1x $$package >$(BIN)/fuzz.log 2>&1; }; \
	          once || { grep -q 'context deadline exceeded' $(BIN)/fuzz.log && ! grep -q 'Failing input' $(BIN)/fuzz.log && once; } || { cat $(BIN)/fuzz.log; exit 1; }; \
	          tail -n 1 $(BIN)/fuzz.log; \
	        done; targets= ;; \
	    FAIL) echo "$$word $$package $$rest"; exit 1 ;; \
	  esac; \
	done

# Real nodes need root: elsewhere their part is left out, and said to be. The
# output is kept where something fails, too.
matrix: build lab ## test all versions, on labs and real nodes; keep the output in bench/matrix/
	@mkdir -p bench/matrix
	@status=0; \
	keep() { \
	  file=bench/matrix/$$1.txt; shift; \
	  env $(WITH_LAB) "$$@" >$(BIN)/matrix.log 2>&1 || status=1; \
	  cat $(BIN)/matrix.log >>$$file; grep -E '^ *(---|ok|FAIL)' $(BIN)/matrix.log; \
	}; \
	test='go test -count=1 -timeout 60m -v'; \
	for version in $(subst $(comma), ,$(MATRIX_VERSIONS)); do \
	  bin/lab build --version $$version >/dev/null || exit 1; \
	  rm -f bench/matrix/$$version.txt; \
	  echo "== $$version on a lab"; \
	  keep $$version LAB_TEST_VERSIONS=$$version PERENNIAL_KILLS=all $$test -skip '^TestNode' ./internal/e2e; \
	  keep $$version LAB_TEST_VERSIONS=$$version $$test -run '^TestLab' -p 1 ./internal/pki ./internal/kube ./internal/etcd ./internal/rules ./internal/source ./internal/upgrade ./internal/workload; \
	  test "$$(id -u)" = 0 || { echo "== skipped: a real node of $$version, which needs root"; continue; }; \
	  rm -f bench/matrix/node-$$version.txt; \
	  echo "== $$version on a real node"; \
	  keep node-$$version PERENNIAL_NODE_VERSIONS=$$version PERENNIAL_NODE_PROBES=3000 PERENNIAL_NODE_LIVES=3 $$test -run '^TestNode' ./internal/e2e; \
	done; \
	for version in $(subst $(comma), ,$(HOP_VERSIONS)); do bin/lab build --version $$version >/dev/null || exit 1; done; \
	rm -f bench/matrix/hops.txt; \
	echo "== what needs several of $(HOP_VERSIONS)"; \
	keep hops LAB_TEST_VERSIONS=$(HOP_VERSIONS) $$test -run '^Test(UpgradeHops|UpgradeArticle|FromPodSecurityPolicies)$$' ./internal/e2e; \
	keep hops LAB_TEST_VERSIONS=$(HOP_VERSIONS) $$test -run '^TestLab(Discovery|Kuberc|Starts)$$' -p 1 ./internal/rules ./internal/cli ./internal/upgrade; \
	exit $$status

# Installs the Debian packages that a node needs, and leaves nothing else behind.
e2e: build lab ## test on real nodes with kubelet, containerd and static pods, as root
	@test "$$(id -u)" = 0 || { echo "make e2e: real nodes need root"; exit 1; }
	$(WITH_LAB) PERENNIAL_NODE_VERSIONS=$(NODE_VERSIONS) PERENNIAL_NODE_PROBES=$(NODE_PROBES) PERENNIAL_NODE_PATIENT=$(NODE_PATIENT) PERENNIAL_NODE_KILLS=$(NODE_KILLS) PERENNIAL_NODE_RATE=$(NODE_RATE) \
	  go test -count=1 -timeout 3h -v -run '$(NODE_TESTS)' ./internal/e2e
	PERENNIAL_NODE_VERSIONS=$(NODE_VERSIONS) go -C lab test -count=1 -timeout 30m -v -run '^TestNodes$$' ./cmd/lab

# MINORS=36,37 measures these and keeps the others; the rest comes as it is.
MINORS ?= all

knowledge: ## measure Kubernetes' released modules and write internal/rules/data anew
	go -C hack run ./knowledge -minors $(MINORS)

clean: ## remove what was built here (the lab's cache stays)
	rm -rf bin

lab:
	@go -C lab build -trimpath -buildvcs=false -o $(BIN)/lab ./cmd/lab

# Building a version takes minutes once; then it is in the cache.
labs: lab
	@for version in $(subst $(comma), ,$(LAB_TEST_VERSIONS)); do bin/lab build --version $$version >/dev/null || exit 1; done

# With -v, so that what was skipped can be named with its reason; what is shown
# is what go test shows without it. What runs control planes is left to test-lab.
# With -count=1, because go test otherwise reads the names of all files that a test
# opened: after a power failure at every file operation these are gigabytes.
test-go:
	@mkdir -p bin
	@status=0; for module in . lab hack; do \
	  echo "== go test in $$module"; \
	  packages=$$(go -C $$module list ./... | grep -v -e '/internal/e2e$$' -e '/lab/cmd/lab$$'); \
	  if go -C $$module test -count=1 -v $$packages >$(BIN)/test.log 2>&1; then \
	    grep -E '^(ok|\?) ' $(BIN)/test.log; \
	    ! grep -q -e '^ *--- SKIP' $(BIN)/test.log || { echo "skipped:"; grep -B1 -e '^ *--- SKIP' $(BIN)/test.log; }; \
	  else \
	    grep -vE '^(=== |PASS$$| *--- PASS)' $(BIN)/test.log; status=1; \
	  fi; \
	done; exit $$status

# CI has an hour: what the product does to itself (killed, cut off, without a
# server) and the lab's own tests run on the newest version only there.
OLDER     = $(filter-out $(LAB_VERSION),$(subst $(comma), ,$(LAB_TEST_VERSIONS)))
CI_OLDER  = -test.skip '^Test(Killed|KilledWhileMaking|Swaps|RenewExpired|RenewWithoutServer|CronJobsRunWhenReckoned|PrepareCutOff|AgentUnderSystemd)$$'
ON_OLDER  = $(if $(filter true,$(CI)),$(CI_OLDER))
LAB_TESTS = $(if $(filter true,$(CI)),$(LAB_VERSION),$(LAB_TEST_VERSIONS))
E2E       = env -C internal/e2e $(WITH_LAB)
E2E_TEST  = $(BIN)/e2e.test -test.v -test.timeout 60m

# Most of a control plane's time is waiting: parts run side by side, and what
# a part prints comes when it ends.
SIDE_BY_SIDE = $(MAKE) -j3 --output-sync=target TOGETHER=true

test-lab: build labs e2e.test
	@echo "== go test on control planes of Kubernetes $(LAB_TEST_VERSIONS)"
	@$(SIDE_BY_SIDE) lab-newest-first lab-newest-rest lab-older
	@$(SIDE_BY_SIDE) lab-packages lab-itself

# One test program for all that runs it.
e2e.test:
	@mkdir -p $(BIN)
	@go test -c -o $(BIN)/e2e.test ./internal/e2e

lab-newest-first:
	$(E2E) LAB_TEST_VERSIONS=$(LAB_VERSION) $(E2E_TEST) -test.run '^Test[A-O]'

lab-newest-rest:
	$(E2E) LAB_TEST_VERSIONS=$(LAB_VERSION) $(E2E_TEST) -test.run '^Test[^A-O]'

lab-older:
	@for version in $(OLDER); do $(E2E) LAB_TEST_VERSIONS=$$version $(E2E_TEST) $(ON_OLDER) || exit 1; done

lab-packages:
	$(WITH_LAB) LAB_TEST_VERSIONS=$(LAB_TEST_VERSIONS) go test -count=1 -timeout 30m -v -run Lab ./internal/pki
	$(WITH_LAB) LAB_TEST_VERSIONS=$(LAB_VERSION) go test -count=1 -timeout 30m -p 1 -v -run Lab ./internal/kube ./internal/etcd ./internal/rules ./internal/source ./internal/upgrade ./internal/workload ./internal/cli

lab-itself:
	LAB_TEST_VERSIONS=$(LAB_TESTS) go -C lab test -count=1 -timeout 30m -v ./cmd/lab

# In CI both versions renew and hand over, with a quarter of the probes, so that they
# do not measure a small machine, and one wait for idle watches, and on the newest one
# the program is killed at some points; what else can go wrong is the matrix's. Beside
# that an agent keeps a node whose certificates live six minutes: most of it is
# waiting. Elsewhere a node is made on request only, because that installs packages.
CI_NODE_TESTS = ^TestNode(RenewalCostsNothing|Handover|HandoverKilled)$$
OLDER_NODE    = $(lastword $(subst $(comma), ,$(NODE_VERSIONS)))
CI_NODES      = $(E2E) PERENNIAL_NODE_PROBES=500 PERENNIAL_NODE_RATE=12
test-node: build lab e2e.test
	@if [ "$(CI)" != true ]; then echo "== skipped: real nodes, which are tested where CI=true; run make e2e as root"; \
	elif [ "$$(id -u)" != 0 ]; then echo "== skipped: real nodes, which need root; run make e2e as root"; $(SIDE_BY_SIDE) fuzz; \
	elif ! unshare --mount --net --pid --fork true; then echo "== skipped: real nodes, which need namespaces that this machine does not allow"; $(SIDE_BY_SIDE) fuzz; \
	else $(CI_NODES) PERENNIAL_NODE_VERSIONS=$(LAB_VERSION) $(E2E_TEST) -test.run '^TestNodeIsSeenWhole$$' && $(SIDE_BY_SIDE) node-itself && $(SIDE_BY_SIDE) node-newest node-older node-fuzz; fi

# It compares the whole machine before and after, so that nothing runs beside it.
node-itself:
	PERENNIAL_NODE_VERSIONS=$(LAB_VERSION) go -C lab test -count=1 -timeout 30m -v -run '^TestNodes$$' ./cmd/lab

node-newest:
	$(CI_NODES) PERENNIAL_NODE_VERSIONS=$(LAB_VERSION) PERENNIAL_NODE_PATIENT=1 PERENNIAL_NODE_KILLS=2 $(E2E_TEST) -test.run '$(CI_NODE_TESTS)'

# What the nodes leave of the processors, fuzzing takes.
node-fuzz:
	@nice -n 19 $(SIDE_BY_SIDE) fuzz

node-older:
	$(CI_NODES) PERENNIAL_NODE_VERSIONS=$(LAB_VERSION) $(E2E_TEST) -test.run '^TestNodeAgent$$'
	$(CI_NODES) PERENNIAL_NODE_VERSIONS=$(OLDER_NODE) PERENNIAL_NODE_PATIENT=0 $(E2E_TEST) -test.run '^TestNode(RenewalCostsNothing|Handover)$$'
