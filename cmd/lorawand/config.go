package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"lorawand/cmd/lorawand/config"
)

func newConfig() *cobra.Command {
	check := &cobra.Command{
		Use: "check", Short: "Check the configuration and print every fault", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			for _, line := range config.Unknown(os.Environ()) {
				fmt.Fprintln(cmd.ErrOrStderr(), "lorawand:", plainLine(line))
			}
			for _, line := range unserved(&c) {
				fmt.Fprintln(cmd.ErrOrStderr(), "lorawand: not served by this version:", line)
			}
			if _, err := newCertificates(&c.MQTT, nil, nil); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "The configuration is good: %s.\n", plural(len(c.Gateways), "gateway"))
			return err
		},
	}
	def := &cobra.Command{
		Use: "default", Short: "Print the default configuration with comments", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), config.DefaultFile)
			return err
		},
	}
	return group("config", "Check the configuration, print the default one, or list frequency plans",
		check, def, newConfigPlans())
}

// checkServed returns an error if the configuration asks for something that this
// version does not serve.
func checkServed(c *config.Config) error {
	if missing := unserved(c); len(missing) > 0 {
		return fmt.Errorf("%w: not served by this version: %v", config.ErrConfig, missing)
	}
	return nil
}

// unserved lists the settings that this version does not serve.
func unserved(c *config.Config) (out []string) {
	if len(c.MQTT.TLSListen) > 0 && !hasTLS {
		out = append(out, "mqtt.tls_listen")
	}
	if len(c.MQTT.WebSocketListen) > 0 && !hasTLS {
		out = append(out, "mqtt.websocket_listen")
	}
	if c.HTTP.Listen != "" && !hasHTTP {
		out = append(out, "http.listen")
	}
	if c.HTTP.APIListen != "" && !hasHTTP {
		out = append(out, "http.api_listen")
	}
	if len(c.Upstreams) > 0 && !hasTLS {
		out = append(out, "upstream")
	}
	if len(c.Backfills) > 0 && !hasTLS {
		out = append(out, "backfill")
	}
	if len(c.Forwards) > 0 && !hasForward {
		out = append(out, "forward")
	}
	if len(c.ChirpStacks) > 0 && !hasChirpStack {
		out = append(out, "chirpstack: this build has no ChirpStack")
	}
	if c.Store.URL != "" && !hasNATS {
		out = append(out, "store.url: this build has no NATS JetStream")
	}
	if c.IsExtender() && !hasForward {
		out = append(out, "role")
	}
	if c.Extenders.Listen != "" && !hasTLS {
		out = append(out, "extenders.listen")
	}
	for i := range c.Gateways {
		g := &c.Gateways[i]
		if g.Driver == "virtual" {
			out = append(out, fmt.Sprintf("gateway[%d].driver = %q", i, g.Driver))
		}
	}
	return out
}
