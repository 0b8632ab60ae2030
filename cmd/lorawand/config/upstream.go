package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Upstream is an [[upstream]] table. Where mosquitto has a word for a setting of its
// bridges, that is the key.
type Upstream struct {
	Name            string   `toml:"name"`
	URL             string   `toml:"url"`
	Applications    []string `toml:"applications"`
	Prefix          string   `toml:"prefix"`
	Downlinks       *bool    `toml:"downlinks"`
	Journal         Size     `toml:"journal"`
	JournalAge      Duration `toml:"journal_age"`
	BackfillRate    int      `toml:"backfill_rate"` // messages a second
	ClientID        string   `toml:"remote_clientid"`
	UserName        string   `toml:"remote_username"`
	Password        string   `toml:"remote_password"`
	CAFile          string   `toml:"bridge_cafile"`
	CertFile        string   `toml:"bridge_certfile"`
	KeyFile         string   `toml:"bridge_keyfile"`
	Insecure        bool     `toml:"bridge_insecure"`
	ProtocolVersion string   `toml:"bridge_protocol_version"`
	KeepAlive       Duration `toml:"keepalive_interval"`
	Notifications   *bool    `toml:"notifications"`
	NotifyTopic     string   `toml:"notification_topic"`
}

// Backfill is a [[backfill]] table: a The Things Stack that gets the messages of an outage.
type Backfill struct {
	Name         string   `toml:"name"`
	URL          string   `toml:"url"`
	KeyFile      string   `toml:"api_key_file"`
	CAFile       string   `toml:"ca_file"`
	Applications []string `toml:"applications"`
	Forward      string   `toml:"forward"` // server of a [[forward]]
	Journal      Size     `toml:"journal"`
	JournalAge   Duration `toml:"journal_age"`
	BackfillRate int      `toml:"backfill_rate"` // requests a second
}

// Size is a number of bytes written as "8MiB". It is no number in the file, as nobody
// can tell what one is meant in.
type Size struct{ n int64 }

// Bytes returns the number.
func (s Size) Bytes() int64 { return s.n }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	digits := strings.TrimRight(string(text), "KMGiB")
	factor, ok := sizeUnits[string(text[len(digits):])]
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 40)
	if err != nil || !ok || n < 0 || n > 1<<40/factor {
		return fmt.Errorf("not a size such as \"8MiB\": %.40q", text)
	}
	s.n = n * factor
	return nil
}

var sizeUnits = map[string]int64{
	"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 1e3, "MB": 1e6, "GB": 1e9,
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(strconv.FormatInt(s.n, 10) + "B"), nil }
