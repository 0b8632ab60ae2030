package radio

// Priority orders downlinks: it decides conflicts between devices, and limits the
// share of a sub-band's duty cycle that a downlink may use. The names and their
// order are those of The Things Stack (TxSchedulePriority).
type Priority uint8

// Priorities, lowest first. Applications get at most PriorityHigh. A frame that the
// network must send to a device (join-accept, acknowledgement, MAC commands) has
// PriorityHighest.
const (
	PriorityLowest Priority = iota
	PriorityLow
	PriorityBelowNormal
	PriorityNormal
	PriorityAboveNormal
	PriorityHigh
	PriorityHighest
	numPriorities
)

var priorityNames = [numPriorities]string{"LOWEST", "LOW", "BELOW_NORMAL", "NORMAL", "ABOVE_NORMAL", "HIGH", "HIGHEST"}

// String returns the name in The Things Stack: "ABOVE_NORMAL".
func (p Priority) String() string {
	if p >= numPriorities {
		return priorityNames[PriorityLowest]
	}
	return priorityNames[p]
}

// ParsePriority reads what String returns. ok is false for another text.
func ParsePriority(s string) (p Priority, ok bool) {
	for i, n := range priorityNames {
		if n == s {
			return Priority(i), true
		}
	}
	return PriorityLowest, false
}
