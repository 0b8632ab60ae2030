//go:build !small && (amd64 || arm64 || arm.7)

package config

import (
	"net/url"
	"regexp"
	"strings"
)

// natsText is the part of DefaultFile.
const natsText = `# The state on NATS JetStream in place of the folder, so that a second machine with the same
# configuration takes over, see bridge/store/jetstream:
# url = "nats://10.0.0.1:4222,nats://10.0.0.2:4222,nats://10.0.0.3:4222"   # or tls://
# bucket = "lorawand"                 # name of the stream
# name = ""                           # of this machine; empty: its host name
# credentials = ""                    # file of nsc; a user and password may be in the url
# ca_cert = ""                        # PEM; empty: what this host trusts
# tls_cert = ""                       # PEM, if the servers want a certificate
# tls_key = ""
# replicas = 0                        # copies of the state; 0: 3 where the servers are a cluster, else 1
`

var bucketName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Servers returns the addresses of the NATS servers.
func (s *Store) Servers() (out []string) {
	for _, text := range strings.Split(s.URL, ",") {
		if text = strings.TrimSpace(text); !strings.Contains(text, "://") {
			text = "nats://" + text
		}
		out = append(out, text)
	}
	return out
}

// maxServers bounds the list.
const maxServers = 16

func (c *Config) checkNATS(f *faults) {
	s := &c.Store
	if s.URL == "" {
		for key, v := range map[string]string{
			"bucket": s.Bucket, "name": s.Name, "credentials": s.Credentials, "ca_cert": s.CAFile, "tls_cert": s.CertFile, "tls_key": s.KeyFile,
		} {
			if v != "" {
				f.add("store."+key, "needs store.url: it is about NATS JetStream")
			}
		}
		return
	}
	if c.IsExtender() {
		f.add("store.url", "an extender has no state")
	}
	servers := s.Servers()
	for _, text := range servers {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" || u.Path != "" {
			f.add("store.url", "%.80q, must be like \"nats://10.0.0.1:4222,nats://10.0.0.2:4222\", or tls://", redacted(u, text))
		}
	}
	if len(servers) > maxServers {
		f.add("store.url", "%d servers, at most %d", len(servers), maxServers)
	}
	if s.Bucket != "" && !bucketName.MatchString(s.Bucket) {
		f.add("store.bucket", "%.80q, must be up to 64 letters, digits, _ and -", s.Bucket)
	}
	if len(s.Name) > 64 || strings.ContainsFunc(s.Name, func(r rune) bool { return r < ' ' }) {
		f.add("store.name", "%.80q, must be up to 64 bytes of text", s.Name)
	}
	if (s.CertFile == "") != (s.KeyFile == "") {
		f.add("store.tls_cert", "and tls_key go together")
	}
	if s.Replicas < 0 || s.Replicas > 5 {
		f.add("store.replicas", "%d, must be 1 to 5, or 0", s.Replicas)
	}
}

// redacted returns the text of a URL without its password.
func redacted(u *url.URL, text string) string {
	if u == nil {
		return "a text that is no URL"
	}
	if u.User != nil {
		return u.Redacted()
	}
	return text
}
