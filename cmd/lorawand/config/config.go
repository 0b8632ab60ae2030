// Package config reads the configuration file of lorawand: one TOML file. It
// refuses unknown keys, and every key has a default.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// DefaultPath is the path of the file unless a flag or $LORAWAND_CONFIG names
// another.
const DefaultPath = "/etc/lorawand/lorawand.toml"

// pathVariable names the variable with another path.
const pathVariable = "LORAWAND_CONFIG"

// ErrConfig is the reason for refusing a configuration. The error unwraps to one
// error for each fault.
var ErrConfig = errors.New("unusable configuration")

// Config is the whole configuration.
type Config struct {
	Role      string     `toml:"role"`
	Store     Store      `toml:"store"`
	Control   Control    `toml:"control"`
	Log       Log        `toml:"log"`
	Network   Network    `toml:"network"`
	MQTT      MQTT       `toml:"mqtt"`
	HTTP      HTTP       `toml:"http"`
	UDP       UDP        `toml:"udp"`
	Extenders Extenders  `toml:"extenders"`
	Central   Central    `toml:"central"`
	Formatter Formatter  `toml:"formatter"`
	Forwards  []Forward  `toml:"forward"`
	Upstreams []Upstream `toml:"upstream"`
	Backfills []Backfill `toml:"backfill"`
	Gateways  []Gateway  `toml:"gateway"`

	ChirpStacks []ChirpStack `toml:"chirpstack"`
}

// Store is the [store] table.
type Store struct {
	Path           string   `toml:"path"`
	Ephemeral      bool     `toml:"ephemeral"`
	CommitInterval Duration `toml:"commit_interval"`

	// The keys below are for a state that is on NATS JetStream, and not in the folder.
	URL         string `toml:"url"`         // of the servers, with commas between them; "": in the folder
	Bucket      string `toml:"bucket"`      // name of the stream; default lorawand
	Name        string `toml:"name"`        // of this machine; default its host name
	Credentials string `toml:"credentials"` // file
	CAFile      string `toml:"ca_cert"`     // PEM
	CertFile    string `toml:"tls_cert"`    // PEM
	KeyFile     string `toml:"tls_key"`     // PEM
	Replicas    int    `toml:"replicas"`    // of a stream that is made; 0: 3 where the servers are a cluster, else 1
}

// Control is the [control] table.
type Control struct {
	Socket string `toml:"socket"`
}

// Log is the [log] table.
type Log struct {
	Level  string `toml:"level"`
	Format string `toml:"format"`
}

// Network is the [network] table.
type Network struct {
	NetID                string   `toml:"net_id"`
	DevAddrPrefixes      []string `toml:"dev_addr_prefixes"`
	DeduplicationWindow  Duration `toml:"deduplication_window"`
	RX1Delay             Duration `toml:"rx1_delay"`
	DefaultFrequencyPlan string   `toml:"default_frequency_plan"`
}

// MQTT is the [mqtt] table.
type MQTT struct {
	Listen          []string `toml:"listen"`
	TLSListen       []string `toml:"tls_listen"`
	WebSocketListen []string `toml:"websocket_listen"`
	// Origins of web pages that may connect over WebSocket, in addition to those of
	// the same host; "*" stands for all.
	WebSocketOrigins []string `toml:"websocket_origins"`
	Certificate      string   `toml:"certificate"`
	Key              string   `toml:"key"`
	ClientCA         string   `toml:"client_ca"`
	Tenant           string   `toml:"tenant"`
	LegacyFields     bool     `toml:"legacy_fields"`
	ZeroFields       bool     `toml:"zero_fields"`
	Attributes       bool     `toml:"attributes"`
	KeepSessions     bool     `toml:"keep_sessions"`
	Limits           Limits   `toml:"limits"`
}

// Limits is the [mqtt.limits] table.
type Limits struct {
	Clients                   int      `toml:"clients"`
	Unauthenticated           int      `toml:"unauthenticated"`
	UnauthenticatedPerAddress int      `toml:"unauthenticated_per_address"`
	ConnectTimeout            Duration `toml:"connect_timeout"`
	PacketSize                int      `toml:"packet_size"`
	Inflight                  int      `toml:"inflight"`
	ReceiveMaximum            int      `toml:"receive_maximum"`
	WritesPending             int      `toml:"writes_pending"`
	WriteDeadline             Duration `toml:"write_deadline"`
	Subscriptions             int      `toml:"subscriptions"`
	OfflineMessages           int      `toml:"offline_messages"`
	OfflineBytes              int      `toml:"offline_bytes"`
	OfflineBytesTotal         int      `toml:"offline_bytes_total"`
	KeptBytesTotal            int      `toml:"kept_bytes_total"`
	SessionExpiry             Duration `toml:"session_expiry"`
}

// HTTP is the [http] table.
type HTTP struct {
	Listen    string `toml:"listen"`
	APIListen string `toml:"api_listen"`
}

// UDP is the [udp] table.
type UDP struct {
	Listen        string   `toml:"listen"`
	Allow         []string `toml:"allow"`
	AcceptUnknown bool     `toml:"accept_unknown"`
}

// Networks returns the networks of Allow, once they are checked.
func (u *UDP) Networks() []netip.Prefix {
	networks := make([]netip.Prefix, len(u.Allow))
	for i, text := range u.Allow {
		networks[i], _ = netip.ParsePrefix(text)
	}
	return networks
}

// Formatter is the [formatter] table.
type Formatter struct {
	JavaScript bool     `toml:"javascript"`
	Deadline   Duration `toml:"deadline"`
	Wait       Duration `toml:"wait"`
}

// Gateway is a [[gateway]] table.
type Gateway struct {
	ID               string    `toml:"id"`
	EUI              string    `toml:"eui"`
	Driver           string    `toml:"driver"`
	FrequencyPlan    string    `toml:"frequency_plan"`
	EnforceDutyCycle *bool     `toml:"enforce_duty_cycle"`
	AntennaGain      *float64  `toml:"antenna_gain"` // dBi
	Location         *Location `toml:"location"`
	SX1302           *SX1302   `toml:"sx1302"`
}

// Antenna returns the gain of the antenna, dBi.
func (g *Gateway) Antenna() float64 {
	if g.AntennaGain == nil {
		return 0
	}
	return *g.AntennaGain
}

// Location is the position of a gateway.
type Location struct {
	Latitude  float64 `toml:"latitude"`
	Longitude float64 `toml:"longitude"`
	Altitude  int32   `toml:"altitude"`
}

// SX1302 is the [gateway.sx1302] table.
type SX1302 struct {
	Board       string   `toml:"board"`
	Device      string   `toml:"device"`
	Reset       string   `toml:"reset"`
	Power       string   `toml:"power"`
	SX1261      string   `toml:"sx1261"`
	SX1261Reset string   `toml:"sx1261_reset"`
	Temperature string   `toml:"temperature"`
	Firmware    string   `toml:"firmware"`
	GlobalConf  string   `toml:"global_conf"`
	ClockSource *uint8   `toml:"clock_source"`
	SingleInput *bool    `toml:"single_input"`
	FineTime    string   `toml:"fine_timestamps"`
	RSSIOffset  *float64 `toml:"rssi_offset"`
	TxGains     []string `toml:"tx_gains"`
	Silence     Duration `toml:"silence"`
	NoiseFloor  Duration `toml:"noise_floor"`
	GNSS        *GNSS    `toml:"gnss"`
}

// GNSS is the [gateway.sx1302.gnss] table.
type GNSS struct {
	Device string `toml:"device"`
	Beacon bool   `toml:"beacon"`
}

// Duration is a time.Duration written as "15s". It is no number, so that a number in the
// file is refused: nobody means ns by commit_interval = 15.
type Duration struct{ d time.Duration }

// For returns a Duration.
func For(d time.Duration) Duration { return Duration{d} }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		if _, number := strconv.ParseFloat(string(text), 64); number == nil {
			return unitError(text)
		}
		return fmt.Errorf("not a duration such as \"15s\": %.40q", text)
	}
	d.d = v
	return nil
}

// unitError is a number in the place of a duration.
type unitError string

// Error implements error.
func (e unitError) Error() string {
	return fmt.Sprintf("%.40s has no unit: write \"%.40ss\" if it is in seconds", string(e), string(e))
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String returns the duration as in the file.
func (d Duration) String() string { return d.d.String() }

// D returns the duration.
func (d Duration) D() time.Duration { return d.d }

// Default returns the configuration of an empty file.
func Default() Config {
	return Config{
		Role:    ServerRole,
		Store:   Store{Path: "/var/lib/lorawand", CommitInterval: For(15 * time.Second)},
		Control: Control{Socket: "/run/lorawand/control.sock"},
		Log:     Log{Level: "info", Format: "text"},
		Network: Network{
			NetID: "000000", DeduplicationWindow: For(200 * time.Millisecond),
			RX1Delay: For(5 * time.Second), DefaultFrequencyPlan: "EU_863_870_TTN",
		},
		MQTT: MQTT{
			Listen: []string{":1883"}, TLSListen: []string{}, WebSocketListen: []string{}, WebSocketOrigins: []string{},
			Tenant: "ttn", LegacyFields: true,
			Limits: Limits{
				Clients: 100, Unauthenticated: 32, UnauthenticatedPerAddress: 8, ConnectTimeout: For(10 * time.Second),
				PacketSize: 64 << 10, Inflight: 64, ReceiveMaximum: 32, WritesPending: writesPending,
				WriteDeadline: For(500 * time.Millisecond),
				Subscriptions: 64, OfflineMessages: 1000, OfflineBytes: 256 << 10, OfflineBytesTotal: 4 << 20,
				KeptBytesTotal: 1 << 20, SessionExpiry: For(24 * time.Hour),
			},
		},
		HTTP: HTTP{Listen: httpListen},
		UDP:  UDP{Listen: "127.0.0.1:1700", Allow: []string{}},
		Formatter: Formatter{
			JavaScript: true, Deadline: For(100 * time.Millisecond),
			Wait: For(250 * time.Millisecond),
		},
	}
}

// Find returns the path of the file: the given one, else $LORAWAND_CONFIG, else
// DefaultPath. must says that the file has to exist.
func Find(given string) (path string, must bool) {
	if given != "" {
		return given, true
	}
	if env := os.Getenv(pathVariable); env != "" {
		return env, true
	}
	return DefaultPath, false
}

// Load reads and checks a file, with the environment variables that override its
// keys. Without must, a file that does not exist counts as empty. The error is
// ErrConfig and names every fault with file and key.
func Load(path string, must bool) (Config, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !must {
		b, err = nil, nil
	}
	if err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	c, err := parse(b, os.Environ())
	if err != nil {
		return Config{}, &fileError{path, err}
	}
	return c, nil
}

// fileError adds the name of the file to each fault.
type fileError struct {
	path string
	err  error
}

// Error implements error.
func (e *fileError) Error() string {
	var b bytes.Buffer
	for i, f := range faultsOf(e.err) {
		if i > 0 {
			b.WriteByte('\n')
		}
		if !strings.HasPrefix(f.Error(), "$") { // from the environment
			b.WriteString(e.path)
			b.WriteString(": ")
		}
		b.WriteString(f.Error())
	}
	return b.String()
}

// Unwrap returns the faults.
func (e *fileError) Unwrap() error { return e.err }

// Parse reads and checks the text of a file.
func Parse(b []byte) (Config, error) { return parse(b, nil) }

func parse(b []byte, environ []string) (Config, error) {
	c := Default()
	if err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(&c); err != nil {
		return Config{}, tomlFaults(b, err)
	}
	if err := c.override(environ); err != nil {
		return Config{}, err
	}
	c.fill()
	if err := c.Check(); err != nil {
		return Config{}, blame(err, environ)
	}
	return c, nil
}

// fill sets the defaults that depend on other keys.
func (c *Config) fill() {
	for i := range c.Forwards {
		if f := &c.Forwards[i]; f.Frames == "" {
			f.Frames = ForeignFrames
		}
	}
	c.fillUpstreams()
	c.fillBackfills()
	c.fillChirpStacks()
	c.fillExtender()
	for i := range c.Gateways {
		g := &c.Gateways[i]
		if g.Driver == "" {
			g.Driver = "udp"
		}
		if g.FrequencyPlan == "" {
			g.FrequencyPlan = c.Network.DefaultFrequencyPlan
		}
		if g.EnforceDutyCycle == nil {
			enforce := !c.IsExtender() // its central does that
			g.EnforceDutyCycle = &enforce
		}
		if s := g.SX1302; s != nil && s.Firmware == "" {
			s.Firmware = DefaultFirmware
		}
		if g.AntennaGain == nil {
			g.AntennaGain = g.SX1302.antennaGain()
		}
	}
}

// tomlFaults returns the faults of the text, with their places.
func tomlFaults(text []byte, err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) {
		var fs faults
		for _, e := range strict.Errors {
			row, _ := e.Position()
			fs.add(fmt.Sprintf("line %d: %s", row, keyText(e.Key())), "unknown key")
		}
		return fs.err()
	}
	var dec *toml.DecodeError
	if errors.As(err, &dec) {
		row, col := dec.Position()
		where := fmt.Sprintf("line %d, column %d", row, col)
		if k := keyText(dec.Key()); k != "" {
			where += ": " + k
		}
		return faults{fmt.Errorf("%s: %s", where, strings.TrimPrefix(err.Error(), "toml: "))}.err()
	}
	var number unitError
	if errors.As(err, &number) {
		return faults{fmt.Errorf("%s%s", placeOf(text, string(number)), number.Error())}.err()
	}
	return faults{err}.err()
}

// placeOf returns where a number stands in the place of a duration: the library tells the
// places of texts only.
func placeOf(text []byte, number string) string {
	var c Config
	keys := c.keys()
	var p unstable.Parser
	p.Reset(text)
	table := ""
	for p.NextExpression() {
		e, key := p.Expression(), ""
		for parts := e.Key(); parts.Next(); {
			key += "." + string(parts.Node().Data)
		}
		if e.Kind != unstable.KeyValue {
			table = key + "."
			continue
		}
		v := e.Value()
		if v.Kind != unstable.Integer && v.Kind != unstable.Float || string(v.Data) != number {
			continue
		}
		path := strings.TrimPrefix(table+strings.TrimPrefix(key, "."), ".")
		if to, known := keys[path]; known && to.Type() != reflect.TypeFor[Duration]() {
			continue
		}
		at := p.Shape(v.Raw).Start
		return fmt.Sprintf("line %d, column %d: %s: ", at.Line, at.Column, path)
	}
	return ""
}

func keyText(k toml.Key) string {
	var b bytes.Buffer
	for i, part := range k {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	return b.String()
}

// faults is a list of faults.
type faults []error

func (f *faults) add(key, format string, args ...any) {
	*f = append(*f, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
}

func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return &configError{f}
}

// configError is ErrConfig with its faults.
type configError struct{ faults faults }

// Error implements error.
func (e *configError) Error() string { return errors.Join(e.faults...).Error() }

// Unwrap implements the multiple form of errors.Unwrap.
func (e *configError) Unwrap() []error { return append([]error{ErrConfig}, e.faults...) }

func faultsOf(err error) []error {
	var c *configError
	if errors.As(err, &c) {
		return c.faults
	}
	return []error{err}
}
