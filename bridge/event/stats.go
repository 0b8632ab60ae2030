package event

import (
	"slices"
	"strings"

	"lorawand/radio"
)

// Windows are those that downlinks are counted by: RX1, RX2, what a device of Class C listens
// in at all times, and the ping slots of Class B.
var Windows = [...]string{"rx1", "rx2", "rxc", "ping"}

// WindowOf returns the place in Windows of one that a mac.Window names.
func WindowOf(name string) int {
	return max(slices.IndexFunc(Windows[:], func(w string) bool { return strings.EqualFold(w, name) }), 0)
}

// Stats counts what has happened since the start.
type Stats struct {
	Uplinks   uint64 // receptions, of all kinds
	Published uint64
	Copies    uint64 // of a frame through another gateway
	Ghosts    uint64 // of a frame beside its own channel
	Repeated  uint64 // frames that their devices have sent again
	WrongMICs uint64 // MICs that were computed in vain
	Dropped   DropCounts

	Joins        uint64 // join-accepts that a gateway has taken
	JoinsRefused uint64
	Refusals     map[JoinRefusal]uint64 // the same by their reason
	Pending      int                    // frames that wait for other gateways, or are remembered for their copies

	Sent      [len(Windows)]uint64                     // downlinks that went out, by their place in Windows
	Refused   [len(Windows)][radio.TxNoPath + 1]uint64 // of these, by the gateway's answer
	Events    map[Kind]uint64                          // that were reported, by kind
	Unsent    uint64                                   // times that no window could be used, or every path was refused
	Downlinks int                                      // items that wait in queues
	InFlight  int                                      // downlinks that are planned or with a gateway
	Unstored  int                                      // joins, pushes and changes that wait for the store
}

// CountRefusal counts a join that is not answered.
func (s *Stats) CountRefusal(why JoinRefusal) {
	s.JoinsRefused++
	s.Refusals[why]++
}
