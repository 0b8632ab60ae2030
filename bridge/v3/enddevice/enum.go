package enddevice

import (
	"encoding/json"
	"fmt"
	"strconv"

	"lorawand/bridge/session"
)

// value returns what is wrapped into {"value": …}, or b itself. What is empty
// or null gives nil.
func value(b []byte) ([]byte, error) {
	if b[0] == '{' {
		var w struct {
			Value json.RawMessage `json:"value"`
		}
		if err := json.Unmarshal(b, &w); err != nil {
			return nil, err
		}
		b = w.Value
	}
	if len(b) == 0 || string(b) == "null" {
		return nil, nil
	}
	return b, nil
}

// enum is a member of an enumeration by its name. It may stand there as its
// number, and may be wrapped; N names the numbers.
type enum[N namer] string

// namer names the numbers of an enumeration; "" is none.
type namer interface{ name(n uint64) string }

// UnmarshalJSON implements json.Unmarshaler.
func (e *enum[N]) UnmarshalJSON(b []byte) error {
	b, err := value(b)
	if b == nil || err != nil {
		return err
	}
	if b[0] == '"' {
		return json.Unmarshal(b, (*string)(e))
	}
	n, err := strconv.ParseUint(string(b), 10, 32)
	if err != nil {
		return fmt.Errorf("neither the name nor the number of an enumeration: %.40s", b)
	}
	var names N
	name := names.name(n)
	if name == "" {
		return fmt.Errorf("no such number of the enumeration: %d", n)
	}
	*e = enum[N](name)
	return nil
}

// maxExponent is the largest n of the MAC commands that tell an exponent, which
// have 4 bits for it.
const maxExponent = 15

// exponent returns the number of a name, from 0 to maxExponent; nil: there is
// none.
func (e enum[N]) exponent() *uint8 {
	var names N
	for n := range uint8(maxExponent + 1) {
		if e != "" && names.name(uint64(n)) == string(e) {
			return &n
		}
	}
	return nil
}

// wordOf returns the name of a number; "" where it is nil or has no name.
func wordOf[N namer](n *uint8) enum[N] {
	if n == nil {
		return ""
	}
	var names N
	return enum[N](names.name(uint64(*n)))
}

// The enumerations, with the numbers of lorawan-stack 3.32
// (api/ttn/lorawan/v3/lorawan.proto, messages.proto and metadata.proto).
type (
	macVersionNames struct{}
	phyVersionNames struct{}
	formatterNames  struct{}
	sourceNames     struct{}
	dutyCycleNames  struct{}
	rejoinNames     struct{}
	rejoinCounts    struct{}
	ackLimitNames   struct{}
	ackDelayNames   struct{}
	cidNames        struct{}
	eirpNames       struct{}
	pingNames       struct{}
	classNames      struct{}
)

func (macVersionNames) name(n uint64) string {
	return at(n, "MAC_UNKNOWN", "MAC_V1_0", "MAC_V1_0_1", "MAC_V1_0_2", "MAC_V1_1", "MAC_V1_0_3", "MAC_V1_0_4")
}

func (phyVersionNames) name(n uint64) string {
	if n == 0 {
		return "PHY_UNKNOWN"
	}
	return session.PHYVersionOf(n)
}

func (formatterNames) name(n uint64) string {
	return at(n, "FORMATTER_NONE", "FORMATTER_REPOSITORY", "FORMATTER_GRPC_SERVICE", "FORMATTER_JAVASCRIPT",
		"FORMATTER_CAYENNELPP")
}

func (sourceNames) name(n uint64) string {
	return at(n, "SOURCE_UNKNOWN", "SOURCE_GPS", "", "SOURCE_REGISTRY", "SOURCE_IP_GEOLOCATION",
		"SOURCE_WIFI_RSSI_GEOLOCATION", "SOURCE_BT_RSSI_GEOLOCATION", "SOURCE_LORA_RSSI_GEOLOCATION",
		"SOURCE_LORA_TDOA_GEOLOCATION",
		"SOURCE_COMBINED_GEOLOCATION")
}

func (dutyCycleNames) name(n uint64) string { return power("DUTY_CYCLE_", n) }
func (ackLimitNames) name(n uint64) string  { return power("ADR_ACK_LIMIT_", n) }
func (ackDelayNames) name(n uint64) string  { return power("ADR_ACK_DELAY_", n) }

// name names the commands that the network asks with; of the others it is not told which.
func (cidNames) name(n uint64) string {
	name := at(n, "", "", "", "CID_LINK_ADR", "CID_DUTY_CYCLE", "CID_RX_PARAM_SETUP", "CID_DEV_STATUS", "CID_NEW_CHANNEL",
		"CID_RX_TIMING_SETUP", "CID_TX_PARAM_SETUP", "CID_DL_CHANNEL", "", "CID_ADR_PARAM_SETUP", "", "",
		"CID_REJOIN_PARAM_SETUP")
	if name == "" {
		return "CID_OTHER"
	}
	return name
}

func (eirpNames) name(n uint64) string {
	return at(n, "DEVICE_EIRP_8", "DEVICE_EIRP_10", "DEVICE_EIRP_12", "DEVICE_EIRP_13", "DEVICE_EIRP_14", "DEVICE_EIRP_16",
		"DEVICE_EIRP_18", "DEVICE_EIRP_20", "DEVICE_EIRP_21", "DEVICE_EIRP_24", "DEVICE_EIRP_26", "DEVICE_EIRP_27",
		"DEVICE_EIRP_29", "DEVICE_EIRP_30", "DEVICE_EIRP_33", "DEVICE_EIRP_36")
}

func (classNames) name(n uint64) string { return at(n, "CLASS_A", "CLASS_B", "CLASS_C") }

func (pingNames) name(n uint64) string {
	if n > 7 { // 3 bits in PingSlotInfoReq
		return ""
	}
	return "PING_EVERY_" + strconv.FormatUint(1<<n, 10) + "S"
}

func (rejoinCounts) name(n uint64) string { return power("REJOIN_COUNT_", n+4) }
func (rejoinNames) name(n uint64) string {
	if n > maxExponent {
		return ""
	}
	return "REJOIN_TIME_" + strconv.FormatUint(n, 10)
}

// at returns the n-th name, or "".
func at(n uint64, names ...string) string {
	if n >= uint64(len(names)) {
		return ""
	}
	return names[n]
}

// power names an exponent of 2 by what it stands for.
func power(prefix string, n uint64) string {
	if n > maxExponent {
		return ""
	}
	return prefix + strconv.FormatUint(1<<n, 10)
}

// yes is a bool that may be wrapped, and is left out where it is false.
type yes bool

// UnmarshalJSON implements json.Unmarshaler.
func (y *yes) UnmarshalJSON(b []byte) error {
	b, err := value(b)
	if b == nil || err != nil {
		return err
	}
	return json.Unmarshal(b, (*bool)(y))
}
