package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Common mistakes, each with the exact line that tells of it.
func TestMistakes(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{
			"a number for a duration", "[store]\ncommit_interval = 15\n",
			`FILE: line 2, column 19: store.commit_interval: 15 has no unit: write "15s" if it is in seconds`,
		},
		{
			"a broken number", "[network]\nrx1_delay = 1.5\n",
			`FILE: line 2, column 13: network.rx1_delay: 1.5 has no unit: write "1.5s" if it is in seconds`,
		},
		{
			"a number in quotes", "[store]\ncommit_interval = \"15\"\n",
			`FILE: line 2, column 19: store.commit_interval: 15 has no unit: write "15s" if it is in seconds`,
		},
		{
			"a word for a duration", "[store]\ncommit_interval = \"often\"\n",
			`FILE: line 2, column 19: store.commit_interval: not a duration such as "15s": "often"`,
		},
		{
			"a plan's short name", "[network]\ndefault_frequency_plan = \"EU868\"\n",
			`FILE: network.default_frequency_plan: "EU868" is no frequency plan of this version; the nearest are ` +
				`EU_863_870_TTN, EU_863_870, EU_863_870_ROAMING_DRAFT, RU_864_870_TTN`,
		},
		{
			"a plan of 2.4 GHz", "[network]\ndefault_frequency_plan = \"ISM_2400_3CH_DRAFT2\"\n",
			`FILE: network.default_frequency_plan: "ISM_2400_3CH_DRAFT2" is no frequency plan of this version; ` +
				`plans of 2.4 GHz are left out: no gateway that lorawand serves has such a radio`,
		},
		{"none", "[store]\ncommit_interval = \"0s\"\n", ""},
		{"nothing needs no unit", "[store]\ncommit_interval = 0\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "FILE")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Chdir(filepath.Dir(file))
			_, err := Load("FILE", true)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || err.Error() != tt.want):
				t.Errorf("%v\nwant\n%s", err, tt.want)
			}
		})
	}
}

func TestUnknownVariables(t *testing.T) {
	got := Unknown([]string{
		"LORAWAND_STOR_PATH=/x", "LORAWAND_CONFIG=/x", "LORAWAND_STORE_PATH=/x", "LORAWAND_PORT=tcp://10.0.0.1:1700",
		"LORAWAND_GATEWAY_0_EUI=0242020000247803", "PATH=/bin", "LORAWAND_CONFG=/x",
	})
	want := []string{
		"$LORAWAND_CONFG: no such key, it is ignored; did you mean $LORAWAND_CONFIG?",
		"$LORAWAND_PORT: no such key, it is ignored",
		"$LORAWAND_STOR_PATH: no such key, it is ignored; did you mean $LORAWAND_STORE_PATH?",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestNearest(t *testing.T) {
	all := []string{"import", "list", "get", "set", "delete", "export"}
	for word, want := range map[string]string{
		"lst": "list", "improt": "import", "List": "list", "del": "delete", "remove": "", "xyz": "", "": "",
		"ge": "get", "exports": "export",
	} {
		if got := Nearest(word, all); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
