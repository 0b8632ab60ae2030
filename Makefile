# make build test lint cross dist bench run; see README.md.

GO       ?= go
VERSION  ?= $(shell packaging/version)
COMMIT   ?= $(shell git describe --always --exclude='*' --dirty 2>/dev/null)
LDFLAGS   = -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
OUT       = .build
# Pinned: the newest of these do not always build.
TOOLS     = $(CURDIR)/$(OUT)/tools
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFUMPT   = mvdan.cc/gofumpt@v0.12.0
NFPM      = github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4
# name,GOARCH,settings of each target. The cryptography of Go 1.26 has an array of
# 32 MiB, which the kernel of a board with as much memory refuses to map (golang/go
# #81505); that of v1.0.0 has not, see also go:debug in cmd/lorawand/main.go.
SMALL     = GOFIPS140=v1.0.0
TARGETS   = amd64,amd64 arm64,arm64 armv5,arm,GOARM=5,$(SMALL) armv6,arm,GOARM=6,$(SMALL) armv7,arm,GOARM=7 \
            mipsle,mipsle,GOMIPS=softfloat,$(SMALL) mips,mips,GOMIPS=softfloat,$(SMALL)
# What is shipped has a copy of two libraries in their place, by -modfile. That of the
# MQTT library is without the data of its own tests, which it makes whenever a program
# starts: 370 kB of memory; and without a goroutine for each client that would write what
# nobody gives it, as bridge/broker writes itself: 8 kB for each client. That of the
# JavaScript engine has some lines changed. It does not read two bytes at once at an odd
# address: a MIPS cannot, and while most kernels do it for the program, emulators of user programs do
# not. It does not look for methods of Go's values, which we give to no script: so the
# linker can leave out methods that nothing calls, which makes 2.3 MB. It cannot
# write profiles, see packaging/engine. And it compares texts by bridge/formatter/collate
# and not by tables of all scripts, which are 1.3 MB.
GOJA      = github.com/dop251/goja
MOCHI     = github.com/mochi-mqtt/server/v2
ENGINE    = -modfile=$(OUT)/engine/go.mod
comma     = ,
# What runs rarely and is compiled without inlining in what is shipped: 1.2 MB less on
# MIPS. Not here: what an uplink, a downlink or a script spends its time in.
RARE      = net/http/... crypto/tls/... crypto/x509/... encoding/asn1 encoding/csv mime/... net/textproto net/url \
            vendor/... regexp/... text/template/... github.com/spf13/... github.com/pelletier/... go.yaml.in/... \
            github.com/brocaar/lorawan/band github.com/dlclark/regexp2/v2/syntax github.com/gorilla/... \
            go.bug.st/... github.com/warthog618/... periph.io/... lorawand/cmd/... lorawand/bridge/admin/... \
            lorawand/bridge/codec/... lorawand/bridge/v3/enddevice/... lorawand/bridge/webhook \
            lorawand/bridge/provision lorawand/bridge/upstream/... lorawand/bridge/httpclient lorawand/concentrator/sx1302/board archive/... \
            encoding/json github.com/go-sourcemap/... github.com/mochi-mqtt/server/v2/listeners golang.org/x/crypto/... \
            golang.org/x/text/... log/slog/... math/big os/exec os/user text/tabwriter github.com/dop251/goja/parser \
            github.com/dop251/goja/ast lorawand/bridge/access lorawand/bridge/beacon lorawand/bridge/foreign/... \
            lorawand/bridge/forward lorawand/bridge/joins lorawand/bridge/state lorawand/bridge/store/... \
            lorawand/concentrator/gnss github.com/adrianmo/... lorawand/concentrator/stream lorawand/radio/region \
            lorawand/bridge/event lorawand/bridge/session/tombstone lorawand/concentrator/air \
            lorawand/concentrator/virtual lorawand/concentrator/sx1302/script \
            lorawand/bridge/recording lorawand/bridge/chirpstack github.com/brocaar/chirpstack-api/... \
            github.com/golang/protobuf/... compress/... encoding/pem crypto/rsa crypto/ecdsa lorawand/bridge/audit \
            lorawand/bridge/formatter/... reflect github.com/dlclark/regexp2/v2 github.com/mochi-mqtt/server/v2 net lorawand/bridge/mac \
            github.com/mochi-mqtt/server/v2/hooks/... lorawand/bridge/classb lorawand/bridge/classc \
            lorawand/bridge/homeassistant/... unique context crypto/ecdh crypto/elliptic crypto/ed25519 \
            crypto/internal/hpke encoding/base32 encoding/hex errors fmt internal/fmtsort flag log sort container/... \
            io/fs os os/exec path/filepath golang.org/x/sys/... \
            lorawand/bridge/broker/sessions lorawand/bridge/broker/status lorawand/bridge/broker/ws \
            lorawand/bridge/broker/secure lorawand/bridge/broker/pace lorawand/bridge/broker/linger \
            lorawand/bridge/pages lorawand/bridge/session/macstate \
            lorawand/concentrator/sx1302/sx1302test lorawand/concentrator/serial lorawand/bridge/httpclient \
            lorawand/bridge/broker/intake lorawand/bridge/order lorawand/bridge/pushes lorawand/bridge/activity lorawand/bridge/decode \
            net/netip github.com/rs/xid hash/fnv internal/godebug internal/bisect lorawand/bridge/broker/limits \
            lorawand/bridge/broker/packet lorawand/bridge/broker/received lorawand/bridge/broker/overhead
# The effects of one recording, which are to be the same on two machines.
REPLAYED  = -count=1 -run '^TestReplay$$' -v ./bridge/recording -inputs 10000 -effects
GCFLAGS   = $(foreach p,$(RARE),-gcflags=$(p)=-l)
FUZZTIME ?= 5m

.PHONY: go build run test pictures mistakes soak test-mips test-mipsle test-armv5 lint cross small manual dist smoke budget costs bench fuzz fuzz-first clean

build: $(OUT)/engine/go.mod | go
	CGO_ENABLED=0 $(GO) build $(ENGINE) -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o $(OUT)/lorawand ./cmd/lorawand

# Older Go says nothing that helps. From 1.21 on it fetches the version of go.mod itself,
# where it may: then it tells its version here.
go:
	@need=$$(sed -n 's/^go //p' go.mod); have=$$($(GO) version 2>/dev/null | sed -n 's/^go version go\([0-9.]*\).*/\1/p'); \
	if [ -z "$$have" ] && ! command -v $(GO) >/dev/null; then \
		echo "Go $$need or newer is needed, and there is no $(GO): see https://go.dev/dl" >&2; exit 1; fi; \
	if [ "$$(printf '%s\n' "$$need" "$$have" | sort -V | head -n 1)" != "$$need" ]; then \
		echo "Go $$need or newer is needed, and $(GO) is $${have:-older and cannot fetch it}: see https://go.dev/dl" >&2; exit 1; fi

run: build
	$(OUT)/lorawand demo

# With the race detector where it can be had: it needs cgo and a C compiler; the
# rooms of RULES, which start no goroutine, go without. One package at a time: some
# tests hold a real clock to tens of milliseconds. Those that read no clock run beside
# them, with what they leave of the processor, and so do the whole flows in fake time.
# The tests of LEASES run beside them too, but not behind them: they wait most of the time, and
# a lease ends where its leader gets no processor.
RULES     = ./bridge/core ./bridge/session/... ./bridge/mac ./bridge/schedule ./bridge/v3/... ./radio/...
CLOCKLESS = ./bridge/store ./bridge/store/storetest ./bridge/state ./bridge/upstream/backfill
LEASES    = ./bridge/store/jetstream/...
FLOW      = '^Test(Air|ChipDay)'
MONTH     = '^TestMonth$$'
test: $(OUT)/engine/go.mod
	@race=; if [ "$$($(GO) env CGO_ENABLED)" = 1 ] && [ "$$($(GO) env GOARCH)" = amd64 ] && command -v "$$($(GO) env CC)" >/dev/null; \
	then race=-race; fi; others=$$($(GO) list ./... | grep -vxF "$$($(GO) list $(RULES) $(CLOCKLESS) $(LEASES))"); set -x; \
	{ $(GO) test $$race $(LEASES) && nice -n 19 $(GO) test $(RULES) && nice -n 19 $(GO) test $$race -p 1 $(CLOCKLESS) && \
	nice -n 19 $(GO) test -timeout 20m -run $(MONTH) ./cmd/lorawand && \
	nice -n 19 $(GO) test $$race -timeout 20m -run $(FLOW) ./cmd/lorawand; } & clockless=$$!; \
	$(GO) test $$race -p 1 -timeout 20m -skip $(FLOW)'|'$(MONTH) $$others; rest=$$?; wait $$clockless && exit $$rest

# Pictures of all screens of the web page, in two widths.
pictures: $(OUT)/engine/go.mod
	mkdir -p $(OUT)/page
	LORAWAND_PICTURES=$(CURDIR)/$(OUT)/page $(GO) test -run '^TestPage$$' -count 1 ./cmd/lorawand

# Single mistakes in the chip's driver, each of which the recordings must find.
mistakes:
	$(GO) test -tags mistakes -run '^TestMistakes$$' -v ./concentrator/sx1302

# A thousand kills of the daemon in real traffic, of commands, and power cuts; two machines that lead in turn; a million bad packets,
# ten million hostile datagrams and a minute of wrong keys; a month of a thousand devices in fake time; scripts, 10 000
# uplinks a second, a program that wants the processor, mutated input of each parser that strangers reach, and an hour of
# writing to the flash. It takes 80 minutes on two cores, and wants a quiet machine. Each size can be another
# one: make soak SOAK_KILLS=5 …
SOAK_LOAD       = 5m
SOAK_PACKETS    = 1000000
SOAK_DATAGRAMS  = 10000000
SOAK_FLOOD      = 5m
SOAK_WEAR       = 1h
SOAK_KILLS      = 1000
SOAK_COMMANDS   = 500
SOAK_TAKEOVERS  = 200
SOAK_DAYS       = 30
SOAK_DEVICES    = 1000
SOAK_CUTS       = 200
SOAK_POWER_CUTS = 10000
SOAK_SCRIPTS    = 30m
SOAK_GUESSES    = 1m
SOAK_HOG        = 1000
SOAK_FUZZ       = 1000000x
soak: $(OUT)/engine/go.mod
	@GO='$(GO)' $(foreach v,$(filter SOAK_%,$(.VARIABLES)),$v='$($v)') packaging/soak $(OUT)

# What every gateway runs, under emulation of its CPU (Debian: qemu-user-static):
# the unit tests, the longest first, and beside them whole flows in fake time (not
# with FLOWS=no).
test-mips: EMULATED = GOARCH=mips GOMIPS=softfloat CGO_ENABLED=0 $(GO) test $(ENGINE) -exec 'qemu-mips-static -cpu 24Kc'
test-mipsle: EMULATED = GOARCH=mipsle GOMIPS=softfloat CGO_ENABLED=0 $(GO) test $(ENGINE) -exec 'qemu-mipsel-static -cpu 24Kc'
test-armv5: EMULATED = GOARCH=arm GOARM=5 CGO_ENABLED=0 $(GO) test -exec qemu-arm-static
test-mips test-mipsle test-armv5: $(OUT)/engine/go.mod
	rm -f $(OUT)/effects-$@
	$(GO) test $(ENGINE) $(REPLAYED) $(CURDIR)/$(OUT)/effects-$@
	$(EMULATED) $(REPLAYED) $(CURDIR)/$(OUT)/effects-$@
	@set -x; test "$(FLOWS)" = no || $(EMULATED) -timeout 20m -run $(FLOW) ./cmd/lorawand & flows=$$!; \
	$(EMULATED) -timeout 20m ./bridge/core ./bridge/formatter ./concentrator/sx1302 ./radio/... ./concentrator/... ./bridge/...; units=$$?; wait $$flows && exit $$units

lint: $(TOOLS)/staticcheck $(TOOLS)/gofumpt
	$(GO) vet ./...
	$(GO) vet -tags manual,smoke,budget ./cmd/lorawand
	$(GO) vet -tags small ./cmd/lorawand
	$(GO) vet -tags mistakes ./concentrator/sx1302
	$(TOOLS)/staticcheck ./...
	@bad=$$(find . -name '*.go' -not -path './$(OUT)/*' -exec $(TOOLS)/gofumpt -l {} +); if [ -n "$$bad" ]; then echo "gofumpt: $$bad"; exit 1; fi
	@! grep -rn '^<<<<<<< ' --include='*.go' --include='*.md' --include=Makefile --exclude-dir=$(notdir $(OUT)) .

$(TOOLS)/staticcheck:
	GOBIN=$(TOOLS) $(GO) install $(STATICCHECK)

$(TOOLS)/gofumpt:
	GOBIN=$(TOOLS) $(GO) install $(GOFUMPT)

cross: $(addprefix cross-,$(TARGETS))

cross-%: $(OUT)/engine/go.mod
	@set -- $(subst $(comma), ,$*); \
	env $$3 $$4 GOOS=linux GOARCH=$$2 CGO_ENABLED=0 $(GO) build $(if $(filter small%,$*),,$(ENGINE)) $(GCFLAGS) -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o $(OUT)/lorawand-$$1 ./cmd/lorawand && \
	ls -l $(OUT)/lorawand-$$1 | awk '{ printf "%-28s %9d bytes\n", $$NF, $$5 }'

COLLATE   = $(addprefix bridge/formatter/collate/,collate.go scripts.go)

$(OUT)/engine/go.mod: go.mod go.sum packaging/engine/profile.go.in $(COLLATE) Makefile | go
	rm -rf $(OUT)/engine
	mkdir -p $(OUT)/engine
	$(GO) mod download $(GOJA)
	cp -r "$$($(GO) list -m -f '{{.Dir}}' $(GOJA))" $(OUT)/engine/goja
	chmod -R u+w $(OUT)/engine/goja
	sed -i 's/if len(s) < 4 || len(s)&1 != 0 {/if len(s) < 4 || len(s)\&1 != 0 || s[0] < 0x80 {/' $(OUT)/engine/goja/unistring/string.go
	sed -i 's/return o.methodsValue.Method(idx)/_ = idx/; s/method := t.Method(i)/var method reflect.Method/' $(OUT)/engine/goja/object_goreflect.go
	sed -i 's|"github.com/google/pprof/profile"|"$(GOJA)/profile"|' $(OUT)/engine/goja/profiler.go
	mkdir $(OUT)/engine/goja/profile
	cp packaging/engine/profile.go.in $(OUT)/engine/goja/profile/profile.go
	sed -i 's|"golang.org/x/text/collate"|"$(GOJA)/collate"|' $(OUT)/engine/goja/builtin_string.go $(OUT)/engine/goja/runtime.go
	mkdir $(OUT)/engine/goja/collate
	cp $(COLLATE) $(OUT)/engine/goja/collate
	grep -q '"$(GOJA)/collate"' $(OUT)/engine/goja/builtin_string.go && ! grep -rq 'x/text/collate' $(OUT)/engine/goja/*.go
	grep -q 's\[0\] < 0x80' $(OUT)/engine/goja/unistring/string.go
	grep -q '_ = idx' $(OUT)/engine/goja/object_goreflect.go && grep -q 'var method' $(OUT)/engine/goja/object_goreflect.go
	grep -q '"$(GOJA)/profile"' $(OUT)/engine/goja/profiler.go
	$(GO) mod download $(MOCHI)
	cp -r "$$($(GO) list -m -f '{{.Dir}}' $(MOCHI))" $(OUT)/engine/mqtt
	chmod -R u+w $(OUT)/engine/mqtt
	rm $(OUT)/engine/mqtt/packets/tpackets.go
	sed -i '/^\tgo cl.WriteLoop()$$/d' $(OUT)/engine/mqtt/server.go
	! grep -q 'go cl.WriteLoop' $(OUT)/engine/mqtt/server.go
	cp go.mod go.sum $(OUT)/engine
	cd $(OUT)/engine && $(GO) mod edit -replace $(GOJA)=./$(OUT)/engine/goja -replace $(MOCHI)=./$(OUT)/engine/mqtt go.mod

# For boards with little flash: without JavaScript and what TLS, WebSocket and HTTP need. The MQTT
# library links these for listeners that are not used; -modfile puts a copy of it in
# its place, whose package listeners is our own.
SMALLTARGETS = small-mipsle,mipsle,GOMIPS=softfloat,$(SMALL) small-mips,mips,GOMIPS=softfloat,$(SMALL)

small: $(OUT)/small/go.mod $(OUT)/engine/go.mod
	GOFLAGS='-tags=small -modfile=$(OUT)/small/go.mod' $(MAKE) --no-print-directory cross TARGETS='$(SMALLTARGETS)'

$(OUT)/small/go.mod: go.mod go.sum packaging/small/listeners.go.in Makefile
	rm -rf $(OUT)/small
	mkdir -p $(OUT)/small/vendor
	$(GO) mod download $(MOCHI)
	cp -r "$$($(GO) list -m -f '{{.Dir}}' $(MOCHI))" $(OUT)/small/vendor/mqtt
	chmod -R u+w $(OUT)/small/vendor
	rm $(OUT)/small/vendor/mqtt/listeners/*.go $(OUT)/small/vendor/mqtt/packets/tpackets.go
	sed -i '/^\tgo cl.WriteLoop()$$/d' $(OUT)/small/vendor/mqtt/server.go
	! grep -q 'go cl.WriteLoop' $(OUT)/small/vendor/mqtt/server.go
	cp packaging/small/listeners.go.in $(OUT)/small/vendor/mqtt/listeners/listeners.go
	cp go.mod go.sum $(OUT)/small
	cd $(OUT)/small && $(GO) mod edit -replace $(MOCHI)=./$(OUT)/small/vendor/mqtt go.mod

# Sizes, memory and start, against the numbers in cmd/lorawand/budget_test.go.
budget: dist
	CGO_ENABLED=0 $(GO) test -tags budget -run '^TestBudget' -v ./cmd/lorawand

# What each dependency costs, as the table in packaging/README.md.
costs: $(OUT)/engine/go.mod
	@GOOS=linux GOARCH=mipsle GOMIPS=softfloat GOFIPS140=v1.0.0 CGO_ENABLED=0 $(GO) build $(ENGINE) $(GCFLAGS) -trimpath -buildvcs=false -o $(OUT)/lorawand-symbols ./cmd/lorawand
	@packaging/costs $(OUT)/lorawand-symbols

# Man pages, and completions for bash, zsh and fish.
manual:
	rm -rf $(OUT)/manual
	$(GO) run -tags manual ./cmd/lorawand manual $(OUT)/manual

# Packages of every target in .build/dist, with module lists and sums.
dist: build cross small manual $(TOOLS)/nfpm
	PACKAGE_VERSION='$(VERSION)' packaging/build $(OUT) $(foreach t,$(TARGETS) $(SMALLTARGETS),$(firstword $(subst $(comma), ,$t)))
	@cd $(OUT)/dist && ls -l | awk 'NR > 1 { printf "%-60s %9d bytes\n", $$NF, $$5 }'

# A join, an uplink and a downlink by the daemon of every target, under emulation.
smoke: cross $(OUT)/smoke.test
	packaging/smoke $(OUT) $(foreach t,$(TARGETS),$(firstword $(subst $(comma), ,$t)))

.PHONY: $(OUT)/smoke.test
$(OUT)/smoke.test:
	$(GO) test -tags smoke -c -o $@ ./cmd/lorawand

$(TOOLS)/nfpm:
	GOBIN=$(TOOLS) $(GO) install $(NFPM)

# What the daemon costs, as one table; it fails where a limit is passed. Debian:
# qemu-user-static. Each package has benchmarks of its own: go test -bench .
bench: $(OUT)/engine/go.mod
	$(GO) test -run '^$$' -bench '^BenchmarkCosts$$' -benchtime 1x ./cmd/lorawand

# Each parser of outside bytes in turn: all of them, or those that strangers reach first, which
# .ci/run tries for a moment.
FUZZ  = $(shell grep -roE --include='*_test.go' '^func Fuzz[A-Za-z0-9]+' bridge cmd concentrator radio | \
        sed -E 's|^(.*)/[^/]*:func (.*)|\2,./\1|' | sort -t, -k2)
FIRST = FuzzParseData,./radio/frame FuzzJoinRequest,./radio/frame FuzzUplink,./bridge/mac FuzzRequest,./bridge/joins \
        FuzzDatagram,./radio/gwmp FuzzPush,./radio/gwmp FuzzPacket,./bridge/broker/packet FuzzDownlinks,./bridge/v3 \
        FuzzParse,./cmd/lorawand/config FuzzParse,./bridge/v3/enddevice
fuzz:
	@set -e; for t in $(FUZZ); do \
		set -x; $(GO) test -run '^$$' -fuzz "^$${t%%,*}\$$" -fuzztime $(FUZZTIME) "$${t#*,}"; { set +x; } 2>/dev/null; \
	done

fuzz-first:
	@$(foreach t,$(filter-out $(FUZZ),$(FIRST)),$(error there is no $t))$(MAKE) --no-print-directory fuzz FUZZ='$(FIRST)'

clean:
	rm -rf $(OUT)
