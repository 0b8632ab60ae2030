package config

// ChirpStack is a [[chirpstack]] table: a ChirpStack network, in which our gateways appear. Where
// ChirpStack's own gateway programs have a word for a setting, that is the key.
type ChirpStack struct {
	Server          string   `toml:"server"`
	TopicPrefix     string   `toml:"topic_prefix"`
	Marshaler       string   `toml:"marshaler"`
	Frames          string   `toml:"frames"`
	DevAddrs        []string `toml:"dev_addrs"`
	JoinEUIs        []string `toml:"join_euis"`
	ClientID        string   `toml:"client_id"` // the EUI of each gateway follows
	UserName        string   `toml:"username"`
	Password        string   `toml:"password"`
	CAFile          string   `toml:"ca_cert"`
	CertFile        string   `toml:"tls_cert"`
	KeyFile         string   `toml:"tls_key"`
	ProtocolVersion string   `toml:"protocol_version"`
	KeepAlive       Duration `toml:"keep_alive_interval"`
}
