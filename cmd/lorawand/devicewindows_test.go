package main

import (
	"strings"
	"testing"
)

// Settings of receive windows hold at once, or the command says that they come later; an
// export agrees with that.
func TestSetWindows(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		keys := `"keys":{"f_nwk_s_int_key":{"key":"` + testNwk + `"},"app_s_key":{"key":"` + testApp + `"}}`
		told := `"mac_state":{"current_parameters":{"rx1_delay":5,"rx2_data_rate_index":3,"rx2_frequency":"869525000"}}`
		s.must(`{"ids":{"device_id":"abp"},"lorawan_version":"MAC_V1_0_3","session":{"dev_addr":"01ABCDEF",`+keys+`},`+told+`}`+
			`{"ids":{"device_id":"otaa","dev_eui":"0102030405060708","join_eui":"0000000000000000"},"lorawan_version":"MAC_V1_0_3","supports_join":true,`+
			`"root_keys":{"app_key":{"key":"`+testApp+`"}},"session":{"dev_addr":"01ABCDF0",`+keys+`},`+told+`}`,
			"device", "import", "-", "--application", "app1")
		set := func(device string) string {
			status, _, errOut := s.cli("", "device", "set", device, "--application", "app1",
				"--rx1-delay", "1", "--rx1-data-rate-offset", "2", "--rx2-data-rate", "4", "--rx2-frequency", "868500000")
			if status != 0 {
				t.Errorf("%s: exit status %d", device, status)
			}
			return errOut
		}
		if errOut := set("abp"); errOut != "" {
			t.Errorf("ABP: %s", errOut)
		}
		contains(t, "OTAA", set("otaa"),
			"lorawand: otaa: rx1_delay, rx1_data_rate_offset, rx2_data_rate_index, rx2_frequency: takes effect at the next join")
		const now = `"rx1_delay":1,"rx1_data_rate_offset":2,"rx2_data_rate_index":4,"rx2_frequency":"868500000"`
		abp := s.must("", "device", "export", "abp", "--application", "app1")
		contains(t, "ABP", abp, `"mac_settings":{`+now+`}`, `"current_parameters":{`+now,
			// What it is asked for then: the network's delay, and RX2 of the plan.
			`"desired_parameters":{"rx1_delay":5,"rx1_data_rate_offset":2,"rx2_data_rate_index":3,"rx2_frequency":"869525000"`)
		if strings.Count(abp, `"rx1_delay":5`) != 1 {
			t.Errorf("the file contradicts itself: %s", abp)
		}
		otaa := s.must("", "device", "export", "otaa", "--application", "app1", "--session")
		contains(t, "OTAA", otaa, `"desired_rx1_delay":1,"desired_rx1_data_rate_offset":2,"desired_rx2_data_rate_index":4`,
			`"current_parameters":{"max_eirp":16,"adr_nb_trans":1,"rx1_delay":5,"rx2_data_rate_index":3,"rx2_frequency":"869525000"`)

		// What was exported is the same once it was imported.
		s.must("", "device", "delete", "abp", "--application", "app1")
		s.must(abp, "device", "import", "-", "--application", "app1")
		if again := s.must("", "device", "export", "abp", "--application", "app1"); again != abp {
			t.Errorf("exported\n%s\nand, when it was imported,\n%s", abp, again)
		}
	})
}
