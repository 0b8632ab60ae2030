// Package maker says who owns the block of EUIs that an EUI is from.
package maker

import "strings"

// makers are owners of blocks whose devices are often met, by the first hexadecimal
// digits of their EUIs. A longer beginning stands before a shorter one.
// Source: the IEEE's public listings (MA-L and, with 9 digits, MA-S).
var makers = []struct{ begin, name string }{
	{"70B3D57ED", "The Things Network (own and many makers' devices)"},
	{"A84041", "Dragino"},
	{"24E124", "Milesight"},
	{"2CF7F1", "Seeed"},
	{"A81758", "Elsys"},
	{"0018B2", "Adeunis"},
	{"647FDA", "Tektelic"},
	{"00137A", "Netvox"},
	{"AC1F09", "RAKwireless"},
	{"008000", "MultiTech"},
	{"E8E1E1", "Browan"},
	{"0025CA", "Laird"},
	{"7076FF", "Kerlink"},
	{"0004A3", "Microchip"},
	{"0080E1", "STMicroelectronics"},
}

// Of returns the maker of an EUI in upper case hexadecimal digits; "": not known.
func Of(eui string) string {
	for _, m := range makers {
		if strings.HasPrefix(eui, m.begin) {
			return m.name
		}
	}
	return ""
}
