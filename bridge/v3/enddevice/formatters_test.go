package enddevice

import (
	"errors"
	"strings"
	"testing"

	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
)

// A device has formatters of its own, which may be none, or those of its
// application; both outlive an export and the store.
func TestFormatters(t *testing.T) {
	script := strings.Repeat("x", formatter.MaxScript)
	for _, tt := range []struct {
		name, members string
		want          session.Formatters
		written       string // "": no formatters at all
	}{
		{"absent", ``, session.Formatters{}, ``},
		{"null", `,"formatters":null`, session.Formatters{}, ``},
		{"empty", `,"formatters":{}`, session.Formatters{Set: true}, `"formatters":{}`},
		{
			"none", `,"formatters":{"up_formatter":"FORMATTER_NONE"}`,
			session.Formatters{Set: true, Up: "FORMATTER_NONE"},
			`"formatters":{"up_formatter":"FORMATTER_NONE"}`,
		},
		{
			"both", `,"formatters":{"up_formatter":"FORMATTER_JAVASCRIPT","up_formatter_parameter":"x","down_formatter":4}`,
			session.Formatters{Set: true, Up: "FORMATTER_JAVASCRIPT", UpParameter: "x", Down: "FORMATTER_CAYENNELPP"},
			`"formatters":{"up_formatter":"FORMATTER_JAVASCRIPT","up_formatter_parameter":"x","down_formatter":"FORMATTER_CAYENNELPP"}`,
		},
		{
			"of the repository", `,"formatters":{"down_formatter":"FORMATTER_REPOSITORY"}`,
			session.Formatters{Set: true, Down: "FORMATTER_REPOSITORY"},
			`"formatters":{"down_formatter":"FORMATTER_REPOSITORY"}`,
		},
		{
			"the longest script", `,"formatters":{"up_formatter":"FORMATTER_JAVASCRIPT","up_formatter_parameter":"` + script + `"}`,
			session.Formatters{Set: true, Up: "FORMATTER_JAVASCRIPT", UpParameter: script},
			`"up_formatter_parameter":"xxx`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			entries, err := Parse([]byte(change(`"lorawan_version":"MAC_V1_0_3"`, `"lorawan_version":"MAC_V1_0_3"`+tt.members)), opts)
			if err != nil {
				t.Fatal(err)
			}
			d, err := again(entries[0].Device)
			if err != nil || d.Formatters != tt.want || entries[0].Device.Formatters != tt.want {
				t.Fatalf("%+v, %v", d, err)
			}
			b, err := session.MarshalDevice(d)
			if err != nil {
				t.Fatal(err)
			}
			if d, err = session.UnmarshalDevice(b); err != nil || d.Formatters != tt.want {
				t.Fatalf("from the store: %+v, %v", d, err)
			}
			text, err := Append(nil, d, Form{})
			if err != nil || strings.Contains(string(text), `"formatters"`) != (tt.written != "") ||
				!strings.Contains(string(text), tt.written) {
				t.Errorf("%s, %v", text, err)
			}
		})
	}
}

// A formatter that cannot be is a fault of the file, with the reason.
func TestFormattersRefused(t *testing.T) {
	long := strings.Repeat("x", formatter.MaxScript+1)
	for _, tt := range []struct{ name, formatters, want string }{
		{"a gRPC service", `{"up_formatter":"FORMATTER_GRPC_SERVICE","up_formatter_parameter":"localhost:1"}`, "up_formatter: formatter not accepted: FORMATTER_GRPC_SERVICE asks a server outside"},
		{"by its number", `{"down_formatter":2}`, "down_formatter: formatter not accepted: FORMATTER_GRPC_SERVICE"},
		{"not known", `{"up_formatter":"FORMATTER_LUA"}`, `"FORMATTER_LUA"; there are`},
		{"a script that is too long", `{"up_formatter":"FORMATTER_JAVASCRIPT","up_formatter_parameter":"` + long + `"}`, "a script of 40961 bytes, more than 40960"},
		{"a parameter that is too long", `{"down_formatter":"FORMATTER_REPOSITORY","down_formatter_parameter":"` + long + `"}`, "more than 40960"},
		{"not an object", `"FORMATTER_NONE"`, "not a string"},
		{"a list", `[]`, "not a array"},
	} {
		_, err := Parse([]byte(change(`"lorawan_version":"MAC_V1_0_3"`, `"lorawan_version":"MAC_V1_0_3","formatters":`+tt.formatters)), opts)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "line 1: dev1") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if err := CheckFormatter("FORMATTER_GRPC_SERVICE", ""); !errors.Is(err, ErrFormatter) {
		t.Errorf("%v", err)
	}
}

// A record of an earlier version does not say whether the formatters are the device's own.
func TestFormattersOfOlderRecords(t *testing.T) {
	for text, want := range map[string]bool{
		`{"Formatters":{"Up":"","UpParameter":"","Down":"","DownParameter":""}}`:                 false,
		`{"Formatters":{"Up":"FORMATTER_CAYENNELPP","UpParameter":"","Down":""}}`:                true,
		`{"Formatters":{"Up":"","Down":"FORMATTER_NONE"}}`:                                       true,
		`{"Formatters":{"Up":"","UpParameter":"","Down":"","DownParameter":"","Set":true}}`:      true,
		`{"ID":{"Application":"app1","Device":"dev1"},"Attributes":null,"Formatters":{"Up":""}}`: false,
	} {
		if d, err := session.UnmarshalDevice([]byte(text)); err != nil || d.Formatters.Set != want {
			t.Errorf("%s: %+v, %v", text, d, err)
		}
	}
}

// Formatters of its own switch those of the application off, and default brings
// them back; both hold for both directions.
func TestChangeFormatters(t *testing.T) {
	type change = FormatterChange
	js, lpp, none := &change{Name: "FORMATTER_JAVASCRIPT", Parameter: "x"}, &change{Name: "FORMATTER_CAYENNELPP"},
		&change{Name: "FORMATTER_NONE"}
	byDefault := &change{Default: true}
	both := session.Formatters{Set: true, Up: "FORMATTER_JAVASCRIPT", UpParameter: "x", Down: "FORMATTER_CAYENNELPP"}
	for _, tt := range []struct {
		name     string
		is       session.Formatters
		up, down *change
		want     session.Formatters
		refused  string
	}{
		{"nothing asked", both, nil, nil, both, ""},
		{
			"up",
			session.Formatters{},
			js, nil,
			session.Formatters{Set: true, Up: "FORMATTER_JAVASCRIPT", UpParameter: "x"},
			"",
		},
		{"down beside up", session.Formatters{Set: true, Up: "FORMATTER_JAVASCRIPT", UpParameter: "x"}, nil, lpp, both, ""},
		{"a script goes with its formatter", both, none, nil, session.Formatters{
			Set: true, Up: "FORMATTER_NONE",
			Down: "FORMATTER_CAYENNELPP",
		}, ""},
		{"none is one of its own", session.Formatters{}, none, none, session.Formatters{
			Set: true, Up: "FORMATTER_NONE",
			Down: "FORMATTER_NONE",
		}, ""},
		{"default again", both, byDefault, byDefault, session.Formatters{}, ""},
		{"default again, the other is none", session.Formatters{
			Set: true, Up: "FORMATTER_CAYENNELPP",
			Down: "FORMATTER_NONE",
		}, byDefault, nil, session.Formatters{}, ""},
		{"default as before", session.Formatters{}, nil, byDefault, session.Formatters{}, ""},
		{"default would lose the other", both, nil, byDefault, both, "both directions"},
		{"half a default", session.Formatters{}, js, byDefault, session.Formatters{}, "both directions"},
		{"a server", both, &change{Name: "FORMATTER_GRPC_SERVICE"}, none, both, "FORMATTER_GRPC_SERVICE"},
		{"the second is wrong", both, none, &change{Name: "x"}, both, `"x"`},
		{
			"a long script", both, &change{Name: "FORMATTER_JAVASCRIPT", Parameter: strings.Repeat("x", formatter.MaxScript+1)},
			nil, both, "40961 bytes",
		},
	} {
		got := tt.is
		err := ChangeFormatters(&got, tt.up, tt.down)
		if got != tt.want || (err != nil) != (tt.refused != "") || err != nil && (!errors.Is(err, ErrFormatter) ||
			!strings.Contains(err.Error(), tt.refused)) {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
}
