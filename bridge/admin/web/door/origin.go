//go:build !small

package door

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// localEndings are those of names that only a local network gives: no stranger can have
// such a name and point it at this machine.
var localEndings = []string{
	".local", ".lan", ".home", ".home.arpa", ".internal", ".intranet", ".localdomain", ".localhost", ".fritz.box",
}

// IsLocal reports whether the Host of a request names a machine on the network of the
// owner: an address, a name without a dot, one of localEndings, or the name of this
// machine. A page of a stranger whose name is made to point here (DNS rebinding) sends
// its own. Over TLS the browser has compared the name with the certificate.
func IsLocal(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	host := strings.ToLower(HostOf(r.Host))
	if host == "" {
		return false
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	host = strings.TrimSuffix(host, ".")
	if !strings.Contains(host, ".") {
		return true
	}
	for _, ending := range localEndings {
		if strings.HasSuffix(host, ending) {
			return true
		}
	}
	own, err := os.Hostname()
	return err == nil && host == strings.ToLower(own)
}

// HostOf returns "host" of "host:port" or of "host".
func HostOf(s string) string {
	if host, _, err := net.SplitHostPort(s); err == nil {
		return host
	}
	return strings.Trim(s, "[]")
}

// IsOwn reports whether a request comes from the page itself and not from that of
// another site. A browser that sends no Origin says so with Sec-Fetch-Site, or is so old
// that the cookie and the own header must do.
func IsOwn(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || len(r.Header["Origin"]) > 1 {
		return false
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return u.Scheme == scheme && strings.EqualFold(u.Host, r.Host)
}
