package problems

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Upstream is a server that messages are handed on to.
type Upstream struct {
	Backfill  bool          `json:"backfill,omitempty"`  // The Things Stack, after an outage; else a broker
	Elsewhere uint64        `json:"elsewhere,omitempty"` // messages of devices that it does not have
	Name      string        `json:"name"`
	Connected bool          `json:"connected"`
	Since     time.Duration `json:"since_ns"`                 // how long it is so
	Error     string        `json:"error,omitempty"`          // why it is not connected
	Unheard   []string      `json:"refused_topics,omitempty"` // topic filters that it does not let us subscribe to
	Sent      uint64        `json:"sent"`                     // messages that it has acknowledged since the start
	Waiting   int64         `json:"waiting"`                  // messages in the journal and in memory
	Lost      int64         `json:"lost"`                     // messages since the start
	Refused   uint64        `json:"refused"`                  // messages that it will never take
	Fault     string        `json:"journal_error,omitempty"`  // why the journal cannot be written
}

// Journal is one whose server is not configured any more.
type Journal struct {
	Backfill bool // of a [[backfill]]; else of an [[upstream]]
	Folder   string
	Bytes    int64
}

// dialing is how long a broker may be unreachable before that is a problem.
const dialing = time.Minute

// upstreams returns what is wrong with the brokers that messages are handed on to.
func (s *Snapshot) upstreams() (out []Problem) {
	for i := range s.Upstreams {
		u := &s.Upstreams[i]
		out = append(out, u.problems()...)
	}
	return out
}

// table is the table of the configuration with a server.
func (u *Upstream) table() string { return tableOf(u.Backfill) }

func tableOf(backfill bool) string {
	if backfill {
		return "[[backfill]]"
	}
	return "[[upstream]]"
}

// server returns the name of the server, and its host; "": the name says it, or any host with that name gets them.
func (j *Journal) server() (name, host string) {
	name = filepath.Base(j.Folder)
	if i := strings.LastIndexByte(name, '@'); j.Backfill && i > 0 {
		return name[:i], name[i+1:]
	}
	return name, ""
}

// journals returns the journals that nobody gets.
func (s *Snapshot) journals() (out []Problem) {
	for i := range s.Journals {
		j := &s.Journals[i]
		server, host := j.server()
		again := fmt.Sprintf("%s with name = %q", tableOf(j.Backfill), server)
		if host != "" {
			server, again = server+" on "+host, again+" and a url on "+host
		}
		out = append(out, Problem{
			Code: "journal_left", Tone: Warn, Title: "Messages wait for " + server + ", which is not configured any more",
			Detail: fmt.Sprintf("%s has %s of them. Nobody gets them, however long they wait.", j.Folder,
				bytesText(j.Bytes)),
			Todo: "Configure " + again + " until they are handed on, or delete the folder.",
		})
	}
	return out
}

func (u *Upstream) problems() (out []Problem) {
	if !u.Connected && u.Since >= dialing {
		title := "The broker " + u.Name + " cannot be reached"
		if u.Backfill {
			title = "The messages of an outage cannot be posted to " + u.Name
		}
		out = append(out, Problem{
			Code: "upstream_lost", Tone: Bad, Title: title,
			Detail: fmt.Sprintf("For %s: %s. %d messages wait for it.", lasting(u.Since),
				strings.TrimSuffix(u.Error, "."), u.Waiting),
			Todo:    "Look at the network and at " + u.table() + " in the configuration; it goes on by itself.",
			Command: "lorawand events",
		})
	}
	if u.Fault != "" {
		out = append(out, Problem{
			Code: "upstream_journal", Tone: Bad, Title: "Messages for " + u.Name + " cannot be kept",
			Detail: u.Fault + ". They wait in memory, where there is room for some hundred.",
			Todo:   "Free some space in the store's folder, or make it writable.",
		})
	}
	if u.Lost > 0 {
		out = append(out, Problem{
			Code: "upstream_full", Tone: Warn, Title: fmt.Sprintf("%d messages for %s are lost", u.Lost, u.Name),
			Detail: "The outage has lasted longer than the journal has room or age for, " +
				"or one application has filled its share.",
			Todo: "Set journal and journal_age of this " + u.table() + " to more, if there is flash for it.",
		})
	}
	if len(u.Unheard) > 0 {
		out = append(out, Problem{
			Code: "upstream_unheard", Tone: Warn, Title: "No downlinks come from " + u.Name,
			Detail: "It refuses the subscriptions to " + names(u.Unheard) + ".",
			Todo:   "Give the user of remote_username the right to read them, or set downlinks = false.",
		})
	}
	return out
}
