package event

import "lorawand/radio"

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

	Sent      [2]uint64                     // downlinks that went out in RX1 and in RX2
	Refused   [2][radio.TxNoPath + 1]uint64 // of those for RX1 and for RX2, by the gateway's answer
	Events    map[Kind]uint64               // that were reported, by kind
	Unsent    uint64                        // times that no window could be used, or every path was refused
	Downlinks int                           // items that wait in queues
	InFlight  int                           // downlinks that are planned or with a gateway
	Unstored  int                           // joins, pushes and changes that wait for the store
}
