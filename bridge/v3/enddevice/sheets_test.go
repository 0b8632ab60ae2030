package enddevice

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
)

const (
	ones = "11111111111111111111111111111111"
	twos = "22222222222222222222222222222222"
	euis = "1122334455667788 70B3D57ED0000000"
)

// utf16Text encodes a text, with what stands before it.
func utf16Text(before string, order binary.AppendByteOrder, text string) string {
	b := []byte(before)
	for _, u := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

// oddTables are what makers of devices and spreadsheets write; want has for each
// device its line, id, DevEUI, JoinEUI, first byte of the AppKey, and name.
var oddTables = []struct{ name, text, want, warning string }{
	{
		"headers of makers", "DevEUI,AppEUI,AppKey\n1122334455667788,70B3D57ED0000000," + ones + "\n",
		"2 eui-1122334455667788 " + euis + " 11 ", "",
	},
	{
		"headers with blanks", "Device EUI;Join EUI;Application Key;Device Name\n1122334455667788;70B3D57ED0000000;" + ones +
			";Küche\n",
		"2 eui-1122334455667788 " + euis + " 11 Küche", "",
	},
	{
		"headers with units", "Dev EUI (hex),APP_EUI [hex],app-key\n1122334455667788,70B3D57ED0000000," + ones + "\n",
		"2 eui-1122334455667788 " + euis + " 11 ", "",
	},
	{
		"separators in cells", "dev_eui,join_eui,app_key\n11-22-33-44-55-66-77-88,70:B3:D5:7E:D0:00:00:00," +
			strings.Repeat("11 ", 16) + "\n",
		"2 eui-1122334455667788 " + euis + " 11 ", "",
	},
	{
		"prefixes in cells", "dev_eui,join_eui,app_key\n0x1122334455667788,0X70B3D57ED0000000,0x" + ones + "\n",
		"2 eui-1122334455667788 " + euis + " 11 ", "",
	},
	{
		"marks of text", "dev_eui,join_eui,app_key\n'1122334455667788,\"=\"\"70B3D57ED0000000\"\"\"," + ones + "\n",
		"2 eui-1122334455667788 " + euis + " 11 ", "",
	},
	{
		"blank cells", "id , dev_eui , join_eui , app_key\n\u00a0dev1 , 1122 3344\u00a05566 7788 ,\t70B3D57ED0000000 , " +
			ones + " \n",
		"2 dev1 " + euis + " 11 ", "",
	},
	{
		"empty rows", "id;dev_eui;join_eui;app_key\n;;;\ndev1;1122334455667788;70B3D57ED0000000;" + ones +
			"\n;;;\n;\n\n ; ; ; ; ; \n",
		"3 dev1 " + euis + " 11 ", "",
	},
	{
		"empty columns", "id;dev_eui;join_eui;app_key;;\ndev1;1122334455667788;70B3D57ED0000000;" + ones + ";;\n",
		"2 dev1 " + euis + " 11 ", "",
	},
	{
		"more cells than headers", "id;dev_eui;join_eui;app_key\ndev1;1122334455667788;70B3D57ED0000000;" + ones + ";;;\n",
		"2 dev1 " + euis + " 11 ", "",
	},
	{
		"sep=;", "sep=;\r\nid;dev_eui;join_eui;app_key\r\ndev1;1122334455667788;70B3D57ED0000000;" + ones + "\r\n",
		"3 dev1 " + euis + " 11 ", "",
	},
	{
		"sep=, with a mark", "\ufeff\"SEP=,\"\nid,dev_eui,join_eui,app_key,name\ndev1,1122334455667788,70B3D57ED0000000," +
			ones + ",a;b\n",
		"3 dev1 " + euis + " 11 a;b", "",
	},
	{
		"sep and a tab", "sep=\t\nid\tdev_eui\tjoin_eui\tapp_key\ndev1\t1122334455667788\t70B3D57ED0000000\t" + ones + "\n",
		"3 dev1 " + euis + " 11 ", "",
	},
	{
		"tabs, with an empty cell", "id\tname\tdev_eui\tjoin_eui\tapp_key\ndev1\t\t1122334455667788\t70B3D57ED0000000\t" +
			ones + "\n",
		"2 dev1 " + euis + " 11 ", "",
	},
	{
		"a comma in a header", "\"id, short\";dev_eui;join_eui;app_key\n\"x\";1122334455667788;70B3D57ED0000000;" + ones +
			"\n",
		"2 eui-1122334455667788 " + euis + " 11 ", `"id, short"`,
	},
	{
		"Windows-1252", "dev_eui;join_eui;app_key;name\n1122334455667788;70B3D57ED0000000;" + ones + ";K\xfcche \x80 \x96\n",
		"2 eui-1122334455667788 " + euis + " 11 Küche € –", "",
	},
	{
		"UTF-16", utf16Text("\xff\xfe", binary.LittleEndian,
			"dev_eui\tjoin_eui\tapp_key\tname\r\n1122334455667788\t70B3D57ED0000000\t"+ones+"\tKüche 😀\r\n"),
		"2 eui-1122334455667788 " + euis + " 11 Küche 😀", "",
	},
	{
		"UTF-16, big-endian", utf16Text("\xfe\xff", binary.BigEndian,
			"sep=;\ndev_eui;join_eui;app_key\n1122334455667788;70B3D57ED0000000;"+ones+"\n"),
		"3 eui-1122334455667788 " + euis + " 11 ", "",
	},
	{
		"UTF-16 without a mark", utf16Text("", binary.LittleEndian,
			"dev_eui;join_eui;app_key\n1122334455667788;70B3D57ED0000000;"+ones+"\n"),
		"2 eui-1122334455667788 " + euis + " 11 ", "",
	},
	{
		"JSON in UTF-16", utf16Text("\xff\xfe", binary.LittleEndian, `{"ids":{"device_id":"dev1","dev_eui":"1122334455667788","join_eui":"70B3D57ED0000000"},"name":"Küche","root_keys":{"app_key":{"key":"`+ones+`"}}}`),
		"1 dev1 " + euis + " 11 Küche", "",
	},
	{
		"unknown columns", "SN,DevEUI,AppEUI,AppKey,Batch No.,PIN\n17,1122334455667788,70B3D57ED0000000," + ones +
			",B7,1234\n",
		"2 eui-1122334455667788 " + euis + " 11 ",
		`passed over: "SN", "Batch No.", "PIN"; the known ones are listed by: device import --help`,
	},
	{
		"many unknown columns", strings.Repeat("x,", 30) + "DevEUI,AppEUI,AppKey\n" + strings.Repeat(",", 30) +
			"1122334455667788,70B3D57ED0000000," + ones + "\n",
		"2 eui-1122334455667788 " + euis + " 11 ", " and 10 more",
	},
	{
		"versions of makers", "DevEUI,AppEUI,AppKey,MAC Version,Frequency Plan\n1122334455667788,70B3D57ED0000000," + ones +
			",LoRaWAN 1.0.3,EU_863_870\n",
		"2 eui-1122334455667788 " + euis + " 11 ", "",
	},
}

func TestOddTables(t *testing.T) {
	for _, tt := range oddTables {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Read([]byte(tt.text), Options{Application: "app1", Plan: "EU_863_870", Version: "V1.0.3"})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range f.Entries {
				d := e.Device
				got = append(got, fmt.Sprintf("%d %s %v %v %02x %s", e.Line, d.ID.Device, d.DevEUI, d.JoinEUI, d.RootKeys.AppKey[0],
					d.Name))
				if d.Version.String() != "1.0.3" {
					t.Errorf("LoRaWAN %v", d.Version)
				}
			}
			if text := strings.Join(got, "\n"); text != tt.want {
				t.Errorf("%s, want %s", text, tt.want)
			}
			if warnings := strings.Join(f.Warnings, "\n"); (tt.warning == "") != (warnings == "") ||
				!strings.Contains(warnings, tt.warning) {
				t.Errorf("warnings %q, want %q", warnings, tt.warning)
			}
		})
	}
}

// The fault of a bad table says where it is, and what to do.
func TestTablesRefused(t *testing.T) {
	const head = "id;dev_eui;join_eui;lorawan_version;app_key\n"
	for _, tt := range []struct{ name, text, want string }{
		{
			"a workbook", "PK\x03\x04\x14\x00\x06\x00",
			"line 1: no end devices: a workbook or an archive; export the devices as CSV",
		},
		{"an old workbook", "\xd0\xcf\x11\xe0\xa1\xb1", "a workbook or an archive"},
		{"bytes", head + "dev1;\x00\n", "line 2: no end devices: not a text"},
		{"half of UTF-16", "\xff\xfei", "not CSV with a header"},
		{"nothing of UTF-16", "\xff\xfe", "the file is empty"},
		{"a separator alone", "sep=;\n", "line 2: no end devices"},
		{"a separator that is none", "sep=x\nidxdev_eui\n", "line 1: no end devices"},
		{
			"no known column", "\"sep=;\"\nserial;batch\n1;2\n",
			"line 2: no end devices: not JSON, and not CSV with a header of known columns",
		},
		{
			"a rounded EUI", head + "dev1;1,12233E+15;0000000000000000;1.0.3;" + ones + "\n",
			"line 2: dev1: dev_eui: a spreadsheet has made a number of it",
		},
		{
			"too many cells", head + "dev1;1122334455667788;0000000000000000;1.0.3;" + ones + ";x\n",
			"line 2: wrong number of fields",
		},
		{"too few cells", head + ";;;;\ndev1;1122334455667788\n", "line 3: wrong number of fields"},
		{"a fault below sep=", "sep=;\n" + head + "dev1;11;0000000000000000;1.0.3;" + ones + "\n", "line 3: dev1: dev_eui"},
		{"a quote below sep=", "sep=;\n" + head + "dev1;\"11;0000000000000000;1.0.3;" + ones + "\n", "line 3: "},
		{
			"a session without address", "id;lorawan_version;app_s_key;nwk_s_key\ndev1;1.0.3;" + ones + ";" + twos + "\n",
			"line 2: dev1: dev_addr: missing",
		},
		{
			"no version", "dev_eui;join_eui;app_key\n1122334455667788;0000000000000000;" + ones + "\n",
			"lorawan_version: missing; --version names",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Read([]byte(tt.text), opts)
			if err == nil || len(f.Entries) > 0 || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%+v, %v; want %s", f, err, tt.want)
			}
		})
	}
}
