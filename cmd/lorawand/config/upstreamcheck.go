//go:build !small

package config

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"lorawand/bridge/session"
)

// Limits of an upstream.
const (
	minJournal, maxJournal   = 256 << 10, 4 << 30
	minKeepAlive             = 5 * time.Second
	maxKeepAlive             = 18 * time.Hour // MQTT has 16 bits for the seconds
	maxBackfillRate          = 1000
	maxUpstreams             = 8
	maxPrefix, maxUpstreamID = 64, 128 // characters
)

// fillUpstreams sets the defaults.
func (c *Config) fillUpstreams() {
	for i := range c.Upstreams {
		u := &c.Upstreams[i]
		yes := true
		u.Downlinks, u.Notifications = cmp.Or(u.Downlinks, &yes), cmp.Or(u.Notifications, &yes)
		u.Journal.n = cmp.Or(u.Journal.n, 8<<20)
		u.JournalAge = cmp.Or(u.JournalAge, For(7*24*time.Hour))
		u.BackfillRate = cmp.Or(u.BackfillRate, 10)
		u.KeepAlive = cmp.Or(u.KeepAlive, For(time.Minute))
		u.NotifyTopic = cmp.Or(u.NotifyTopic, u.Prefix+"lorawand/status")
		if to, err := url.Parse(u.URL); err == nil {
			u.Name = cmp.Or(u.Name, folderName(to.Hostname()))
		}
		if u.ClientID == "" {
			host, _ := os.Hostname()
			u.ClientID = clientID("lorawand-" + host + "-" + u.Prefix)
		}
	}
}

// clientID makes an MQTT client id that every broker takes: nats-server refuses full stops, and MQTT 3.1.1 promises no
// more than letters and digits, section 3.1.3.1.
func clientID(text string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, text), "-")
}

// folderName makes a name for a folder of that of a host, which may be an IPv6 address.
func folderName(host string) string {
	return strings.Map(func(r rune) rune {
		if r == ':' || r == '%' {
			return '-'
		}
		return r
	}, strings.ToLower(host))
}

// Address returns host and port of the other broker, and whether TLS is spoken there.
func (u *Upstream) Address() (host, port string, secure bool) {
	to, err := url.Parse(u.URL)
	if err != nil {
		return "", "", false
	}
	secure = to.Scheme == "mqtts"
	port = "1883"
	if secure {
		port = "8883"
	}
	return to.Hostname(), cmp.Or(to.Port(), port), secure
}

func checkUpstreams(f *faults, c *Config) {
	if len(c.Upstreams) > maxUpstreams {
		f.add("upstream", "%d tables, at most %d", len(c.Upstreams), maxUpstreams)
	}
	names := map[string]string{}
	for i := range c.Upstreams {
		u := &c.Upstreams[i]
		at := fmt.Sprintf("upstream[%d]", i)
		if other, twice := names[u.Name]; twice {
			f.add(at+".name", "%q is also the name of %s: its journal must have another", u.Name, other)
		}
		names[u.Name] = at
		u.check(f, at)
		u.checkTLS(f, at)
		u.checkOwn(f, at, &c.MQTT)
	}
}

func (u *Upstream) check(f *faults, at string) {
	to, err := url.Parse(u.URL)
	switch {
	case u.URL == "":
		f.add(at+".url", "is missing, such as \"mqtts://broker.example:8883\"")
	case err != nil || to.Hostname() == "" || to.Scheme != "mqtt" && to.Scheme != "mqtts":
		f.add(at+".url", "%.100q, must be mqtt://host:port, or mqtts://host:port with TLS", u.URL)
	case to.User != nil:
		f.add(at+".url", "must have no user name: set remote_username and remote_password")
	case strings.Trim(to.Path, "/") != "" || to.RawQuery != "" || to.Fragment != "":
		f.add(at+".url", "%.100q has something behind the host and the port", u.URL)
	}
	checkApplications(f, at, u.Applications)
	for key, topic := range map[string]string{"prefix": u.Prefix, "notification_topic": u.NotifyTopic} {
		if strings.ContainsAny(topic, "+#\x00") || strings.HasPrefix(topic, "$") || len(topic) > maxPrefix {
			f.add(at+"."+key, "%.70q, must have no +, # and no $ at its begin, and at most %d characters", topic, maxPrefix)
		}
	}
	checkJournal(f, at, u.Name, u.Journal, u.JournalAge, u.BackfillRate)
	durationRange(f, at+".keepalive_interval", u.KeepAlive, minKeepAlive, maxKeepAlive)
	if len(u.ClientID) > maxUpstreamID {
		f.add(at+".remote_clientid", "has %d characters, at most %d", len(u.ClientID), maxUpstreamID)
	}
	oneOf(f, at+".bridge_protocol_version", cmp.Or(u.ProtocolVersion, "mqttv50"), "mqttv50", "mqttv311")
}

// checkApplications checks those whose messages are handed on.
func checkApplications(f *faults, at string, list []string) {
	if len(list) == 0 {
		f.add(at+".applications", "is empty: name those whose messages are handed on")
	}
	for i, a := range list {
		if err := session.CheckID(a); err != nil {
			f.add(fmt.Sprintf("%s.applications[%d]", at, i), "%v", err)
		}
	}
}

// checkJournal checks the keys of a journal and of what is sent from it.
func checkJournal(f *faults, at, name string, most Size, age Duration, rate int) {
	if strings.ContainsAny(name, "/\x00") || strings.HasPrefix(name, ".") || len(name) > maxPrefix {
		f.add(at+".name", "%.40q cannot be the name of a folder", name)
	}
	if most.n < minJournal || most.n > maxJournal {
		f.add(at+".journal", "%d bytes, must be %d to %d", most.n, minJournal, int64(maxJournal))
	}
	durationRange(f, at+".journal_age", age, time.Hour, 10*365*24*time.Hour)
	if rate < 1 || rate > maxBackfillRate {
		f.add(at+".backfill_rate", "%d, must be 1 to %d messages a second", rate, maxBackfillRate)
	}
}

func (u *Upstream) checkTLS(f *faults, at string) {
	if (u.CertFile == "") != (u.KeyFile == "") {
		f.add(at+".bridge_certfile", "and bridge_keyfile go together")
	}
	_, _, secure := u.Address()
	if !secure && (u.CAFile != "" || u.CertFile != "" || u.Insecure) {
		f.add(at+".url", "%.100q is without TLS, and a certificate is given: begin it with mqtts", u.URL)
	}
	if u.Password != "" && u.UserName == "" {
		f.add(at+".remote_password", "needs remote_username")
	}
}

// checkOwn refuses this daemon's own broker.
func (u *Upstream) checkOwn(f *faults, at string, m *MQTT) {
	host, port, _ := u.Address()
	if host != "localhost" && host != "::1" && !strings.HasPrefix(host, "127.") {
		return
	}
	for _, list := range [][]string{m.Listen, m.TLSListen} {
		for _, own := range list {
			if strings.HasSuffix(own, ":"+port) && port != "0" {
				f.add(at+".url", "%.100q is the broker of this lorawand itself", u.URL)
			}
		}
	}
}
