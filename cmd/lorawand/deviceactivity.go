package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"lorawand/bridge/admin"
	"lorawand/bridge/session"
	"lorawand/cmd/lorawand/config"
)

// activityOf asks what devices did last. Where no daemon runs nobody knows.
func activityOf(ctx context.Context, c config.Config, args admin.ActivityArgs) (map[session.ID]json.RawMessage, error) {
	found := map[session.ID]json.RawMessage{}
	err := operate(ctx, c, "device.activity", args, func(raw json.RawMessage) error {
		var d admin.DeviceArgs
		if err := json.Unmarshal(raw, &d); err != nil {
			return fmt.Errorf("cannot read the answer of the daemon: %w", err)
		}
		found[session.ID(d)] = raw
		return nil
	})
	return found, err
}

// shownActivity is what people are shown of an admin.DeviceActivity.
type shownActivity struct {
	admin.DeviceActivity
	RecentEvents []shownEvent `json:"recent_events"`
}

type shownEvent struct {
	Time   *time.Time `json:"time"`
	Uptime float64    `json:"uptime_s"`
	Kind   string     `json:"kind"`
	Reason string     `json:"reason"`
	Error  string     `json:"error"`
	Hint   string     `json:"hint"`
}

func shownActivityOf(raw json.RawMessage) (s shownActivity, err error) {
	if len(raw) == 0 {
		return s, nil
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("cannot read the answer of the daemon: %w", err)
	}
	return s, nil
}

// printWithActivity prints devices as JSON, each with what it did last.
func printWithActivity(w io.Writer, did map[session.ID]json.RawMessage) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var d shownDevice
		if err := json.Unmarshal(raw, &d); err != nil {
			return fmt.Errorf("cannot read the answer of the daemon: %w", err)
		}
		line := bytes.TrimRight(raw, " \n")
		if a, ok := did[session.ID{Application: d.IDs.Applications.ID, Device: d.IDs.Device}]; ok {
			line = fmt.Appendf(bytes.TrimSuffix(line[:len(line):len(line)], []byte("}")), `,"activity":%s}`, a)
		}
		_, err := fmt.Fprintf(w, "%s\n", line)
		return err
	}
}

// lastSeen is a column: the age of the last uplink, and how well it was heard.
func lastSeen(raw json.RawMessage) (seen, signal string, err error) {
	s, err := shownActivityOf(raw)
	if err != nil || s.Summary == nil || s.Uplink == nil {
		return "never", "-", err
	}
	return age(&s.Uplink.Age, ""), signalText(s.Uplink.RSSI, s.Uplink.SNR), nil
}

func signalText(rssi, snr float64) string { return fmt.Sprintf("%.0f/%.1f", rssi, snr) }

// activityLines tells what a device did last. line writes a name and a value.
func activityLines(s *shownActivity, line func(name, value string)) {
	if s.Summary == nil {
		return
	}
	if u := s.Uplink; u == nil {
		line("last seen", "never, since the daemon started")
	} else {
		port := "no port"
		if u.FPort > 0 {
			port = fmt.Sprintf("port %d", u.FPort)
		}
		line("last seen", fmt.Sprintf("%s, f_cnt %d, %s, %s, %v, on air %s",
			age(&u.Age, " ago"), u.FCnt, port, u.DataRate, u.Frequency, u.Airtime))
		line("payload", payloadText(u.FRMPayload, u.Text))
		line("decoded", string(u.Decoded))
		line("warning", strings.Join(u.Warnings, "; "))
		for _, g := range u.Gateways {
			line("heard by", fmt.Sprintf("%s, RSSI %.0f dBm, SNR %.1f dB", g.Gateway, g.RSSI, g.SNR))
		}
		line("lost", fmt.Sprintf("%.0f %% of the last frames", u.LossRate*100))
	}
	switch j := s.Join; {
	case j == nil:
	case j.Accepted:
		line("last join", age(&j.Age, " ago")+", accepted, by "+j.Gateway)
	default:
		text := fmt.Sprintf("%s, refused (%s), by %s", age(&j.Age, " ago"), j.Reason, j.Gateway)
		for _, more := range []string{j.Error, j.Hint} {
			if more != "" {
				text += "; " + more
			}
		}
		line("last join", text)
	}
}

func payloadText(payload []byte, text string) string {
	if text == "" {
		return strings.ToUpper(fmt.Sprintf("%x", payload))
	}
	return fmt.Sprintf("%X %q", payload, text)
}

// historyLines tells the last uplinks and events of a device.
func historyLines(w io.Writer, s *shownActivity) error {
	for _, raw := range s.RecentUplinks {
		var m struct {
			ReceivedAt *time.Time `json:"received_at"`
			Up         struct {
				FCnt    uint32          `json:"f_cnt"`
				FPort   uint8           `json:"f_port"`
				Payload []byte          `json:"frm_payload"`
				Decoded json.RawMessage `json:"decoded_payload"`
			} `json:"uplink_message"`
		}
		if err := json.Unmarshal(raw, &m); err != nil {
			return fmt.Errorf("cannot read the answer of the daemon: %w", err)
		}
		if _, err := fmt.Fprintf(w, "%s  uplink  f_cnt %d  port %d  %X  %s\n", timeText(m.ReceivedAt, 0), m.Up.FCnt,
			m.Up.FPort,
			m.Up.Payload, plainLine(string(m.Up.Decoded))); err != nil {
			return err
		}
	}
	for _, e := range s.RecentEvents {
		parts := []string{timeText(e.Time, e.Uptime), strings.ReplaceAll(e.Kind, "_", " ")}
		for _, more := range []string{e.Reason, e.Error, e.Hint} {
			if more != "" {
				parts = append(parts, plainLine(more))
			}
		}
		if _, err := fmt.Fprintln(w, strings.Join(parts, "  ")); err != nil {
			return err
		}
	}
	return nil
}

// timeText is the calendar time or, where that was not known, the one since the start.
func timeText(at *time.Time, uptime float64) string {
	if at == nil {
		return fmt.Sprintf("+%.3fs", uptime)
	}
	return at.Local().Format("2006-01-02 15:04:05")
}
