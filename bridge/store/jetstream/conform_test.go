package jetstream_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"lorawand/bridge/store/jetstream"
	"lorawand/bridge/store/jetstream/natstest"
	"lorawand/bridge/store/storetest"
)

var (
	quiet   = slog.New(slog.DiscardHandler)
	buckets atomic.Int64
)

// freeAddress returns an address below those that the kernel gives to connections, for a server
// that has to be back where it was.
func freeAddress(t testing.TB) string {
	for range 20_000 {
		address := fmt.Sprint("127.0.0.1:", 12_000+rand.IntN(20_000))
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// ttl is that of the tests: long enough for a machine under load.
const ttl = 1500 * time.Millisecond

func anyBucket() string { return fmt.Sprint("bucket", buckets.Add(1)) }

// newBucket is a bucket on a server of its own.
func newBucket(t *testing.T) jetstream.Options {
	t.Helper()
	return options(natstest.Start(t, 1, freeAddress).Address(0))
}

// options are those of a new bucket.
func options(addresses ...string) jetstream.Options {
	o := jetstream.Options{
		Bucket: anyBucket(), Name: "one", TTL: ttl, Logger: quiet,
	}
	for _, a := range addresses {
		o.Servers = append(o.Servers, "nats://"+a)
	}
	return o
}

func TestConform(t *testing.T) {
	c := natstest.Start(t, 1, freeAddress)
	way := natstest.NewProxy(t, c.Address(0))
	storetest.Conform(t, func() storetest.Subject {
		o := options(way.Address())
		var last *jetstream.Store
		return storetest.Subject{
			Open: func() (storetest.Store, error) {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				s, err := jetstream.Open(ctx, o)
				if err != nil {
					return nil, err
				}
				last = s
				return s, nil
			},
			Cut:   func() { last.Abandon() },
			Break: way.Cut,
		}
	})
}
