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
		for _, u := range d.upstreams.problems() {
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
	text := "connected"
	if !u.Connected {
		text = "NOT CONNECTED"
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
	return plainLine(u.Name + " " + text)
}
