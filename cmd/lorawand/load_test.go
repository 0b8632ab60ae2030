package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// loadEnv says how long TestSustained sends, such as "5m". Without it the tests of this file are left
// out: they need a machine of their own.
const loadEnv = "LORAWAND_LOAD"

func loadLength(t *testing.T) time.Duration {
	t.Helper()
	length, err := time.ParseDuration(os.Getenv(loadEnv))
	if err != nil {
		t.Skipf("%s is not set", loadEnv)
	}
	return length
}

// TestSustained sends 10 000 uplinks a second for long, of 500 devices through one packet forwarder,
// and loses none. The forwarder and the MQTT client use the same cores as the daemon.
func TestSustained(t *testing.T) {
	const rate = 10_000
	length := loadLength(t)
	d := newLoaded(t)
	l := d.sends(t, rate, length)
	t.Logf("%d/s for %v: %d sent, %d lost; CPU of the daemon %v for each, of sender and client %v; %s", rate, length,
		l.sent, l.lost, l.cpu, l.beside, lossText(l.named))
	if l.lost != 0 || l.took > length+length/20 {
		t.Errorf("%d of %d are lost, and they were sent in %v", l.lost, l.sent, l.took)
	}
}

// TestBurst sends about as much as two cores take, which share them with who sends, and then more: what
// is lost of it has a count that says where.
func TestBurst(t *testing.T) {
	loadLength(t)
	d := newLoaded(t)
	for _, burst := range []struct {
		rate   int
		length time.Duration
	}{{14_000, time.Second}, {14_000, 5 * time.Second}, {25_000, 5 * time.Second}} {
		l := d.sends(t, burst.rate, burst.length)
		named := uint64(0)
		for _, n := range l.named {
			named += n
		}
		t.Logf("%d/s for %v: %d sent in %v, %d lost: %s", burst.rate, burst.length, l.sent, l.took, l.lost,
			lossText(l.named))
		if uint64(l.lost) != named {
			t.Errorf("%d are lost, of which %d are named", l.lost, named)
		}
	}
}

// loaded is a daemon with its sender and client, and with metrics.
type loaded struct {
	*benchDaemon
	client    *quietClient
	forwarder *quietForwarder
	metrics   string // address
}

func newLoaded(t *testing.T) *loaded {
	t.Helper()
	d := &loaded{benchDaemon: newBenchDaemon(t, 500, 1), metrics: freeTCP(t)}
	conf, err := os.ReadFile(d.conf)
	if err != nil {
		t.Fatal(err)
	}
	http := fmt.Sprintf("[http]\nlisten = %q", d.metrics)
	d.write("lorawand.toml", strings.Replace(string(conf), "[http]\nlisten = \"\"", http, 1))
	d.start(t, nil, nil, d.build(t))
	d.client, d.forwarder = newQuietClient(t, d.mqtt, d.key), newQuietForwarder(t, d.udp)
	return d
}

// loadResult is what came of uplinks that were sent.
type loadResult struct {
	sent, lost int
	took       time.Duration
	cpu        time.Duration     // of the daemon for each
	beside     time.Duration     // of who sends and reads, for each
	named      map[string]uint64 // losses that the daemon counts
}

// sends sends so many uplinks a second. They are made while others are sent, a quarter of a second's
// at a time.
func (d *loaded) sends(t *testing.T, rate int, length time.Duration) loadResult {
	t.Helper()
	r := loadResult{sent: int(int64(rate) * int64(length) / int64(time.Second))}
	before, ups, cpu, own := d.losses(t), d.client.ups.Load(), d.cpu(t), processCPU(t, os.Getpid())
	chunks := make(chan [][]byte, 4)
	go func() {
		defer close(chunks)
		for left := r.sent; left > 0; {
			n := min(rate/4, left)
			chunks <- d.datagrams(t, n)
			left -= n
		}
	}()
	for len(chunks) < min(cap(chunks), 4*r.sent/rate) {
		time.Sleep(time.Millisecond)
	}
	began, sent := time.Now(), 0
	for chunk := range chunks {
		for _, p := range chunk {
			if wait := time.Duration(sent)*time.Second/time.Duration(rate) - time.Since(began); wait > 0 {
				time.Sleep(wait)
			}
			d.forwarder.send(t, p)
			sent++
		}
	}
	r.took = time.Since(began)
	d.rest(t)
	r.lost = r.sent - int(d.client.ups.Load()-ups)
	r.cpu = (d.cpu(t) - cpu) / time.Duration(r.sent)
	r.beside = (processCPU(t, os.Getpid()) - own) / time.Duration(r.sent)
	r.named = d.losses(t)
	for name := range r.named {
		r.named[name] -= before[name]
	}
	return r
}

// rest waits until nothing comes any more, and until the daemon has asked the kernel for its drops.
func (d *loaded) rest(t *testing.T) {
	t.Helper()
	for last := int64(-1); d.client.ups.Load() != last; time.Sleep(500 * time.Millisecond) {
		last = d.client.ups.Load()
	}
	time.Sleep(11 * time.Second)
}

// lossMetrics are the counts of what is lost on the way of an uplink, with where that is.
var lossMetrics = map[string]string{
	"lorawand_gwmp_kernel_drops_total":                `the kernel's buffer of the socket`,
	"lorawand_inbox_dropped_total":                    `the queue before the core`,
	`lorawand_mqtt_dropped_total{queue="outbox"}`:     `the queue before the broker`,
	`lorawand_mqtt_dropped_total{queue="client"}`:     `the queue of the MQTT client`,
	`lorawand_uplinks_dropped_total{reason="replay"}`: `overtaken by a later one`,
}

// losses returns the counts of lossMetrics by where the losses are.
func (d *loaded) losses(t *testing.T) map[string]uint64 {
	t.Helper()
	resp, err := http.Get("http://" + d.metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out := map[string]uint64{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if where := lossMetrics[name]; where != "" {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			out[where] = uint64(n)
		}
	}
	if err := errors.Join(lines.Err(), d.missing(out)); err != nil {
		t.Fatal(err)
	}
	return out
}

// missing tells of a count that the daemon does not have.
func (*loaded) missing(found map[string]uint64) (err error) {
	for name, where := range lossMetrics {
		if _, ok := found[where]; !ok {
			err = errors.Join(err, fmt.Errorf("no metric %s", name))
		}
	}
	return err
}

func lossText(named map[string]uint64) string {
	var parts []string
	for _, where := range lossMetrics {
		if n := named[where]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d in %s", n, where))
		}
	}
	if parts == nil {
		return "the daemon counts no loss"
	}
	return strings.Join(parts, ", ")
}
