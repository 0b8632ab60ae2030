//go:build !small

package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/gateway"
	"lorawand/cmd/lorawand/config"
	"lorawand/radio"
)

func init() { extra = append(extra, newExtend) }

func pairing() []*cobra.Command { return []*cobra.Command{newGatewayPair()} }

// pairOptions are the flags of gateway pair.
type pairOptions struct {
	eui     radio.EUI64
	host    string
	plan    string
	expires string
}

func newGatewayPair() *cobra.Command {
	var o pairOptions
	cmd := &cobra.Command{
		Use: "pair EUI", Short: "Let the radio of another lorawand in, and print the command for there",
		Long: "Make a key with which the gateway with this EUI may give its radio to this lorawand, and print the\n" +
			"command that is to be called there. [extenders] listen must be set here.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("gateway pair needs the EUI of one gateway"))
			}
			if err := o.eui.UnmarshalText([]byte(args[0])); err != nil {
				return usage(fmt.Errorf("%.40q, must be 16 hexadecimal digits", args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return pairGateway(cmd, c, &o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.host, "host", "", "`name` or address by which the other host reaches this one (default: found out)")
	f.StringVar(&o.plan, "plan", "", "frequency `plan` of the gateway (default: that of the configuration)")
	f.StringVar(&o.expires, "expires", "", "`time` at which the key expires, such as 2027-01-01 (default never)")
	return cmd
}

func pairGateway(cmd *cobra.Command, c config.Config, o *pairOptions) error {
	if c.Extenders.Listen == "" {
		return errors.New("[extenders] listen is not set: set it, such as \":1700\", with certificate and key of [mqtt], " +
			"which lorawand tls init makes; then restart the daemon")
	}
	expires, err := parseExpiry(o.expires)
	if err != nil {
		return usage(fmt.Errorf("--expires: %w", err))
	}
	plan := cmp.Or(o.plan, planOf(&c, o.eui))
	if err := config.CheckPlan(plan); err != nil {
		return usage(fmt.Errorf("--plan: %w", err))
	}
	central := config.Central{}
	if central.Address, central.Fingerprint, err = shownCertificate(&c, o.host); err != nil {
		return err
	}
	args := admin.CreateKeyArgs{
		Application: gateway.DefaultID(o.eui), Name: "extender", Rights: access.GatewayLink.Names(), Expires: expires,
	}
	return operate(cmd.Context(), c, "key.create", args, func(k admin.NewKey) error {
		central.Key = k.Text
		fmt.Fprintf(cmd.ErrOrStderr(), "On the other host, as root; the key is not shown again:\n")
		_, err := fmt.Fprintln(cmd.OutOrStdout(), extendLine(&central, o.eui, plan))
		return err
	})
}

// planOf returns the plan of a gateway.
func planOf(c *config.Config, eui radio.EUI64) string {
	for i := range c.Gateways {
		if strings.EqualFold(c.Gateways[i].EUI, eui.String()) {
			return c.Gateways[i].FrequencyPlan
		}
	}
	return c.Network.DefaultFrequencyPlan
}

// extendLine is the command for the other host.
func extendLine(c *config.Central, eui radio.EUI64, plan string) string {
	line := fmt.Sprintf("lorawand extend --central %s --eui %v --plan %s --key %s", c.Address, eui, plan, c.Key)
	if c.Fingerprint != "" {
		line += " --fingerprint " + c.Fingerprint
	}
	return line
}

// shownCertificate returns the address at which others reach the extenders' port, and the fingerprint
// by which they know this host: that of the CA where the file of the certificate ends with it, as that
// of lorawand tls init does, and the certificate is one for the host; "" where everybody trusts it; else
// that of the certificate itself. host "" finds an address of this host.
func shownCertificate(c *config.Config, host string) (address, print string, err error) {
	pair, err := tls.LoadX509KeyPair(c.MQTT.Certificate, c.MQTT.Key)
	if err != nil {
		return "", "", fmt.Errorf("mqtt.certificate, mqtt.key: %w", err)
	}
	var chain []*x509.Certificate // of the file
	for _, der := range pair.Certificate {
		one, err := x509.ParseCertificate(der)
		if err != nil {
			return "", "", fmt.Errorf("mqtt.certificate: %w", err)
		}
		chain = append(chain, one)
	}
	listens, port, err := net.SplitHostPort(c.Extenders.Listen)
	if err != nil {
		return "", "", err
	}
	if ip := net.ParseIP(listens); host == "" && listens != "" && (ip == nil || !ip.IsUnspecified()) {
		host = listens
	}
	if host == "" {
		if host, err = reachedAt(chain[0]); err != nil {
			return "", "", err
		}
	}
	address = net.JoinHostPort(host, port)
	if isOwnCA(chain, host) {
		return address, fingerprint(chain[len(chain)-1].Raw), nil
	}
	if verifyChain(chain, nil, host, time.Now()) == nil {
		return address, "", nil
	}
	return address, fingerprint(chain[0].Raw), nil
}

// isOwnCA reports whether a chain, which is that of a host, ends with a CA that has signed itself.
func isOwnCA(chain []*x509.Certificate, host string) bool {
	rest, ca := chain[:len(chain)-1], chain[len(chain)-1]
	if len(rest) == 0 || ca.CheckSignatureFrom(ca) != nil {
		return false
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	return verifyChain(rest, roots, host, time.Time{}) == nil
}

// reachedAt returns the address of this host that others most likely reach it at: one that its
// certificate names, if there is one.
func reachedAt(own *x509.Certificate) (string, error) {
	names, err := hostNames(nil)
	if err != nil {
		return "", err
	}
	var found []string
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil && !ip.IsLoopback() {
			found = append(found, n)
		}
	}
	for _, n := range found {
		if own.VerifyHostname(n) == nil {
			return n, nil
		}
	}
	return cmp.Or(append(found, names[0])...), nil
}
