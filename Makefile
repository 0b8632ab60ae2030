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

.PHONY: build run test test-mips test-mipsle lint cross bench fuzz clean

build:
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o $(OUT)/lorawand ./cmd/lorawand

run: build
	$(OUT)/lorawand demo

# With the race detector where it can be had: it needs cgo and a C compiler.
test:
	@if [ "$$($(GO) env CGO_ENABLED)" = 1 ] && [ "$$($(GO) env GOARCH)" = amd64 ] && command -v "$$($(GO) env CC)" >/dev/null; \
	then set -x; $(GO) test -race ./...; else set -x; $(GO) test ./...; fi

# What every gateway runs, under emulation of its CPU (Debian: qemu-user-static).
test-mips:
	GOARCH=mips GOMIPS=softfloat CGO_ENABLED=0 $(GO) test -exec 'qemu-mips-static -cpu 24Kc' ./radio/... ./concentrator/... ./bridge/...

test-mipsle:
	GOARCH=mipsle GOMIPS=softfloat CGO_ENABLED=0 $(GO) test -exec 'qemu-mipsel-static -cpu 24Kc' ./radio/... ./concentrator/... ./bridge/...

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

bench:
	$(GO) test -run '^$$' -bench . ./radio/... ./bridge/...
	$(GO) test -run '^$$' -bench . -benchtime 1x ./cmd/...

# Each parser of outside bytes in turn.
fuzz:
	$(GO) test -run '^$$' -fuzz '^FuzzUplinkToken$$' -fuzztime $(FUZZTIME) ./radio
	$(GO) test -run '^$$' -fuzz '^FuzzParseData$$' -fuzztime $(FUZZTIME) ./radio/frame
	$(GO) test -run '^$$' -fuzz '^FuzzDatagram$$' -fuzztime $(FUZZTIME) ./radio/gwmp
	$(GO) test -run '^$$' -fuzz '^FuzzPush$$' -fuzztime $(FUZZTIME) ./radio/gwmp
	$(GO) test -run '^$$' -fuzz '^FuzzFilter$$' -fuzztime $(FUZZTIME) ./bridge/v3
	$(GO) test -run '^$$' -fuzz '^FuzzParse$$' -fuzztime $(FUZZTIME) ./bridge/v3/enddevice

clean:
	rm -rf $(OUT)
