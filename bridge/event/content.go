package event

import (
	"fmt"
	"strings"

	"lorawand/bridge/mac"
)

// Content returns what a downlink holds as text: "acknowledgement, 4 bytes on
// f_port 15".
func Content(d *mac.Downlink, joinAccept bool) string {
	var parts []string
	if joinAccept {
		parts = append(parts, "join-accept")
	}
	if d.Owed.ACK {
		parts = append(parts, "acknowledgement")
	}
	parts = append(parts, d.Owed.Answers()...)
	if it := d.Item; it != nil {
		kind := ""
		if it.Confirmed {
			kind = "confirmed, "
		}
		parts = append(parts, fmt.Sprintf("%s%d bytes on f_port %d", kind, len(it.FRMPayload), it.FPort))
	}
	if len(parts) == 0 {
		return "an empty frame"
	}
	return strings.Join(parts, ", ")
}
