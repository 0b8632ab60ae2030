# make build test lint cross bench run; see README.md.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
COMMIT   ?= $(shell git rev-parse --short HEAD 2>/dev/null)
LDFLAGS   = -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
OUT       = .build
# Pinned: the newest of these do not always build.
TOOLS     = $(CURDIR)/$(OUT)/tools
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFUMPT   = mvdan.cc/gofumpt@v0.12.0
# name,GOARCH,setting of each target
TARGETS   = amd64,amd64 arm64,arm64 armv5,arm,GOARM=5 armv6,arm,GOARM=6 armv7,arm,GOARM=7 \
            mipsle,mipsle,GOMIPS=softfloat mips,mips,GOMIPS=softfloat
comma     = ,
FUZZTIME ?= 5m

.PHONY: build run test soak test-mips test-mipsle lint cross bench fuzz clean

build:
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o $(OUT)/lorawand ./cmd/lorawand

run: build
	$(OUT)/lorawand demo

# With the race detector where it can be had: it needs cgo and a C compiler. One
# package at a time: some tests hold a real clock to tens of milliseconds.
test:
	@if [ "$$($(GO) env CGO_ENABLED)" = 1 ] && [ "$$($(GO) env GOARCH)" = amd64 ] && command -v "$$($(GO) env CC)" >/dev/null; \
	then set -x; $(GO) test -race -p 1 ./...; else set -x; $(GO) test -p 1 ./...; fi

# A thousand kills of the daemon in real traffic.
soak:
	LORAWAND_KILLS=1000 $(GO) test -run '^TestKill$$' -v -timeout 2h ./cmd/lorawand

# What every gateway runs, under emulation of its CPU (Debian: qemu-user-static):
# the unit tests, and whole flows in fake time.
test-mips: EMULATED = GOARCH=mips GOMIPS=softfloat CGO_ENABLED=0 $(GO) test -exec 'qemu-mips-static -cpu 24Kc'
test-mipsle: EMULATED = GOARCH=mipsle GOMIPS=softfloat CGO_ENABLED=0 $(GO) test -exec 'qemu-mipsel-static -cpu 24Kc'
test-mips test-mipsle:
	$(EMULATED) ./radio/... ./concentrator/... ./bridge/...
	$(EMULATED) -run '^TestAir' ./cmd/lorawand

lint: $(TOOLS)/staticcheck $(TOOLS)/gofumpt
	$(GO) vet ./...
	$(TOOLS)/staticcheck ./...
	@bad=$$($(TOOLS)/gofumpt -l .); if [ -n "$$bad" ]; then echo "gofumpt: $$bad"; exit 1; fi

$(TOOLS)/staticcheck:
	GOBIN=$(TOOLS) $(GO) install $(STATICCHECK)

$(TOOLS)/gofumpt:
	GOBIN=$(TOOLS) $(GO) install $(GOFUMPT)

cross: $(addprefix cross-,$(TARGETS))

cross-%:
	@set -- $(subst $(comma), ,$*); \
	env $$3 GOOS=linux GOARCH=$$2 CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o $(OUT)/lorawand-$$1 ./cmd/lorawand && \
	ls -l $(OUT)/lorawand-$$1 | awk '{ printf "%-28s %9d bytes\n", $$NF, $$5 }'

# What the daemon costs, as one table; it fails where a limit is passed. Debian:
# qemu-user-static. Each package has benchmarks of its own: go test -bench .
bench:
	$(GO) test -run '^$$' -bench '^BenchmarkCosts$$' -benchtime 1x ./cmd/lorawand

# Each parser of outside bytes in turn.
FUZZ = FuzzUplinkToken,./radio FuzzParseData,./radio/frame FuzzAgainstLibrary,./radio/frame FuzzJoinRequest,./radio/frame FuzzJoinAccept,./radio/frame \
       FuzzDatagram,./radio/gwmp FuzzPush,./radio/gwmp FuzzFilter,./bridge/v3 FuzzDownlinks,./bridge/v3 FuzzParse,./bridge/v3/enddevice \
       FuzzUplink,./bridge/mac FuzzJournal,./bridge/store FuzzSnapshot,./bridge/store FuzzBackup,./bridge/store FuzzRequest,./bridge/admin
fuzz:
	@set -e; for t in $(FUZZ); do \
		set -x; $(GO) test -run '^$$' -fuzz "^$${t%%,*}\$$" -fuzztime $(FUZZTIME) "$${t#*,}"; { set +x; } 2>/dev/null; \
	done

clean:
	rm -rf $(OUT)
