//go:build !small

package config

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// fillBackfills sets the defaults.
func (c *Config) fillBackfills() {
	for i := range c.Backfills {
		b := &c.Backfills[i]
		b.Journal.n = cmp.Or(b.Journal.n, 8<<20)
		b.JournalAge = cmp.Or(b.JournalAge, For(7*24*time.Hour))
		b.BackfillRate = cmp.Or(b.BackfillRate, 5)
		to, err := url.Parse(b.URL)
		if err != nil {
			continue
		}
		b.Name = cmp.Or(b.Name, folderName(to.Hostname()))
		for k := range c.Forwards {
			host, _, err := net.SplitHostPort(c.Forwards[k].Server)
			if b.Forward == "" && err == nil && strings.EqualFold(host, to.Hostname()) {
				b.Forward = c.Forwards[k].Server
			}
		}
	}
}

// Address returns host and port of the server, and whether TLS is spoken there.
func (b *Backfill) Address() (host, port string, secure bool) {
	to, err := url.Parse(b.URL)
	if err != nil {
		return "", "", false
	}
	secure = to.Scheme == "https"
	port = "80"
	if secure {
		port = "443"
	}
	return to.Hostname(), cmp.Or(to.Port(), port), secure
}

// Folder returns the name of the folder of the journal. Its messages are for the server whose outage it was: the same
// name with another host has another journal. Another port or scheme is the same server.
func (b *Backfill) Folder() string {
	host, _, _ := b.Address()
	if host = folderName(host); host != b.Name {
		return b.Name + "@" + host
	}
	return b.Name
}

func checkBackfills(f *faults, c *Config) {
	if len(c.Backfills) > maxUpstreams {
		f.add("backfill", "%d tables, at most %d", len(c.Backfills), maxUpstreams)
	}
	names, servers := map[string]string{}, map[string]string{}
	for i := range c.Backfills {
		b := &c.Backfills[i]
		at := fmt.Sprintf("backfill[%d]", i)
		if other, twice := names[b.Name]; twice {
			f.add(at+".name", "%q is also the name of %s: its journal must have another", b.Name, other)
		}
		names[b.Name] = at
		for _, a := range b.Applications {
			if other, twice := servers[b.URL+" "+a]; twice {
				f.add(at+".applications", "%q goes to the same server by %s", a, other)
			}
			servers[b.URL+" "+a] = at
		}
		b.check(f, at)
		b.checkForward(f, at, c.Forwards)
		b.checkOwn(f, at, c.HTTP.APIListen)
	}
}

func (b *Backfill) check(f *faults, at string) {
	to, err := url.Parse(b.URL)
	switch {
	case b.URL == "":
		f.add(at+".url", "is missing, such as \"https://eu1.cloud.thethings.network\"")
	case err != nil || to.Hostname() == "" || to.Scheme != "http" && to.Scheme != "https":
		f.add(at+".url", "%.100q, must be https://host, or http://host:port without TLS", b.URL)
	case to.User != nil:
		f.add(at+".url", "must have no user name: the API key is in api_key_file")
	case strings.Trim(to.Path, "/") != "" || to.RawQuery != "" || to.Fragment != "":
		f.add(at+".url", "%.100q has something behind the host and the port", b.URL)
	case to.Scheme == "http" && b.CAFile != "":
		f.add(at+".url", "%.100q is without TLS, and a certificate is given: begin it with https", b.URL)
	}
	if b.KeyFile == "" {
		f.add(at+".api_key_file", "is missing: the file with an API key of that server, with the rights to view devices "+
			"and to write uplink traffic")
	}
	checkApplications(f, at, b.Applications)
	checkJournal(f, at, b.Name, b.Journal, b.JournalAge, b.BackfillRate)
}

// checkForward checks that there is the way whose outages are meant.
func (b *Backfill) checkForward(f *faults, at string, forwards []Forward) {
	if b.Forward == "" {
		f.add(at+".forward", "is missing: the server of the [[forward]] by which it hears our devices")
		return
	}
	for i := range forwards {
		if forwards[i].Server != b.Forward {
			continue
		}
		if forwards[i].Frames != AllFrames {
			f.add(at+".forward", "%.60q gets no frames of our devices: set frames = \"all\" in forward[%d]", b.Forward, i)
		}
		return
	}
	f.add(at+".forward", "%.60q is not the server of a [[forward]]", b.Forward)
}

// checkOwn refuses this daemon's own API.
func (b *Backfill) checkOwn(f *faults, at, listen string) {
	host, port, _ := b.Address()
	if listen != "" && isOurs(host, port, listen) {
		f.add(at+".url", "%.100q is the API of this lorawand itself", b.URL)
	}
}
