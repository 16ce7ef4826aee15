# chordtorrent: every task by name. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
FUZZTIME ?= 60s
BENCHTIME ?= 1s
, := ,

# Every task that help lists.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## compile the programs, static, into bin/
	@mkdir -p bin
	@# Asked for here and not above: a GOOS behind make is known to what a rule starts only.
	flags=$$(scripts/ldflags.sh $$(go env GOOS GOARCH) '$(VERSION)') && \
		CGO_ENABLED=0 go build -trimpath -ldflags "$$flags" -o bin/ ./cmd/chordnode ./cmd/btclient ./cmd/chordsim

dist: ## packages of this commit, the same bytes wherever they are made, into dist/; not all with PLATFORMS="linux/amd64 …"
	@scripts/dist.sh

check-dist: ## two clones give the same packages; the .deb is installed, removed and purged below a folder
	@scripts/check-dist.sh

check-units: build ## systemd understands the units, and takes them for well shut in
	@scripts/check-units.sh

demo: build ## a ring of three, a publish, three downloads, a node killed; everything compared
	@scripts/demo.sh

test: ## the tests, quick and dependable, with the race detector
	@scripts/need.sh cc chromium tmux
	go vet ./...
	go test -race -timeout 10m ./...
	@# These have one goroutine each: the race detector would only make them slow.
	go test -run '^(TestSmallRings|TestSeeds|TestMutations)' ./chord
	go test -run '^TestCrowd' ./transfer/picker
	@# What only packages need is not in the programs.
	go test -tags manual ./cmd/manual

explore: ## every interleaving of the small rings: an hour, 10 GB of memory
	go test -run '^TestSmallRings' -v -timeout 6h ./chord -chord.exhaustive

seeds: ## the ring's scenarios with 20,000 seeds, or MORE times 500
	go test -run '^TestSeeds$$' -v -timeout 6h ./chord -chord.more $(or $(MORE),40)

pictures: ## of every page, light, dark and narrow, into docs/images
	@scripts/need.sh chromium
	go test -run '^TestPagesAreForEverybody$$' ./client/web -web.screenshots $(CURDIR)/docs/images

swarm: ## a day of a swarm of 1,000 peers in virtual time, into bench/swarm/day.json
	COMMIT=$$(git rev-parse --short HEAD) go test -run '^TestSwarmInVirtualTime$$' -v -timeout 2h ./transfer/picker -picker.day

crowd: ## 200 that fetch in one process, into bench/swarm/many.json; thousands of connections; 50 downloads killed
	@# In memory, as one to one is: the data of 200 would be written to a disk, that of one stays in the cache.
	TMPDIR=$$(test -d /dev/shm && echo /dev/shm || echo /tmp) COMMIT=$$(git rev-parse --short HEAD) go test -run '^TestMany' -v -timeout 20m ./transfer -transfer.leechers 200 -transfer.mib 32 -transfer.rounds 5 \
		-transfer.connections $(or $(CONNECTIONS),9900) -transfer.out $(CURDIR)/bench/swarm/many.json
	go test -run '^TestScripts/(killed|daemonkilled)$$' -v -timeout 20m ./cmd/btclient -btclient.kills 50

race: ## the tests, again and again: COUNT=5 make race
	@scripts/need.sh cc chromium tmux
	go test -race -timeout 60m -count=$(or $(COUNT),3) ./...

lint: ## formatting, vet and golangci-lint with the import directions
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -d $$(git ls-files '*.go'); exit 1; }
	go run $(LINT) run ./...

fuzz: ## every fuzz target for FUZZTIME (60s)
	@scripts/fuzz.sh $(FUZZTIME)

bench: ## the Go benchmarks, in the form benchstat reads
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...

bench-hash: ## what hashing costs at a publish, beside openssl, into bench/swarm/hash.json
	@scripts/bench-hash.sh

bench-swarm: ARGS ?= --clients btclient,copy --leechers 8 --size 256m --rate 100m --out bench/swarm/bench.json
bench-swarm: ## whole programs on limited links, from one to eight; needs root; others with ARGS='--clients btclient,aria2 …'
	@scripts/bench.sh $(ARGS)

bench-daemon: build ## btclient serve: 10,000 files dropped, 1,000 idle seeds, 100,000 names, into bench/daemon; half an hour
	@mkdir -p bench/daemon
	go run ./scripts/daemonbench --commit $$(git rev-parse --short HEAD) --out bench/daemon/daemon.json $(ARGS)

bench-tracker: ## answers of the trackers for a second of CPU, into bench/tracker; TRACKLOAD names the load generator, CHIHAYA and OPENTRACKER others
	@scripts/bench-tracker.sh $(ARGS)

lab: ARGS ?= --hosts 20 --size 64m --rate 50m
lab: ## how long a file takes to many hosts, tried on this machine; needs root; more with ARGS='--hosts 40 --slow 5m …'
	@scripts/lab.sh $(ARGS)

kill-test: ARGS ?= --mode rounds,cuts,full-disk --cuts '6|6' --cut-for 10s
kill-test: ## 12 real chordnodes under load, some killed, some cut off; needs root; more with ARGS='--rounds 200'
	@scripts/kill-test.sh $(ARGS)

soak: ## the same for hours: 1,000 rounds, and whether members that stay alive grow
	@scripts/kill-test.sh --rounds 1000 --witnesses 2 --out bench/ring/soak.json

imaging: ## partitions become images and images partitions, with real file systems on loop devices; needs root
	@scripts/imaging-test.sh

alerts: ## check and try the rules for Prometheus
	@scripts/need.sh promtool
	promtool check rules deploy/prometheus/alerts.yml
	promtool test rules deploy/prometheus/alerts_test.yml

wireshark: ## btclient and aria2 fetch from btclient, tshark listens and must understand; needs root
	@scripts/wireshark.sh

interop: ## clients of others with our ring as their tracker and in our swarms; needs root; a quick half with ARGS=--quick
	@$(if $(ARGS),scripts/interop.sh $(ARGS),scripts/interop.sh --cases matrix$(,)udp --out bench/interop/matrix.json --doc docs/interop.md; \
	scripts/interop.sh --cases mixed --out bench/interop/mixed.json --doc docs/interop.md; \
	scripts/interop.sh --cases killed --out bench/interop/killed.json --doc docs/interop.md; \
	scripts/interop.sh --cases first-copies --out bench/interop/copies.json --doc docs/interop.md; \
	scripts/interop.sh --cases magnet$(,)encryption --out bench/interop/links.json --doc docs/interop.md)

devices: build ## block devices as source and target, on loop devices; needs root
	@scripts/need.sh losetup mkfs.ext4 mkswap
	@scripts/device-test.sh

sim: build ## figures of large rings into docs/scale: 100,000 members for ten minutes, half of 10,000 killed
	nice bin/chordsim --members 10000 --kill-half --json > docs/scale/recovery-10000.json
	nice bin/chordsim --members 100000 --half-life 1h --duration 10m --json > docs/scale/churn-100000.json
	$(MAKE) plots

plots: ## the drawings of docs/scale, of the results there
	go run ./cmd/chordsim plot docs/scale docs/scale/fingers-*.json docs/scale/gossip-*.json $(wildcard docs/scale/churn-*.json)

images: build ## chordtorrent/chordnode and chordtorrent/btclient for containers, or with TAG=… another tag
	@scripts/images.sh $(TAG)

compose-up: images ## a ring of five, a publisher with the web page and three downloaders in containers, to stay; more with ARGS='--scale chordnode=9'
	@scripts/compose-up.sh $(ARGS)

compose-demo: build ## the same for a demo: two nodes killed, one cut off, all restarted, and nothing lost
	@scripts/compose-demo.sh

clean: ## remove what make built
	rm -rf bin dist
