package main

import (
	"context"
	"fmt"

	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/problems"
	"lorawand/cmd/lorawand/config"
)

// addUpstreams adds the operation "upstream.list", which answers with the state of the
// brokers that messages are handed on to.
func (d *daemon) addUpstreams(a *admin.Admin) {
	list := func(_ context.Context, _ struct{}, reply func(v any) error) error {
		for _, u := range d.upstreamProblems() {
			if err := reply(u); err != nil {
				return err
			}
		}
		return nil
	}
	a.Add("upstream.list", admin.Operation{
		Run: admin.Decoding(list), Right: admin.Right{Rights: access.All}, Limit: problemLimit,
	})
}

// openUpstreams opens the ways to servers upstream, and their journals.
func (d *daemon) openUpstreams(c *config.Config) (err error) {
	if d.upstreams, err = newUpstreams(c, d); err != nil {
		return err
	}
	if d.backfills, err = newBackfills(c, d); err != nil {
		return err
	}
	for _, j := range leftJournals(c) {
		d.log.Warn("a journal has messages for a server that is not configured any more; they wait, or can be deleted",
			"folder", j.Folder, "bytes", j.Bytes)
	}
	return nil
}

// upstreamProblems tells what can be wrong with the servers that messages are handed on to.
func (d *daemon) upstreamProblems() []problems.Upstream {
	return append(d.upstreams.problems(), d.backfills.problems()...)
}

// askUpstreams asks the running daemon for the state of its upstreams.
func askUpstreams(ctx context.Context, c config.Config) (out []problems.Upstream, err error) {
	err = ask(ctx, c, "upstream.list", nil, func(u problems.Upstream) error {
		out = append(out, u)
		return nil
	})
	return out, err
}

// upstreamText is a line about one.
func upstreamText(u *problems.Upstream) string {
	text, not := "connected", "NOT CONNECTED"
	if u.Backfill {
		text, not = "backfill after outages", "CANNOT BE BACKFILLED"
	}
	if !u.Connected {
		text = not
		if u.Error != "" {
			text += ": " + u.Error
		}
	}
	text += fmt.Sprintf("; %s handed on, %d wait", plural(u.Sent, "message"), u.Waiting)
	if u.Lost > 0 {
		text += fmt.Sprintf(", %d LOST", u.Lost)
	}
	if u.Refused > 0 {
		text += fmt.Sprintf(", %d refused", u.Refused)
	}
	if u.Elsewhere > 0 {
		text += fmt.Sprintf(", %d of devices that are not there", u.Elsewhere)
	}
	return plainLine(u.Name + " " + text)
}
