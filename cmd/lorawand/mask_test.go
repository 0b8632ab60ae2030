package main

import (
	"strings"
	"testing"
)

func TestMasked(t *testing.T) {
	key := "NNSXS." + strings.Repeat("A", 39) + "." + strings.Repeat("B", 52)
	aes := strings.Repeat("0a", 16)
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "port 1700\nlevel=info 12.5 s\n", "port 1700\nlevel=info 12.5 s\n"},
		{"an API key", "key " + key + " x", "key NNSXS.AAAAA[masked] x"},
		{"an API key in quotes", `{"key":"` + key + `"}`, `{"key":"NNSXS.AAAAA[masked]"}`},
		{"an API key behind letters", "xNNSXS." + strings.Repeat("A", 39), "xNNSXS.AAAAA[masked]"},
		{"a key of a device", "app_s_key:" + aes + ",", "app_s_key:[masked],"},
		{"a longer one", aes + aes, "[masked]"},
		{"an EUI", "eui-0102030405060708 A1C0FFEE00000001", "eui-…0708 …0001"},
		{"an EUI at an end", "of A1C0FFEE00000001.", "of …0001."},
		{"a key at an end", "is " + aes + ". It", "is [masked]. It"},
		{"with a prefix", "0xA1C0FFEE00000001 0x" + aes, "0x…0001 0x[masked]"},
		{"by bytes", "02:42:02:00:00:24:78:03 a1-c0-ff-ee-00-00-00-01", "…7803 …0001"},
		{"a key by bytes", strings.Repeat("0a:", 15) + "0a", "[masked]"},
		{"a MAC address, a time", "02:42:02:00:00:24 12:34:56", "02:42:02:00:00:24 12:34:56"},
		{"a DevAddr", "01ABCDEF", "01ABCDEF"},
		{"a setting", "password = \"x\"\nkeep = 1\n", "password = [masked]\nkeep = 1\n"},
		{"an environment", "LORAWAND_UPSTREAM_PASSWORD=x\n", "LORAWAND_UPSTREAM_PASSWORD= [masked]\n"},
		{"an empty setting", "password = \"\"\n", "password = \"\"\n"},
		{"a file of a key", "key = \"/etc/lorawand/server.key\"\n", "key = \"/etc/lorawand/server.key\"\n"},
		{"a login in a URL", `url = "mqtts://me:p@ss@broker:8883/x@y"`, `url = "mqtts://[masked]@broker:8883/x@y"`},
		{"a URL without a login", "http://h/x@y http://u@h", "http://h/x@y http://[masked]@h"},
	} {
		if got := masked(tt.text); got != tt.want {
			t.Errorf("%s:\ngot  %q\nwant %q", tt.name, got, tt.want)
		}
	}
}
