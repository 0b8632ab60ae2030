package v3

import (
	"bytes"
	"encoding/json"
	"testing"

	"lorawand/bridge/session"
)

// goldenDecoded is what a formatter has made of a recorded uplink.
type goldenDecoded struct {
	Payload            json.RawMessage   `json:"decoded_payload"`
	Warnings           []string          `json:"decoded_payload_warnings"`
	Normalized         []json.RawMessage `json:"normalized_payload"`
	NormalizedWarnings []string          `json:"normalized_payload_warnings"`
	Locations          map[string]struct {
		Latitude, Longitude float64
		Altitude, Accuracy  int32
		Source              string
	} `json:"locations"`
}

// undecoded takes out of a recorded uplink what its formatter has made.
func undecoded(t *testing.T, up []byte) (text []byte, p Places, d *Decoded) {
	t.Helper()
	var v struct {
		Up goldenDecoded `json:"uplink_message"`
	}
	if err := json.Unmarshal(up, &v); err != nil {
		t.Fatal(err)
	}
	d = &Decoded{Payload: v.Up.Payload, Warnings: v.Up.Warnings, NormalizedWarnings: v.Up.NormalizedWarnings}
	for _, m := range v.Up.Normalized {
		d.Normalized = append(d.Normalized, m)
	}
	for name, l := range v.Up.Locations {
		d.Locations = map[string]session.Location{name: session.Location(l)}
	}
	at := func(text []byte, of string) int {
		i := bytes.Index(text, []byte(of))
		if i < 0 {
			t.Fatalf("no %s in %s", of, text)
		}
		return i
	}
	p.Member = at(up, `,"uplink_message":{`)
	p.Inside = p.Member + len(`,"uplink_message":{`)
	p.Decoded = at(up, `,"decoded_payload":`)
	text = append(bytes.Clone(up[:p.Decoded]), up[at(up, `,"rx_metadata":`):]...)
	p.Behind = at(text, `,"network_ids":`)
	if p.Locations = p.Behind; len(d.Locations) > 0 {
		p.Locations = at(text, `,"locations":`)
		text = append(text[:p.Locations:p.Locations], text[p.Behind:]...)
		p.Behind = p.Locations
	}
	return text, p, d
}

// The message of an uplink with its formatter's results is as recorded.
func TestDecodedAsTheThingsStack(t *testing.T) {
	var text []byte
	var p Places
	var d *Decoded
	kinds := map[string]int{}
	for _, g := range readGolden(t, "tts-decoded.jsonl") {
		e := &Encoder{}
		kinds[g.suffix()]++
		switch g.suffix() {
		case Up:
			text, p, d = undecoded(t, g.Payload)
			compare(t, &g, e.AppendDecoded(nil, text, p, d))
			kinds[Normalized] = 0
		case Normalized:
			compare(t, &g, e.AppendNormalized(nil, text, p, d, d.Normalized[kinds[Normalized]-1]))
		case Solved:
			compare(t, &g, e.AppendLocationSolved(nil, text, p, "frm-payload", d.Locations["frm-payload"]))
		}
	}
	if kinds[Up] < 4 || kinds[Solved] == 0 {
		t.Errorf("recorded are only %v", kinds)
	}
}

// The places that an uplink and a downlink tell are those, behind what stands before
// the message too.
func TestPlaces(t *testing.T) {
	u := example(t)
	u.Locations, u.VersionIDs = map[string]session.Location{"user": {Latitude: 1}}, session.VersionIDs{Brand: "b"}
	before := []byte("before ")
	text := (&Encoder{}).AppendUplink(before, u)[len(before):]
	p := u.Places
	for _, tt := range []struct {
		at   int
		want string
	}{
		{p.Member, `,"uplink_message":{`},
		{p.Inside, `"`},
		{p.Decoded, `,"rx_metadata":[`},
		{p.Locations, `,"locations":{`},
		{p.Behind, `,"version_ids":{`},
	} {
		if !bytes.HasPrefix(text[tt.at:], []byte(tt.want)) {
			t.Errorf("%s stands at %d, not %s", text[tt.at:], tt.at, tt.want)
		}
	}
	d := exampleDownlink(t)
	d.Item.Decoded = nil
	for _, kind := range []string{DownQueued, DownSent, DownFailed} {
		text = (&Encoder{}).AppendDownlink(before, kind, d)[len(before):]
		got := (&Encoder{}).AppendDecoded(nil, text, Places{Decoded: d.Decoded},
			&Decoded{Payload: []byte("{}"), Warnings: []string{"w"}})
		if !bytes.Contains(got, []byte(`","decoded_payload":{},"decoded_payload_warnings":["w"],"confirmed":`)) {
			t.Errorf("%s: %s", kind, got)
		}
	}
}

// Attributes are at the end of each message, where they are wanted.
func TestAttributes(t *testing.T) {
	u, d := example(t), exampleDownlink(t)
	j := &JoinAccept{DeviceIDs: u.DeviceIDs, SessionKeyID: []byte{1}}
	set := map[string]string{"b": "2\"", "a": "1"}
	u.DeviceIDs.Attributes, d.DeviceIDs.Attributes, j.DeviceIDs.Attributes = set, set, set
	d.Err = NoPayload()
	for _, wanted := range []bool{true, false} {
		e := &Encoder{Attributes: wanted}
		for name, text := range map[string][]byte{
			"up": e.AppendUplink(nil, u), "join": e.AppendJoin(nil, j),
			"sent": e.AppendDownlink(nil, DownSent, d), "failed": e.AppendDownlink(nil, DownFailed, d),
		} {
			if got := bytes.HasSuffix(text, []byte(`,"attributes":{"a":"1","b":"2\""}}}`)); got != wanted || !json.Valid(text) {
				t.Errorf("%s, wanted %v: %s", name, wanted, text)
			}
		}
	}
}
