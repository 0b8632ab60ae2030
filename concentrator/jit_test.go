package concentrator

import (
	"errors"
	"slices"
	"testing"
	"time"

	"lorawand/radio"
)

// testTransmitter has chains that are busy until a time.
type testTransmitter struct {
	now   radio.ConcentratorTime
	until [2]radio.ConcentratorTime
	armed []radio.Downlink
	at    []radio.ConcentratorTime
	abort []int
	err   error
	mute  int // how often Busy fails
}

func (x *testTransmitter) Busy(chain int) (bool, error) {
	if x.mute > 0 {
		x.mute--
		return false, errors.New("bus")
	}
	return x.now < x.until[chain], nil
}

func (x *testTransmitter) Abort(chain int) error {
	x.abort = append(x.abort, chain)
	x.until[chain] = 0
	return nil
}

func (x *testTransmitter) Arm(d radio.Downlink) error {
	if x.err != nil {
		return x.err
	}
	x.armed, x.at = append(x.armed, d), append(x.at, x.now)
	air, err := radio.TimeOnAir(radio.Packet{DataRate: d.DataRate, Size: len(d.PHYPayload), NoCRC: true})
	x.until[d.Antenna] = d.Time.Add(air)
	return err
}

// packet is a downlink of 20 bytes at SF7, which takes 51.5 ms.
func packet(id uint64, at radio.ConcentratorTime) radio.Downlink {
	return radio.Downlink{ID: id, Time: at, DataRate: radio.LoRaDataRate(7, 125_000), PHYPayload: make([]byte, 20)}
}

const testNow = radio.ConcentratorTime(5_000_000_000) // beyond 32 bits

func TestJITAdd(t *testing.T) {
	at := func(ms int64) radio.Downlink { return packet(1, testNow+radio.ConcentratorTime(ms*1000)) }
	other := at(1000)
	other.Antenna = 1
	none := at(1000)
	none.Antenna = 2
	nonsense := at(1000)
	nonsense.DataRate.SpreadingFactor = 13
	tests := []struct {
		name string
		add  radio.Downlink
		want radio.TxResult
	}{
		{"in time", at(15), radio.TxOK},
		{"late", packet(1, testNow+14_999), radio.TxTooLate},
		{"past", at(-1), radio.TxTooLate},
		{"at the end", at(120_000), radio.TxOK},
		{"early", packet(1, testNow+120_000_001), radio.TxTooEarly},
		{"same time", at(1000), radio.TxCollisionPacket},
		{"just before", at(1000 - 60), radio.TxOK},
		{"too close before", at(1000 - 59), radio.TxCollisionPacket},
		{"just after", at(1000 + 60), radio.TxOK},
		{"too close after", at(1000 + 59), radio.TxCollisionPacket},
		{"other chain", other, radio.TxOK},
		{"no such chain", none, radio.TxNoPath},
		{"no such data rate", nonsense, radio.TxUnknownError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := NewJIT(JITOptions{})
			if r := q.Add(at(1000), testNow); r != radio.TxOK {
				t.Fatal(r)
			}
			if r := q.Add(tt.add, testNow); r != tt.want {
				t.Errorf("Add = %v, want %v", r, tt.want)
			}
		})
	}
	q := NewJIT(JITOptions{Size: 2})
	for i, want := range []radio.TxResult{radio.TxOK, radio.TxOK, radio.TxCollisionPacket} {
		if r := q.Add(at(1000*int64(i+1)), testNow); r != want {
			t.Errorf("number %d: %v, want %v", i, r, want)
		}
	}
}

// run polls every 10 ms, and when the queue wants it, for a while and returns
// the results by ID: TxOK of what was armed, and why the others were not.
func run(q *JIT, x *testTransmitter, d time.Duration) map[uint64][]radio.TxResult {
	results, before := map[uint64][]radio.TxResult{}, len(x.armed)
	for end := x.now.Add(d); x.now < end; {
		q.Poll(x.now, x, func(d radio.Downlink, r radio.TxResult) { results[d.ID] = append(results[d.ID], r) })
		next := x.now.Add(10 * time.Millisecond)
		if at, ok := q.Next(x.now); ok {
			next = min(next, at)
		}
		x.now = next
	}
	for _, d := range x.armed[before:] {
		results[d.ID] = append(results[d.ID], radio.TxOK)
	}
	return results
}

func TestJITOrder(t *testing.T) {
	q, x := NewJIT(JITOptions{}), &testTransmitter{now: testNow}
	times := []int64{3_000_001, 1_000_007, 2_000_003, 1_059_600, 2_999_999 - 60_000}
	for i, us := range times {
		if r := q.Add(packet(uint64(i), testNow+radio.ConcentratorTime(us)), testNow); r != radio.TxOK {
			t.Fatal(i, r)
		}
	}
	results := run(q, x, 4*time.Second)
	for i := range times {
		if !slices.Equal(results[uint64(i)], []radio.TxResult{radio.TxOK}) {
			t.Errorf("packet %d: %v", i, results[uint64(i)])
		}
	}
	for i, d := range x.armed {
		if lead := d.Time.Sub(x.at[i]); lead > 40*time.Millisecond || lead <= 30*time.Millisecond && i != 1 && i != 4 {
			t.Errorf("packet %d was armed %v ahead", d.ID, lead)
		}
		if i > 0 && d.Time < x.armed[i-1].Time {
			t.Errorf("packet %d out of order", d.ID)
		}
	}
	if s := q.Stats(); s.Armed != 5 || len(x.abort) > 0 || s.MinLead < 5*time.Millisecond ||
		s.Late > 38*time.Millisecond || q.Len() != 0 {
		t.Errorf("%+v, aborted %v", s, x.abort)
	}
}

func TestJITImmediate(t *testing.T) {
	q, x := NewJIT(JITOptions{}), &testTransmitter{now: testNow}
	if r := q.Add(packet(1, testNow+30_000), testNow); r != radio.TxOK {
		t.Fatal(r)
	}
	for id := uint64(2); id <= 3; id++ {
		d := packet(id, 0)
		d.Immediate = true
		if r := q.Add(d, testNow); r != radio.TxOK {
			t.Fatal(r)
		}
	}
	run(q, x, time.Second)
	if len(x.armed) != 3 {
		t.Fatalf("%d armed", len(x.armed))
	}
	for i, d := range x.armed {
		if d.ID != uint64(i+1) || d.Immediate || i > 0 && d.Time.Sub(x.armed[i-1].Time) < 59*time.Millisecond {
			t.Errorf("number %d: %+v", i, d)
		}
	}
}

// TestJITTurns: packets of chains that share what arms them start so far apart that both
// can be armed, whichever comes first.
func TestJITTurns(t *testing.T) {
	at := func(id uint64, ms int64, chain uint8) radio.Downlink {
		d := packet(id, testNow+radio.ConcentratorTime(ms*1000))
		d.Antenna = chain
		return d
	}
	for name, tt := range map[string]struct {
		turns, ms int64
		want      radio.TxResult
	}{
		"nothing shared":   {0, 1000, radio.TxOK},
		"same time":        {50, 1000, radio.TxCollisionPacket},
		"too close before": {50, 951, radio.TxCollisionPacket},
		"just before":      {50, 950, radio.TxOK},
		"too close after":  {50, 1049, radio.TxCollisionPacket},
		"just after":       {50, 1050, radio.TxOK},
	} {
		t.Run(name, func(t *testing.T) {
			q := NewJIT(JITOptions{Turns: time.Duration(tt.turns) * time.Millisecond})
			if r := q.Add(at(1, 1000, 0), testNow); r != radio.TxOK {
				t.Fatal(r)
			}
			if r := q.Add(at(2, tt.ms, 1), testNow); r != tt.want {
				t.Errorf("Add = %v, want %v", r, tt.want)
			}
		})
	}
	q, x := NewJIT(JITOptions{Turns: 50 * time.Millisecond}), &testTransmitter{now: testNow}
	q.Add(at(1, 100, 0), testNow)
	soon := at(2, 0, 1)
	soon.Immediate = true
	run(q, x, 65*time.Millisecond)
	if len(x.armed) != 1 {
		t.Fatalf("%d armed", len(x.armed))
	}
	soon.Time = 0
	if r := q.Add(soon, x.now); r != radio.TxOK {
		t.Fatal(r)
	}
	run(q, x, time.Second)
	if len(x.armed) != 2 || x.armed[1].Time != testNow+150_000 {
		t.Errorf("%+v, want the second 50 ms after the first, which was armed already", x.armed)
	}
}

func TestJITStuck(t *testing.T) {
	q := NewJIT(JITOptions{})
	x := &testTransmitter{now: testNow, until: [2]radio.ConcentratorTime{1 << 62, 1 << 62}}
	other := packet(2, testNow+1_000_000)
	other.Antenna = 1
	for _, d := range []radio.Downlink{packet(1, testNow+1_000_000), other} {
		if r := q.Add(d, testNow); r != radio.TxOK {
			t.Fatal(r)
		}
	}
	run(q, x, 2*time.Second)
	if len(x.armed) != 2 || q.Stats().Stuck != 2 || !slices.Equal(x.abort, []int{0, 1}) {
		t.Errorf("%d armed, aborted %v, %+v", len(x.armed), x.abort, q.Stats())
	}
}

func TestJITFails(t *testing.T) {
	tests := []struct {
		name string
		err  error
		skip time.Duration
		want radio.TxResult
	}{
		{"chip", errors.New("bus"), 0, radio.TxUnknownError},
		{"chip too late", ErrTooLate, 0, radio.TxTooLate},
		{"nobody polled", nil, 2 * time.Second, radio.TxTooLate},
		{"polled at the last moment", nil, 997 * time.Millisecond, radio.TxOK},
		{"polled too late", nil, 997*time.Millisecond + time.Microsecond, radio.TxTooLate},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q, x := NewJIT(JITOptions{}), &testTransmitter{now: testNow, err: tt.err}
			if r := q.Add(packet(1, testNow+1_000_000), testNow); r != radio.TxOK {
				t.Fatal(r)
			}
			x.now = x.now.Add(tt.skip)
			if got := run(q, x, 2*time.Second); !slices.Equal(got[1], []radio.TxResult{tt.want}) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// TestJITFarAhead: of a packet that waits nothing is told until it is armed or
// cannot be.
func TestJITFarAhead(t *testing.T) {
	q, x := NewJIT(JITOptions{}), &testTransmitter{now: testNow}
	for id, s := range []int{2, 10, 20} {
		if r := q.Add(packet(uint64(id), testNow.Add(time.Duration(s)*time.Second)), testNow); r != radio.TxOK {
			t.Fatal(r)
		}
	}
	if early := run(q, x, 1100*time.Millisecond); len(early) > 0 {
		t.Errorf("told already: %v", early)
	}
	if first := run(q, x, 2*time.Second); len(first) != 1 || !slices.Equal(first[0], []radio.TxResult{radio.TxOK}) {
		t.Errorf("%v", first)
	}
	x.err = errors.New("bus")
	if second := run(q, x, 10*time.Second); len(second) != 1 ||
		!slices.Equal(second[1], []radio.TxResult{radio.TxUnknownError}) {
		t.Errorf("%v", second)
	}
	var dropped []uint64
	q.Drop(func(d radio.Downlink) { dropped = append(dropped, d.ID) })
	if s := q.Stats(); s.Armed != 1 || s.Failed != 1 || !slices.Equal(dropped, []uint64{2}) {
		t.Errorf("%+v, dropped %v", s, dropped)
	}
}

func TestJITDrop(t *testing.T) {
	q, x := NewJIT(JITOptions{}), &testTransmitter{now: testNow}
	for id := range uint64(3) {
		d := packet(id, testNow+1_000_000*radio.ConcentratorTime(id+1))
		d.Antenna = uint8(id % 2)
		if r := q.Add(d, testNow); r != radio.TxOK {
			t.Fatal(r)
		}
	}
	n := 0
	q.Drop(func(radio.Downlink) { n++ })
	if n != 3 || q.Len() != 0 || len(run(q, x, 5*time.Second)) != 0 {
		t.Errorf("%d dropped, %d left", n, q.Len())
	}
}

// TestJITBusError: an error while there is time is no reason not to send.
func TestJITBusError(t *testing.T) {
	q, x := NewJIT(JITOptions{}), &testTransmitter{now: testNow, mute: 3}
	if r := q.Add(packet(1, testNow.Add(time.Second)), testNow); r != radio.TxOK {
		t.Fatal(r)
	}
	if got := run(q, x, 2*time.Second); !slices.Equal(got[1], []radio.TxResult{radio.TxOK}) || len(x.armed) != 1 {
		t.Errorf("%v", got)
	}
	x.mute = 1 << 30
	if r := q.Add(packet(2, x.now.Add(time.Second)), x.now); r != radio.TxOK {
		t.Fatal(r)
	}
	if got := run(q, x, 2*time.Second); !slices.Equal(got[2], []radio.TxResult{radio.TxTooLate}) {
		t.Errorf("%v", got)
	}
}

// testAir is how long packet is on the air.
const testAir = 51_456 * time.Microsecond

// armedJIT has packet 1 armed 40 ms ahead of its time, and nothing else.
func armedJIT(t *testing.T) (q *JIT, x *testTransmitter, at radio.ConcentratorTime) {
	t.Helper()
	q, x, at = NewJIT(JITOptions{}), &testTransmitter{now: testNow}, testNow.Add(time.Second)
	if r := q.Add(packet(1, at), testNow); r != radio.TxOK {
		t.Fatal(r)
	}
	x.now = at.Add(-40 * time.Millisecond)
	q.Poll(x.now, x, func(radio.Downlink, radio.TxResult) {})
	if len(x.armed) != 1 || q.Len() != 0 {
		t.Fatalf("%d armed, %d wait", len(x.armed), q.Len())
	}
	return q, x, at
}

// TestJITBesideArmed: the chip has a packet already, so the next one can but
// follow it.
func TestJITBesideArmed(t *testing.T) {
	short := radio.Downlink{DataRate: radio.LoRaDataRate(5, 500_000), PHYPayload: []byte{1}}
	tests := []struct {
		name string
		add  radio.Downlink
		now  time.Duration // from the time of packet 1
		at   time.Duration // likewise
		want radio.TxResult
	}{
		{"behind it", packet(2, 0), -40 * time.Millisecond, testAir + 8*time.Millisecond, radio.TxOK},
		{
			"too close behind it", packet(2, 0), -40 * time.Millisecond, testAir + 8*time.Millisecond - time.Microsecond,
			radio.TxCollisionPacket,
		},
		{"at its time", packet(2, 0), -40 * time.Millisecond, 0, radio.TxCollisionPacket},
		{"while it is on the air", packet(2, 0), 10 * time.Millisecond, 40 * time.Millisecond, radio.TxCollisionPacket},
		{"behind it, while it is on the air", packet(2, 0), 10 * time.Millisecond, testAir + 8*time.Millisecond, radio.TxOK},
		{"short, before it", short, -40 * time.Millisecond, -25 * time.Millisecond, radio.TxCollisionPacket},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q, _, at := armedJIT(t)
			tt.add.Time = at.Add(tt.at)
			if r := q.Add(tt.add, at.Add(tt.now)); r != tt.want {
				t.Errorf("Add = %v, want %v", r, tt.want)
			}
			other := tt.add
			other.Antenna = 1
			if r := q.Add(other, at.Add(tt.now)); r != radio.TxOK {
				t.Errorf("Add to the other chain = %v", r)
			}
		})
	}
	t.Run("when the counter has begun anew", func(t *testing.T) {
		q, x, at := armedJIT(t)
		q.Drop(func(d radio.Downlink) { t.Errorf("%d was armed, and is told as dropped", d.ID) })
		if r := q.Add(packet(2, at), x.now); r != radio.TxOK {
			t.Errorf("Add = %v", r)
		}
	})
	for name, d := range map[string]radio.Downlink{"at once": packet(2, 0), "short, at once": short} {
		t.Run(name, func(t *testing.T) {
			q, x, at := armedJIT(t)
			d.Immediate = true
			if r := q.Add(d, x.now); r != radio.TxOK {
				t.Fatal(r)
			}
			run(q, x, time.Second)
			if want := at.Add(testAir + 8*time.Millisecond); len(x.armed) != 2 || x.armed[1].Time != want || len(x.abort) > 0 {
				t.Errorf("%+v, aborted %v, want the second at %d", x.armed, x.abort, want)
			}
		})
	}
}

// TestJITLateEnd: a chain that is busy for longer than its packet lasts is given
// half of the gap.
func TestJITLateEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		busy    time.Duration // behind the end of the packet
		asked   time.Duration // likewise
		armed   int
		aborted []int
	}{
		"free at its end":      {0, 0, 2, nil},
		"busy at its end":      {time.Millisecond, 0, 1, nil},
		"busy for less":        {time.Hour, 4*time.Millisecond - time.Microsecond, 1, nil},
		"busy for half of it":  {time.Hour, 4 * time.Millisecond, 2, []int{0}},
		"free after less":      {3 * time.Millisecond, 3 * time.Millisecond, 2, nil},
		"too late for another": {time.Hour, 5*time.Millisecond + time.Microsecond, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			q, x, at := armedJIT(t)
			end := at.Add(testAir)
			if r := q.Add(packet(2, end.Add(8*time.Millisecond)), x.now); r != radio.TxOK {
				t.Fatal(r)
			}
			x.until[0], x.now = end.Add(tt.busy), end.Add(tt.asked)
			q.Poll(x.now, x, func(radio.Downlink, radio.TxResult) {})
			if len(x.armed) != tt.armed || !slices.Equal(x.abort, tt.aborted) || q.Stats().Stuck != uint64(len(tt.aborted)) {
				t.Errorf("%d armed, aborted %v, %+v", len(x.armed), x.abort, q.Stats())
			}
		})
	}
}

// TestJITStats: how far ahead packets were armed.
func TestJITStats(t *testing.T) {
	q, x := NewJIT(JITOptions{}), &testTransmitter{now: testNow}
	for _, lead := range []time.Duration{30, 20, 40, 35} {
		at := x.now.Add(time.Second)
		if r := q.Add(packet(1, at), x.now); r != radio.TxOK {
			t.Fatal(r)
		}
		x.now = at.Add(-lead * time.Millisecond)
		q.Poll(x.now, x, func(radio.Downlink, radio.TxResult) {})
		x.now = at.Add(time.Second)
	}
	want := JITStats{
		Armed: 4, LastLead: 35 * time.Millisecond, MinLead: 20 * time.Millisecond,
		Late: 20 * time.Millisecond,
	}
	if s := q.Stats(); s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
}

// TestJITPace: on a slow bus packets are armed earlier, and as usual again when
// it is not slow any more.
func TestJITPace(t *testing.T) {
	q, x := NewJIT(JITOptions{}), &testTransmitter{now: testNow}
	lead := func() time.Duration {
		if r := q.Add(packet(1, x.now.Add(time.Second)), x.now); r != radio.TxOK {
			t.Fatal(r)
		}
		run(q, x, 2*time.Second)
		return q.Stats().LastLead
	}
	for _, tt := range []struct{ took, least, most time.Duration }{
		{0, 30 * time.Millisecond, 40 * time.Millisecond},
		{35 * time.Millisecond, 80 * time.Millisecond, 90 * time.Millisecond},
		{time.Second, 110 * time.Millisecond, 120 * time.Millisecond},
	} {
		q.Pace(tt.took)
		if l := lead(); l < tt.least || l > tt.most {
			t.Errorf("armed %v ahead when that takes %v, want %v to %v", l, tt.took, tt.least, tt.most)
		}
	}
	if r := q.Add(packet(2, x.now.Add(100*time.Millisecond)), x.now); r != radio.TxTooLate {
		t.Errorf("what comes 100 ms ahead when arming takes 1 s: %v", r)
	}
	for range 20 {
		q.Pace(0)
	}
	if l := lead(); l > 40*time.Millisecond {
		t.Errorf("armed %v ahead when all is well again", l)
	}
}
