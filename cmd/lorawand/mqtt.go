package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
)

func newMQTT() *cobra.Command {
	return group("mqtt", "Look at the MQTT clients", newMQTTList())
}

func newMQTTList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "Show which MQTT clients are connected, and whose sessions are kept", Args: noArgs,
		Long: "Show the connected MQTT clients, and the disconnected ones whose sessions are kept: the name of the\n" +
			"API key, how long they have been connected or away, how many messages wait for them, and how many\n" +
			"they have lost.",
	}
	application := applicationFlag(cmd, "only of this application `id`")
	asJSON := jsonFlag(cmd)
	wide := cmd.Flags().Bool("wide", false, "cut off nothing and show more: the table may be wider than 80 columns")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if _, err := loadLive(cmd, *application); err != nil {
			return err
		}
		header, row := "CLIENT\tAPPLICATION\tKEY\tADDRESS\tSINCE\tQUEUE\tDROPPED", clientRow
		if *wide {
			header, row = header+"\tOVER\tMQTT\tKEY ID", wideClientRow
		}
		l := listing[admin.MQTTClient]{operation: "mqtt.list", live: true, header: header}
		l.row = func(w io.Writer, m admin.MQTTClient) error {
			_, err := fmt.Fprintln(w, row(&m))
			return err
		}
		return l.print(cmd, admin.ListArgs{Application: *application}, *asJSON)
	}
	return cmd
}

// clientRow returns a row of the table, which has 80 columns.
func clientRow(m *admin.MQTTClient) string { return clientCells(m, shorten) }

func wideClientRow(m *admin.MQTTClient) string {
	whole := func(s string, _ int) string { return s }
	return strings.Join([]string{clientCells(m, whole), orDash(m.Over), orDash(m.Version), m.KeyID}, "\t")
}

func clientCells(m *admin.MQTTClient, cut func(s string, most int) string) string {
	address := "away"
	if m.Connected {
		address = m.Address
	}
	return strings.Join([]string{
		cut(orDash(plainLine(m.ID)), 12), cut(m.Application, 12), cut(plainLine(cmp.Or(m.KeyName, m.KeyID)), 10),
		cut(address, 15),
		roughly(m.Since), cut(fmt.Sprint(m.Queue), 5), cut(fmt.Sprint(m.Dropped), 7),
	}, "\t")
}

// shorten cuts a text to this many characters.
func shorten(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// roughly returns a time in s as text of at most 6 characters.
func roughly(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int64(d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int64(d/time.Minute), int64(d%time.Minute/time.Second))
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int64(d/time.Hour), int64(d%time.Hour/time.Minute))
	}
	return fmt.Sprintf("%dd", int64(d/(24*time.Hour)))
}
