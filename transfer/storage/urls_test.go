package storage

import (
	"strings"
	"testing"
)

func TestAddressesOfTrackersAndWebSeeds(t *testing.T) {
	for text, want := range map[string]struct{ tracker, web string }{
		"http://a/announce":              {},
		" HTTPS://u:secret@a:1/x?y#z\n":  {},
		"udp://a:1":                      {web: "only http and https"},
		"udp://[2001:db8::1]:1/announce": {web: "only http and https"},
		"udp://a":                        {"without a port", "only http and https"},
		"wss://a":                        {"only http, https and udp", "only http and https"},
		"secret":                         {"only http, https and udp", "only http and https"},
		"http://":                        {"without a host", "without a host"},
		"http://:80/":                    {"without a host", "without a host"},
		"http://a/%zz secret":            {"not an address", "not an address"},
		"http://a/" + strings.Repeat("x", maxURL): {"at most 4096", "at most 4096"},
	} {
		u, err := TrackerURL(text)
		if (err == nil) != (want.tracker == "") || err != nil && (!strings.Contains(err.Error(), want.tracker) || strings.Contains(err.Error(), "secret\n")) {
			t.Errorf("tracker %.40q: %v", text, err)
		}
		if err == nil && (u.Fragment != "" || u.Scheme != strings.ToLower(u.Scheme)) {
			t.Errorf("tracker %q is %v", text, u)
		}
		if _, err = WebSeedURL(text); (err == nil) != (want.web == "") || err != nil && !strings.Contains(err.Error(), want.web) {
			t.Errorf("web seed %.40q: %v", text, err)
		}
	}
}
