package macstate

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"lorawand/radio"
	"lorawand/radio/region"
)

func TestStoredExponent(t *testing.T) {
	for _, tt := range []struct {
		json string
		want int // -1: none
	}{
		{`3`, 3},
		{`0`, 0},
		{`null`, -1},
		{`"DUTY_CYCLE_1"`, 0},
		{`"DUTY_CYCLE_8"`, 3},
		{`"DUTY_CYCLE_32768"`, 15},
		{`"DUTY_CYCLE_65536"`, -1}, // does not fit 16 bits
		{`"ADR_ACK_LIMIT_12"`, -1}, // no power of two
		{`"ADR_ACK_DELAY_0"`, -1},
		{`"REJOIN_TIME_3"`, 3},
		{`"REJOIN_TIME_15"`, 15},
		{`"REJOIN_TIME_16"`, -1},
		{`"REJOIN_COUNT_16"`, 4},
		{`"8"`, 3},
		{`""`, -1},
		{`"DUTY_CYCLE_"`, -1},
		{`"DUTY_CYCLE_-8"`, -1},
		{`"something new"`, -1},
	} {
		old := uint8(9)
		e := StoredExponent{&old}
		if err := json.Unmarshal([]byte(tt.json), &e); err != nil {
			t.Errorf("%s: %v", tt.json, err)
		}
		got := -1
		if e.N != nil {
			got = int(*e.N)
		}
		if got != tt.want {
			t.Errorf("%s: %d, want %d", tt.json, got, tt.want)
		}
	}
	for _, bad := range []string{`256`, `-1`, `{}`, `[3]`, `true`, `1.5`} {
		if err := json.Unmarshal([]byte(bad), &StoredExponent{}); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

// A command is asked again after 1, 2, 4, 8 and 16 uplinks, and rests after six tries.
func TestPatience(t *testing.T) {
	c := New(6)
	var s *State
	var asked []uint32
	for fCnt := uint32(100); fCnt < 300; fCnt++ {
		if due := s.Due([]Command{c}, fCnt, 3); len(due) == 1 {
			asked = append(asked, fCnt-100)
			s = s.Sent(due, fCnt, func(Command, Command) bool { return false })
		}
	}
	if want := []uint32{0, 1, 3, 7, 15, 31}; !slices.Equal(asked, want) {
		t.Errorf("asked after %v uplinks, want %v", asked, want)
	}
	if !s.Resting(c) || s.Resting(New(7)) || (*State)(nil).Resting(c) {
		t.Error("it does not rest, or another does")
	}
	if awake := s.Wake(7); awake != s {
		t.Error("another command has woken something")
	}
	if awake := s.Wake(6); awake == s || len(awake.Due([]Command{c}, 300, 3)) != 1 || !s.Resting(c) {
		t.Error("it does not wake, or the old state has changed")
	}
}

// A counter that was set back, as by a reset of the device, leaves requests open and does
// not make them due.
func TestPatienceAfterReset(t *testing.T) {
	c := New(6)
	s := (*State)(nil).Sent([]Command{c}, 1000, func(Command, Command) bool { return false })
	for _, fCnt := range []uint32{0, 999, 1000} {
		if due := s.Due([]Command{c}, fCnt, 3); len(due) != 0 {
			t.Errorf("due at %d", fCnt)
		}
	}
	if due := s.Due([]Command{c}, math.MaxUint32, 3); len(due) != 1 {
		t.Error("not due at the last counter")
	}
}

// What is answered closes one request, and a refusal is remembered; newer requests take the
// place of older ones where they say so.
func TestAnswers(t *testing.T) {
	link := func(n byte) Command { return New(3, n, 0, 0, 0) }
	replaces := func(next, old Command) bool { return next.CID == 3 && old.CID == 3 && next != old }
	s := (*State)(nil).Sent([]Command{link(1), New(6)}, 10, replaces)
	s = s.Sent([]Command{link(2)}, 11, replaces)
	if got := s.Open(3, math.MaxUint32); !slices.Equal(got, []Command{link(2)}) {
		t.Errorf("open %v", got)
	}
	if got := s.Open(3, 11); got != nil {
		t.Errorf("open before the request was sent: %v", got)
	}
	if got := s.Open(6, 11); !slices.Equal(got, []Command{New(6)}) {
		t.Errorf("open %v", got)
	}
	if got := (*State)(nil).Open(3, math.MaxUint32); got != nil {
		t.Errorf("of nothing: %v", got)
	}
	no := s.Answered(link(2), false)
	if !no.HasRefused(link(2)) || no.HasRefused(link(1)) || !no.Heard || len(no.Asked) != 1 || !no.Refuses() {
		t.Errorf("refused: %+v", no)
	}
	for name, tt := range map[string]struct {
		wanted []Command
		block  byte
		due    []Command
	}{
		"refused, and not":      {[]Command{link(2), link(1), New(6)}, 0, []Command{link(1), New(6)}},
		"a block of both":       {[]Command{link(2), link(1), New(6)}, 3, []Command{link(2), link(1), New(6)}},
		"a block that rests":    {[]Command{link(2), New(6)}, 3, []Command{New(6)}},
		"nothing but a refused": {[]Command{link(2)}, 3, []Command{}},
	} {
		if due := no.Due(tt.wanted, 100, tt.block); !slices.Equal(due, tt.due) {
			t.Errorf("%s: due %v", name, due)
		}
	}
	if len(s.Asked) != 2 || s.Heard || s.HasRefused(link(2)) {
		t.Errorf("the state of before has changed: %+v", s)
	}
	if again := no.Answered(link(2), false); len(again.Refused) != 1 {
		t.Errorf("the same refusal twice: %+v", again.Refused)
	}
}

// However much a device is asked, and whatever it refuses, the state stays small; the
// oldest goes.
func TestStateIsBounded(t *testing.T) {
	var s *State
	for i := range 5 * MaxAsked {
		c := New(7, byte(i), byte(i>>8))
		s = s.Sent([]Command{c}, uint32(i), func(Command, Command) bool { return false })
		if i%2 == 0 {
			s = s.Answered(c, false)
		}
		s = s.With(func(n *State) { n.RefuseFrequency(radio.Frequency(868_000_000 + i)) })
	}
	if len(s.Asked) > MaxAsked || len(s.Refused) > MaxAsked || len(s.NoFrequencies) > MaxAsked {
		t.Errorf("%d requests, %d refusals, %d frequencies", len(s.Asked), len(s.Refused), len(s.NoFrequencies))
	}
	last := 5*MaxAsked - 1
	if !s.FrequencyRefused(radio.Frequency(868_000_000+last)) || s.FrequencyRefused(868_000_000) {
		t.Error("the last frequency is forgotten, or the first is not")
	}
	if !s.HasRefused(New(7, byte(last-1), byte((last-1)>>8))) || s.HasRefused(New(7, 0, 0)) {
		t.Error("the last refusal is forgotten, or the first is not")
	}
}

func TestRefuseFrequency(t *testing.T) {
	var s State
	s.RefuseFrequency(0) // takes a channel away
	s.RefuseFrequency(868_100_000)
	s.RefuseFrequency(868_100_000)
	if want := []radio.Frequency{868_100_000}; !slices.Equal(s.NoFrequencies, want) {
		t.Errorf("%v, want %v", s.NoFrequencies, want)
	}
	if (*State)(nil).FrequencyRefused(868_100_000) {
		t.Error("nothing has refused a frequency")
	}
}

// A LinkADRAns says what was refused: the channels are to blame only if they alone were.
func TestRefuseLink(t *testing.T) {
	c := New(3, 0x52, 0x07, 0x00, 0x01) // data rate 5, power 2, channels 0 to 2
	for _, tt := range []struct {
		name              string
		mask, rate, power bool
		rates, powers     uint16
		masked            bool
	}{
		{name: "the data rate", rate: true, rates: 1 << 5},
		{name: "the power", power: true, powers: 1 << 2},
		{name: "the channels", mask: true, masked: true},
		{name: "channels and data rate", mask: true, rate: true, rates: 1 << 5},
		{name: "all", mask: true, rate: true, power: true, rates: 1 << 5, powers: 1 << 2},
		{name: "nothing"},
	} {
		var s State
		s.RefuseLink(c, tt.mask, tt.rate, tt.power)
		if s.NoRates != tt.rates || s.NoPowers != tt.powers || s.MaskRefused(c) != tt.masked {
			t.Errorf("%s: %+v", tt.name, s)
		}
	}
	s := State{NoMask: &c}
	for _, tt := range []struct {
		name string
		c    Command
		want bool
	}{
		{"with another data rate, power and NbTrans", New(3, 0x31, 0x07, 0x00, 0x02), true},
		{"with other channels", New(3, 0x52, 0x0f, 0x00, 0x01), false},
		{"with another ChMaskCntl", New(3, 0x52, 0x07, 0x00, 0x61), false},
	} {
		if got := s.MaskRefused(tt.c); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if (*State)(nil).MaskRefused(c) {
		t.Error("nothing has refused channels")
	}
}

// A device that begins anew without ever answering is asked after 1, 2, 4, 8 … starts; one
// that answers is asked at once.
func TestStarts(t *testing.T) {
	s := &State{Asked: []Request{{Command: New(6)}}, Wish: &Wish{}, NoCFList: true}
	var asked []int
	for start := 1; start <= 40; start++ {
		s = s.Begun()
		if s.Wish != nil || s.NoCFList || len(s.Asked) != 0 {
			t.Fatalf("after a start it has %+v", s)
		}
		if !s.Deaf() {
			asked = append(asked, start)
		}
	}
	if want := []int{1, 2, 4, 8, 16, 32}; !slices.Equal(asked, want) {
		t.Errorf("asked after the starts %v, want %v", asked, want)
	}
	for range 100_000 { // the counter has 16 bits
		if s = s.Begun(); s.Starts == 0 {
			t.Fatal("the starts are forgotten")
		}
	}
	for name, of := range map[string]*State{
		"nothing": nil, "what was never asked": {}, "what answers": {Heard: true, Starts: 7, Asked: []Request{{}}},
	} {
		if got := of.Begun(); got != nil || got.Deaf() {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// New cuts a payload to what a command may hold, and Bytes trusts no stored size.
func TestCommand(t *testing.T) {
	if c := New(7, 1, 2, 3, 4, 5, 6); !slices.Equal(c.Append(nil), []byte{7, 1, 2, 3, 4, 5}) {
		t.Errorf("% x", c.Append(nil))
	}
	if c := (Command{CID: 7, Size: 255}); len(c.Bytes()) != maxPayload {
		t.Errorf("%d bytes", len(c.Bytes()))
	}
}

// A Wish goes before another, member by member, and no member is forgotten.
func TestWishOver(t *testing.T) {
	fill := func(n int) *Wish {
		w := &Wish{}
		for i := range reflect.ValueOf(w).Elem().NumField() {
			switch f := reflect.ValueOf(w).Elem().Field(i); f.Interface().(type) {
			case *uint8:
				f.Set(reflect.ValueOf(pointer(uint8(n))))
			case *bool:
				f.Set(reflect.ValueOf(pointer(n == 1)))
			case *radio.Frequency:
				f.Set(reflect.ValueOf(pointer(radio.Frequency(n))))
			case *radio.Decibel:
				f.Set(reflect.ValueOf(pointer(radio.Decibel(n))))
			case *region.ChannelMask:
				f.Set(reflect.ValueOf(&region.ChannelMask{uint16(n)}))
			case []Channel:
				f.Set(reflect.ValueOf([]Channel{{MinDataRate: uint8(n)}}))
			default:
				t.Fatalf("%s is of a type that this test does not know", reflect.TypeOf(*w).Field(i).Name)
			}
		}
		return w
	}
	one, two := fill(1), fill(2)
	if got := one.Over(*two); !reflect.DeepEqual(got, *one) {
		t.Errorf("of both: %+v", got)
	}
	if got := new(Wish).Over(*two); !reflect.DeepEqual(got, *two) {
		t.Errorf("of the other: %+v", got)
	}
	if got := (*Wish)(nil).Over(*two); !reflect.DeepEqual(got, *two) {
		t.Errorf("of nothing: %+v", got)
	}
	if !reflect.DeepEqual(one, fill(1)) {
		t.Errorf("it has changed: %+v", one)
	}
}

func pointer[T any](v T) *T { return &v }

// What a rejoin-request leaves of the state: with new keys alone the radio parameters stay,
// else the wish does; the request that was wished for has come.
func TestRejoined(t *testing.T) {
	s := &State{
		Asked: []Request{{Command: New(6)}}, Refused: []Command{New(4)}, NoRates: 3, LinkAt: 7, LinkTries: 2, Sticky: 1,
		Decision: &Decision{}, Rejoin: 5, ClassB: true, ClassC: true, NextRJCount0: 9,
		Status: &Status{FCntUp: 70, Battery: 200, At: time.Unix(1, 0)},
		Wish:   &Wish{ForceRejoin: pointer(uint8(2)), RX1Delay: pointer(uint8(4))},
	}
	before := *s
	got := s.Rekeyed()
	if got.Asked != nil || got.Decision != nil || got.LinkAt != 0 || got.LinkTries != 0 || got.Sticky != 0 || got.ClassB ||
		got.NextRJCount0 != 0 || got.Status.FCntUp != 0 || got.Wish.ForceRejoin != nil {
		t.Errorf("of the old counters it keeps %+v", got)
	}
	if !got.HasRefused(New(4)) || got.NoRates != 3 || got.Rejoin != 5 || !got.ClassC || got.Status.Battery != 200 ||
		*got.Wish.RX1Delay != 4 {
		t.Errorf("of the parameters it loses %+v", got)
	}
	if got := s.Restarted(); !reflect.DeepEqual(got, &State{Wish: &Wish{RX1Delay: pointer(uint8(4))}}) {
		t.Errorf("restarted: %+v", got)
	}
	if !reflect.DeepEqual(*s, before) || s.Status.FCntUp != 70 || s.Wish.ForceRejoin == nil {
		t.Errorf("the state of before has changed: %+v", s)
	}
	if (*State)(nil).Rekeyed() != nil || (*State)(nil).Restarted() != nil || new(State).Restarted() != nil {
		t.Error("nothing becomes something")
	}
	forced := (*State)(nil).Force(0)
	if w := forced.Wish; w == nil || w.ForceRejoin == nil || *w.ForceRejoin != 0 {
		t.Errorf("forced: %+v", forced)
	}
}

// RJcount0 never goes back, and a state that does not change is no new one.
func TestRJCount0(t *testing.T) {
	s := (*State)(nil).WithRJCount0(0)
	if s != nil || s.RJCount0() != 0 {
		t.Errorf("%+v", s)
	}
	s = s.WithRJCount0(1 << 16)
	if s.RJCount0() != 1<<16 || s.WithRJCount0(5) != s || s.WithRJCount0(1<<16) != s {
		t.Errorf("%+v", s)
	}
}

// Ping slots are copied with the state.
func TestPings(t *testing.T) {
	if p := (*State)(nil).Pings(); p != (Ping{}) {
		t.Errorf("%+v", p)
	}
	old := (*State)(nil).WithPing(Ping{Periodicity: 3, Known: true})
	next := old.WithPing(Ping{Periodicity: 7, Known: true})
	if old.Pings().Periodicity != 3 || next.Pings().Periodicity != 7 {
		t.Errorf("%+v, %+v", old.Pings(), next.Pings())
	}
}
