package mac

import (
	"errors"
	"fmt"
	"slices"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// Reasons for refusing a join-request.
var (
	ErrJoinMIC   = errors.New("wrong MIC: the device has another key")
	ErrDevNonce  = errors.New("this DevNonce was used before")
	ErrJoinNonce = errors.New("all JoinNonces of the device are used up")
)

const lastJoinNonce = 1<<24 - 1

// JoinParameters are what the network decides in a join.
type JoinParameters struct {
	NetID    radio.NetID
	DevAddr  radio.DevAddr
	RX1Delay uint8  // s, 1 to 15
	KeyID    []byte // names the session
	NoCFList bool   // its window has no room for a list of channels

	// Session is the one that a rejoin-request was sent in; nil: none is known.
	Session *session.Session
}

// Joined is what comes of a join-request or rejoin-request.
type Joined struct {
	Session    *session.Session
	JoinNonce  uint32
	JoinAccept []byte // PHYPayload
}

// CheckJoin returns ErrJoinMIC or ErrDevNonce for a join-request that must not
// be answered.
func CheckJoin(d *session.Device, r *frame.JoinRequest) error {
	key := d.RootKeys.AppKey
	if d.Version >= session.V1_1 {
		key = d.RootKeys.NwkKey
	}
	if !r.CheckMIC(key) {
		return ErrJoinMIC
	}
	return checkDevNonce(d, r.DevNonce)
}

// checkDevNonce: from LoRaWAN 1.0.4 on DevNonces are a counter, before they are
// random (LoRaWAN L2 1.0.4, 6.2.4; 1.0.3, 6.2.4).
func checkDevNonce(d *session.Device, nonce uint16) error {
	if d.Version < session.V1_0_4 {
		if slices.Contains(d.UsedDevNonces, nonce) {
			return fmt.Errorf("%w: %d", ErrDevNonce, nonce)
		}
		return nil
	}
	used := !d.DevNoncesForgotten && (d.LastJoinNonce > 0 || d.LastDevNonce > 0)
	if used && nonce <= d.LastDevNonce && !d.Settings.ResetsJoinNonce {
		return fmt.Errorf("%w: %d is not above %d", ErrDevNonce, nonce, d.LastDevNonce)
	}
	return nil
}

// Join makes the session and the join-accept for a request that was checked. It changes
// nothing in the device; Use does. A rejoin-request of type 2 changes keys, DevAddr and
// frame counters: the join-accept tells the radio parameters that the device has.
func Join(d *session.Device, r *frame.JoinRequest, plan *region.Plan, p JoinParameters) (Joined, error) {
	nonce := d.LastJoinNonce + 1
	if d.LastJoinNonce == 0 {
		nonce = session.FirstJoinNonce
	}
	if nonce > lastJoinNonce {
		return Joined{}, ErrJoinNonce
	}
	params, keeps := d.JoinedParameters(plan, p.RX1Delay), r.Type == frame.Rejoin2
	if keeps {
		params = Current(d, p.Session, plan)
	}
	a := frame.JoinAccept{
		JoinNonce: nonce, NetID: p.NetID, DevAddr: p.DevAddr, OptNeg: d.Version >= session.V1_1,
		RX1DROffset: params.RX1DROffset, RX2DataRate: params.RX2DataRate, RXDelay: params.RX1Delay,
	}
	if !p.NoCFList && !keeps {
		a.CFList = cfList(plan)
	}
	keys, err := frame.DeriveSessionKeys(a, d.RootKeys, r)
	if err != nil {
		return Joined{}, fmt.Errorf("mac: join of %v: %w", d.ID, err)
	}
	phy, err := frame.BuildJoinAccept(a, d.RootKeys, r)
	if err != nil {
		return Joined{}, fmt.Errorf("mac: join of %v: %w", d.ID, err)
	}
	s := &session.Session{DevAddr: p.DevAddr, Keys: keys, KeyID: p.KeyID, Parameters: &params}
	s.Anew, s.Rejoin1 = r.Type == frame.Join || r.Type == frame.Rejoin1, r.Type == frame.Rejoin1
	switch {
	case keeps:
		s.MAC = p.Session.MAC.Rekeyed()
		return Joined{Session: s, JoinNonce: nonce, JoinAccept: phy}, nil
	case p.Session != nil:
		s.MAC = p.Session.MAC.Restarted()
	}
	if p.NoCFList {
		s.MAC = s.MAC.With(func(m *macstate.State) { m.NoCFList = true })
	}
	return Joined{Session: s, JoinNonce: nonce, JoinAccept: phy}, nil
}

// Use notes that the nonces of a join are used.
func (j *Joined) Use(d *session.Device, devNonce uint16) { d.UseNonces(j.JoinNonce, devNonce) }

func cfList(plan *region.Plan) []byte {
	l := plan.CFList()
	switch {
	case len(l.Frequencies) > 0:
		return frame.CFListFrequencies(l.Frequencies)
	case len(l.Masks) > 0:
		return frame.CFListMasks(l.Masks)
	}
	return nil
}
