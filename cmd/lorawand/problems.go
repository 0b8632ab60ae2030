package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/problems"
	"lorawand/cmd/lorawand/config"
	"lorawand/radio"
)

// problemLimit is how long the list of problems may take.
const problemLimit = 30 * time.Second

// addProblems adds the operation "problems.list", which answers with what is wrong. It
// names devices of all applications.
func (d *daemon) addProblems(c *config.Config, a *admin.Admin) {
	d.problems = &problems.Source{
		Bridge: d.bridge, Keys: d.state.Keys, Store: d.store, Broker: d.broker, Resolver: d.resolver,
		Path: storePath(c), UDP: c.UDP.Listen, OnBoard: d.isOnBoard, GNSS: d.receivers,
		Upstreams: d.upstreamProblems, Journals: func() []problems.Journal { return leftJournals(c) },
		Servers: func() []problems.Server { return append(d.servers(), d.chirpStackServers()...) },
		MQTT:    slices.Concat(c.MQTT.Listen, c.MQTT.TLSListen, c.MQTT.WebSocketListen),
	}
	list := func(ctx context.Context, _ struct{}, reply func(v any) error) error {
		found, err := d.problems.List(ctx)
		if err != nil {
			return err
		}
		for _, p := range found {
			if err := reply(p); err != nil {
				return err
			}
		}
		return nil
	}
	a.Add("problems.list", admin.Operation{
		Run: admin.Decoding(list), Right: admin.Right{Rights: access.All}, Limit: problemLimit,
	})
}

// storePath returns the folder of the state, or "" where it is in none.
func storePath(c *config.Config) string {
	if c.Store.URL != "" {
		return ""
	}
	return c.Store.Path
}

// isOnBoard reports whether the concentrator of a gateway is on this host.
func (d *daemon) isOnBoard(eui radio.EUI64) bool {
	return slices.ContainsFunc(d.boards.all(), func(o *onboard) bool { return o.EUI() == eui })
}

// askProblems asks the running daemon what is wrong.
func askProblems(ctx context.Context, c config.Config) ([]problems.Problem, error) {
	found := []problems.Problem{}
	err := ask(ctx, c, "problems.list", nil, func(p problems.Problem) error {
		found = append(found, p)
		return nil
	})
	return found, err
}

// printProblems prints what is wrong, and what to do about it.
func printProblems(w io.Writer, found []problems.Problem) error {
	marks := map[string]string{problems.Bad: "WRONG", problems.Warn: "LOOK ", problems.Info: "note "}
	for _, p := range found {
		mark := marks[p.Tone]
		if p.Tone == problems.Bad {
			mark = alarm(w, mark)
		}
		text := fmt.Sprintf(" %s\n      %s\n      To do: %s\n", p.Title, p.Detail, p.Todo)
		if p.Command != "" {
			text += "      $ " + p.Command + "\n"
		}
		if _, err := io.WriteString(w, mark+plainLines(text)); err != nil {
			return err
		}
	}
	return nil
}
