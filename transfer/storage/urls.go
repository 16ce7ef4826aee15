package storage

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// maxURL bounds the address of a tracker or a web seed.
const maxURL = 4096

// TrackerURL reads the address of a tracker, by http, https or udp, and WebSeedURL that of a
// web seed, by http or https. Blanks around it do not count, nor does a fragment. This is the
// one rule for what is used: where a torrent is fetched, others are passed over; where one is
// looked at, they are told of; where one is made, they are refused. Errors do not repeat the
// address, which may hold a password.
func TrackerURL(text string) (*url.URL, error) {
	u, err := readURL(text, "http", "https", "udp")
	if err == nil && u.Scheme == "udp" && u.Port() == "" {
		return nil, errors.New("a UDP tracker without a port")
	}
	return u, err
}

// WebSeedURL is beside [TrackerURL].
func WebSeedURL(text string) (*url.URL, error) { return readURL(text, "http", "https") }

func readURL(text string, schemes ...string) (*url.URL, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxURL {
		return nil, fmt.Errorf("an address of %d bytes, at most %d", len(text), maxURL)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("not an address")
	case !slices.Contains(schemes, u.Scheme):
		last := len(schemes) - 1
		return nil, fmt.Errorf("it begins with %q: only %s and %s are known", u.Scheme, strings.Join(schemes[:last], ", "), schemes[last])
	case u.Hostname() == "":
		return nil, errors.New("an address without a host")
	}
	u.Fragment = ""
	return u, nil
}
