package config

import (
	"fmt"
	"strings"
)

// Secrets returns the settings that hold a password or a key, as "upstream[0].remote_password".
func (c *Config) Secrets() (settings []string) {
	add := func(name, value string) {
		if value != "" {
			settings = append(settings, name)
		}
	}
	add("central.key", c.Central.Key)
	if strings.Contains(c.Store.URL, "@") {
		add("store.url", c.Store.URL)
	}
	for i := range c.Upstreams {
		add(fmt.Sprintf("upstream[%d].remote_password", i), c.Upstreams[i].Password)
	}
	for i := range c.ChirpStacks {
		add(fmt.Sprintf("chirpstack[%d].password", i), c.ChirpStacks[i].Password)
	}
	return settings
}
