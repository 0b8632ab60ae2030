// Package macstate has what is remembered of how a device is heard, what a network
// wants of its MAC layer, and what it has asked for: requests with patience,
// refusals, and the device's status.
//
// A request is asked again after 1, 2, 4, 8 and 16 uplinks. After six tries it
// rests until something else is wanted, or the session ends. A State never changes
// once a session has it: what changes is a copy.
package macstate

import (
	"slices"
	"time"

	"lorawand/radio"
	"lorawand/radio/region"
)

const (
	// MaxTries is how often a request is sent at the most.
	MaxTries = 6
	// MaxAsked bounds the requests, and the refusals, that are remembered: 16
	// channels with their downlink frequencies, and the other commands.
	MaxAsked = 48
	// maxPayload is the longest payload of a request: NewChannelReq has 5 bytes.
	maxPayload = 5
)

// Command is a MAC command of the network: its identifier and its payload.
type Command struct {
	CID     byte
	Size    uint8 // of the payload, bytes
	Payload [maxPayload]byte
}

// New returns a command. A payload of more than 5 bytes is cut off.
func New(cid byte, payload ...byte) Command {
	c := Command{CID: cid}
	c.Size = uint8(copy(c.Payload[:], payload))
	return c
}

// Bytes returns the payload.
func (c *Command) Bytes() []byte { return c.Payload[:min(c.Size, maxPayload)] }

// Append appends the command as it is sent.
func (c Command) Append(dst []byte) []byte { return append(append(dst, c.CID), c.Bytes()...) }

// Request is a command that was sent and that the device has not answered.
type Request struct {
	Command Command
	Tries   uint8
	FCntUp  uint32 // of the uplink in whose windows it was sent last
}

// Rests reports whether the request is not sent any more.
func (r *Request) Rests() bool { return r.Tries >= MaxTries }

// due reports whether the request is to be sent after an uplink.
func (r *Request) due(fCntUp uint32) bool {
	return !r.Rests() && fCntUp > r.FCntUp && fCntUp-r.FCntUp >= 1<<(max(r.Tries, 1)-1)
}

// Status is what a device has told of itself with DevStatusAns.
type Status struct {
	FCntUp  uint32
	At      time.Time // zero: the calendar was not known
	Battery uint8     // 0: external power, 1 to 254: empty to full, 255: not known
	Margin  int8      // SNR of the last DevStatusReq, dB
}

// State is what a session knows of what was asked of its device.
type State struct {
	Asked    []Request `json:",omitempty"` // not answered yet, in the order in which they stand in frames
	Refused  []Command `json:",omitempty"` // that the device has refused
	NoRates  uint16    `json:",omitempty"` // data rates that the device has refused, by bit
	NoPowers uint16    `json:",omitempty"` // powers that the device has refused, by bit
	// Frequencies that the device has refused, for uplinks or for RX1.
	NoFrequencies []radio.Frequency `json:",omitempty"`

	NoMask     *Command  `json:",omitempty"` // the LinkADRReq whose channels the device has refused last
	LinkTries  uint8     `json:",omitempty"` // LinkADRReqs in vain of late: not answered, not obeyed, or undone
	LinkAt     uint32    `json:",omitempty"` // FCntUp of the uplink in whose windows the last one was
	NoCFList   bool      `json:",omitempty"` // the device has not, or no more, the channels of a join-accept
	Raised     uint8     `json:",omitempty"` // how often NbTrans was raised after it was low, at this data rate
	Lowered    bool      `json:",omitempty"` // NbTrans was lowered since
	Swings     uint8     `json:",omitempty"` // how often the power was changed, at this data rate
	Masked     bool      `json:",omitempty"` // the device has taken a channel mask: Mask, else the plan's
	Sticky     uint8     `json:",omitempty"` // downlinks for an answer that the device repeats until it hears one
	Heard      bool      `json:",omitempty"` // the device has answered something
	Starts     uint16    `json:",omitempty"` // how often the device has begun anew without having answered
	LinkADR    bool      `json:",omitempty"` // the device has taken a data rate, a power and a number of transmissions
	Status     *Status   `json:",omitempty"`
	Wish       *Wish     `json:",omitempty"` // nil: none
	Decision   *Decision `json:",omitempty"` // the last one of ADR; nil: none
	Rejoin     uint8     `json:",omitempty"` // the RejoinParamSetupReq that the device has taken
	RejoinTold bool      `json:",omitempty"`
	ClassC     bool      `json:",omitempty"` // the device has said that it is in Class C
	ClassB     bool      `json:",omitempty"` // the device's last uplink says that it is in Class B
	Ping       *Ping     `json:",omitempty"` // nil: the device has not said when it has ping slots

	// Of a band whose channels are laid down: those that the device was told to use, and has
	// taken, and those that it has refused last. nil: none.
	Mask       *region.ChannelMask `json:",omitempty"`
	NoChannels *region.ChannelMask `json:",omitempty"`

	NextRJCount0 uint32 `json:",omitempty"` // the smallest that a rejoin-request of type 0 or 2 may have
}

// Ping is what a device has told of its ping slots, and has been told. What it points to never
// changes.
type Ping struct {
	Periodicity uint8           `json:",omitempty"` // a ping slot each 2^n s, n 0 to 7
	Known       bool            `json:",omitempty"` // Periodicity was told
	Frequency   radio.Frequency `json:",omitempty"` // 0: that of the band
	DataRate    *uint8          `json:",omitempty"` // index; nil: that of the band
	Beacon      radio.Frequency `json:",omitempty"` // 0: that of the band
}

// Pings returns what is known of the ping slots.
func (s *State) Pings() Ping {
	if s == nil || s.Ping == nil {
		return Ping{}
	}
	return *s.Ping
}

// WithPing returns a copy with other ping slots.
func (s *State) WithPing(p Ping) *State { return s.With(func(n *State) { n.Ping = &p }) }

// clone returns a copy to be changed. A nil State is an empty one.
func (s *State) clone() *State {
	if s == nil {
		return new(State)
	}
	c := *s
	c.Asked, c.Refused = slices.Clone(s.Asked), slices.Clone(s.Refused)
	c.NoFrequencies = slices.Clone(s.NoFrequencies)
	return &c
}

// With returns a copy that was changed.
func (s *State) With(change func(*State)) *State {
	c := s.clone()
	change(c)
	return c
}

// Due returns which of the commands that are wanted are to be sent after an uplink:
// those that the device has not refused, and whose time has come. Those with the identifier
// block are sent together or not at all: of a channel mask in parts, none says enough by
// itself. It uses the room of wanted.
func (s *State) Due(wanted []Command, fCntUp uint32, block byte) []Command {
	if s == nil {
		return wanted
	}
	is := func(c Command) bool { return c.CID == block && s.isDue(c, fCntUp) }
	blockDue := slices.ContainsFunc(wanted, is)
	due := wanted[:0]
	for _, c := range wanted {
		if c.CID == block && blockDue || c.CID != block && s.isDue(c, fCntUp) {
			due = append(due, c)
		}
	}
	return due
}

// isDue reports whether a command is to be sent after an uplink.
func (s *State) isDue(c Command, fCntUp uint32) bool {
	i := s.find(c)
	return !slices.Contains(s.Refused, c) && (i < 0 || s.Asked[i].due(fCntUp))
}

// HasRefused reports whether the device has refused a command.
func (s *State) HasRefused(c Command) bool { return s != nil && slices.Contains(s.Refused, c) }

// Resting reports whether a command was sent as often as it is, and not answered.
func (s *State) Resting(c Command) bool {
	if s == nil {
		return false
	}
	i := s.find(c)
	return i >= 0 && s.Asked[i].Rests()
}

func (s *State) find(c Command) int {
	return slices.IndexFunc(s.Asked, func(r Request) bool { return r.Command == c })
}

// Sent returns the State after commands were sent in the windows of an uplink.
// Requests that the commands take the place of are forgotten; replaces says which.
func (s *State) Sent(commands []Command, fCntUp uint32, replaces func(next, old Command) bool) *State {
	n := s.clone()
	for _, c := range commands {
		tries := uint8(1)
		if i := n.find(c); i >= 0 {
			tries = n.Asked[i].Tries + 1
		}
		n.Asked = slices.DeleteFunc(n.Asked, func(r Request) bool {
			return r.Command == c || replaces(c, r.Command) && !slices.Contains(commands, r.Command)
		})
		if len(n.Asked) >= MaxAsked {
			n.Asked = slices.Delete(n.Asked, 0, 1)
		}
		n.Asked = append(n.Asked, Request{Command: c, Tries: tries, FCntUp: fCntUp})
	}
	return n
}

// Open returns the commands with an identifier that were sent last and are not
// answered, in the order in which they were sent. Those in whose windows an uplink was
// that is not before fCntUp do not count: pass the counter of an uplink with answers,
// or math.MaxUint32.
func (s *State) Open(cid byte, fCntUp uint32) (open []Command) {
	if s == nil {
		return nil
	}
	is := func(r *Request) bool { return r.Command.CID == cid && r.FCntUp < fCntUp }
	last := uint32(0)
	for i := range s.Asked {
		if r := &s.Asked[i]; is(r) {
			last = max(last, r.FCntUp)
		}
	}
	for i := range s.Asked {
		if r := &s.Asked[i]; is(r) && r.FCntUp == last {
			open = append(open, r.Command)
		}
	}
	return open
}

// Answered returns the State after the device has answered a command.
func (s *State) Answered(c Command, accepted bool) *State {
	n := s.clone()
	n.Heard = true
	n.Asked = slices.DeleteFunc(n.Asked, func(r Request) bool { return r.Command == c })
	if !accepted && !slices.Contains(n.Refused, c) {
		if len(n.Refused) >= MaxAsked {
			n.Refused = slices.Delete(n.Refused, 0, 1)
		}
		n.Refused = append(n.Refused, c)
	}
	return n
}

// Wake returns the State without the requests with an identifier that rest. It is s
// itself where there are none.
func (s *State) Wake(cid byte) *State {
	rests := func(r Request) bool { return r.Command.CID == cid && r.Rests() }
	if s == nil || !slices.ContainsFunc(s.Asked, rests) {
		return s
	}
	n := s.clone()
	n.Asked = slices.DeleteFunc(n.Asked, rests)
	return n
}

// RefuseLink notes what the device has refused of a LinkADRReq. Only where its
// channels alone were refused they are the reason.
func (s *State) RefuseLink(c Command, mask, rate, power bool) {
	if rate {
		s.NoRates |= 1 << (c.Payload[0] >> 4)
	}
	if power {
		s.NoPowers |= 1 << (c.Payload[0] & 0x0f)
	}
	if mask && !rate && !power {
		s.NoMask = &c
	}
}

// RefuseFrequency notes a frequency that the device has refused. 0 is none: it takes a
// channel away.
func (s *State) RefuseFrequency(f radio.Frequency) {
	if f == 0 || slices.Contains(s.NoFrequencies, f) {
		return
	}
	if len(s.NoFrequencies) >= MaxAsked {
		s.NoFrequencies = slices.Delete(s.NoFrequencies, 0, 1)
	}
	s.NoFrequencies = append(s.NoFrequencies, f)
}

// FrequencyRefused reports whether the device has refused a frequency.
func (s *State) FrequencyRefused(f radio.Frequency) bool {
	return s != nil && slices.Contains(s.NoFrequencies, f)
}

// Refuses reports whether the device has refused anything.
func (s *State) Refuses() bool {
	return len(s.Refused) > 0 || len(s.NoFrequencies) > 0 || s.NoRates != 0 || s.NoPowers != 0
}

// MaskRefused reports whether a LinkADRReq has the channels that were refused last.
func (s *State) MaskRefused(c Command) bool {
	if s == nil || s.NoMask == nil {
		return false
	}
	no := &s.NoMask.Payload
	return c.Payload[1] == no[1] && c.Payload[2] == no[2] && c.Payload[3]>>4 == no[3]>>4
}

// Begun returns the State of a device that has begun anew with what it was made with. The
// Wish was for what the device has left behind, and is gone.
func (s *State) Begun() *State {
	if s == nil || s.Heard || len(s.Asked) == 0 && s.Starts == 0 {
		return nil
	}
	return &State{Starts: min(s.Starts, 1<<15) + 1}
}

// Deaf reports whether a device that begins anew is not to be asked at once. One that
// does so with each uplink never answers: it is asked after 1, 2, 4, 8 … starts.
func (s *State) Deaf() bool { return s != nil && s.Starts&(s.Starts-1) != 0 }
