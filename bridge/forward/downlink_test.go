package forward

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/foreign"
	"lorawand/bridge/foreign/links"
	"lorawand/radio"
	"lorawand/radio/gwmp"
)

type result = foreign.Result

var planned = result{Planned: true}

// acknowledged has what becomes of a downlink: what is known of it at first, what the server is told
// before and when the gateway has had its time to refuse it, and what becomes of it then.
var acknowledged = []struct {
	name       string
	first      []result
	soon, late []string
	then       result
	counts     links.Counts
}{
	{
		"refused by the plan",
		[]result{{Answer: radio.TxCollisionPacket, Reason: "conflict"}},
		[]string{`b {"error":"COLLISION_PACKET"}`},
		nil,
		result{},
		links.Counts{Downlinks: 1, Refused: 1},
	},
	{
		"refused by the gateway at once",
		[]result{planned, {Answer: radio.TxFreq}},
		[]string{`b {"error":"TX_FREQ"}`},
		nil,
		result{},
		links.Counts{Downlinks: 1, Refused: 1},
	},
	{
		"taken by the gateway at once",
		[]result{planned, {}},
		[]string{`b {"error":"NONE"}`},
		nil,
		result{},
		links.Counts{Downlinks: 1, Transmitted: 1},
	},
	{
		"sent later",
		[]result{planned},
		nil,
		[]string{`b {"error":"NONE"}`},
		result{},
		links.Counts{Downlinks: 1, Transmitted: 1},
	},
	{
		"sent with less power",
		[]result{{Planned: true, Lowered: true, Power: 1150}},
		nil,
		[]string{`b {"error":"NONE","warn":"TX_POWER","value":11}`},
		result{},
		links.Counts{Downlinks: 1, Transmitted: 1},
	},
	{
		"refused too late",
		[]result{planned},
		nil,
		[]string{`b {"error":"NONE"}`},
		result{Answer: radio.TxChannelBusy},
		links.Counts{Downlinks: 1, Refused: 1},
	},
	{
		"no answer of the gateway",
		[]result{planned, {Answer: radio.TxNoAck}},
		nil, nil,
		result{},
		links.Counts{Downlinks: 1, Transmitted: 1},
	},
	{
		"the channel is in use",
		[]result{planned, {Answer: radio.TxChannelBusy}},
		[]string{`b {"error":"COLLISION_PACKET"}`},
		nil,
		result{},
		links.Counts{Downlinks: 1, Refused: 1},
	},
	{
		"the gateway is gone",
		[]result{{Answer: radio.TxNoPath, Reason: "gateway_offline"}},
		[]string{`b {"error":"TOO_LATE"}`},
		nil,
		result{},
		links.Counts{Downlinks: 1, Refused: 1},
	},
}

// What a server is told of its downlink, and when: its frame goes to the core as it asks for it.
func TestAcknowledged(t *testing.T) {
	for _, tt := range acknowledged {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStand(t, Server{Address: "one:1700"})
				defer s.end()
				s.Gateway(gwA, true, nil)
				o := s.opened(0)
				s.want(o, 1)
				r, reply := s.one()
				if r.Network != "one:1700" || r.Downlink.Gateway != gwA || r.Downlink.Time != 5_000_000 || r.Downlink.Uplink {
					t.Errorf("the core is asked for %+v", r)
				}
				for _, one := range tt.first {
					reply(one)
				}
				time.Sleep(settling - time.Millisecond)
				synctest.Wait()
				soon := o.acks()
				time.Sleep(2 * time.Millisecond)
				synctest.Wait()
				late := o.acks()
				if tt.first[len(tt.first)-1].Planned {
					reply(tt.then)
				}
				after := o.acks()
				if !slices.Equal(soon, tt.soon) || !slices.Equal(late, tt.late) || len(after) > 0 {
					t.Errorf("the server is told %q, %q, %q; want %q, %q", soon, late, after, tt.soon, tt.late)
				}
				if st := s.state(0); st.Counts != tt.counts {
					t.Errorf("%+v", st.Counts)
				}
			})
		})
	}
}

// Several downlinks wait side by side, and each TX_ACK has the token of its own.
func TestSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, Server{Address: "one:1700"})
		defer s.end()
		s.Gateway(gwA, true, nil)
		o := s.opened(0)
		var replies []func(foreign.Result)
		for token := range uint16(4) {
			s.want(o, token)
			_, reply := s.one()
			replies = append(replies, reply)
			reply(foreign.Result{Planned: true})
			time.Sleep(30 * time.Millisecond)
		}
		synctest.Wait()
		replies[1](foreign.Result{Answer: radio.TxTooEarly})
		if acks := o.acks(); !slices.Equal(acks, []string{`a {"error":"NONE"}`, `b {"error":"TOO_EARLY"}`}) {
			t.Errorf("after 120 ms the server is told %q", acks)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if acks := o.acks(); !slices.Equal(acks, []string{`c {"error":"NONE"}`, `d {"error":"NONE"}`}) {
			t.Errorf("then %q", acks)
		}
	})
}

// What a server may send: a datagram twice, rubbish, and too much.
func TestHostileServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, Server{Address: "one:1700"})
		defer s.end()
		s.Gateway(gwA, true, nil)
		o := s.opened(0)
		s.want(o, 1)
		s.want(o, 1)
		s.one()
		pullResp := func(body string) []byte {
			return gwmp.Packet{Version: 2, Token: 9, Type: gwmp.PullResp, Body: []byte(body)}.Append(nil)
		}
		rubbish := [][]byte{
			{2},
			{2, 0, 0, 9},
			pullResp(""), pullResp("{}"), pullResp(`{"txpk":{"imme":true}}`), pullResp(`{"txpk":[`),
			make([]byte, maxDatagram), gwmp.Packet{Version: 2, Type: gwmp.PushAck}.Append(nil),
			gwmp.Packet{Version: 2, Type: gwmp.PullAck}.Append(nil), gwmp.Packet{Version: 2, Type: gwmp.TxAck}.Append(nil),
		}
		for _, b := range rubbish {
			if _, err := o.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if len(s.asked) != 0 || len(o.acks()) != 0 {
			t.Errorf("the core is asked for %+v", s.asked)
		}
		for token := range uint16(200) {
			s.want(o, 100+token)
		}
		if len(s.asked) > maxAsked {
			t.Errorf("%d downlinks reach the core", len(s.asked))
		}
		refused := len(o.take(gwmp.TxAck))
		if st := s.state(0); len(s.asked)+refused != 200 || st.Refused != uint64(refused) || st.Acknowledged != 0 {
			t.Errorf("%d reach the core, %d are refused: %+v", len(s.asked), refused, st.Counts)
		}
		s.asked, s.reply = nil, nil
		time.Sleep(askedFor + keepAlive) // the core has not answered: they are forgotten
		s.want(o, 7)
		s.one()
	})
}

// Servers that leave out ncrc mean downlinks all the same.
func TestPolarity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, Server{Address: "one:1700"})
		defer s.end()
		s.Gateway(gwA, true, nil)
		o := s.opened(0)
		for i, tt := range []struct {
			members string
			uplink  bool
		}{
			{`"modu":"LORA","datr":"SF7BW125","codr":"4/5","ipol":true`, false},
			{`"modu":"LORA","datr":"SF7BW125","codr":"4/5","ipol":true,"ncrc":true`, false},
			{`"modu":"LORA","datr":"SF7BW125","codr":"4/5"`, true},
			{`"modu":"FSK","datr":50000,"fdev":25000`, false},
		} {
			body := `{"txpk":{"imme":true,"freq":868.1,"rfch":0,"powe":14,` + tt.members + `,"size":3,"data":"AQID"}}`
			p := gwmp.Packet{Version: 2, Token: uint16(i), Type: gwmp.PullResp, Body: []byte(body)}
			if _, err := o.Write(p.Append(nil)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if r, _ := s.one(); r.Downlink.Uplink != tt.uplink || !r.Downlink.Immediate {
				t.Errorf("%s: %+v", tt.members, r.Downlink)
			}
		}
	})
}
