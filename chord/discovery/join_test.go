package discovery

import (
	"context"
	"errors"
	"net"
	"reflect"
	"strings"
	"testing"
)

// names is a resolver with a few answers.
type names struct{}

func (names) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if service != "" || proto != "" {
		return "", nil, errors.New("the name is asked for as it is")
	}
	switch name {
	case "_ring._tcp.lab":
		return "", []*net.SRV{{Target: "one.lab.", Port: 8000}, {Target: "two.lab.", Port: 8001}, {Target: "10.0.0.9.", Port: 8002}}, nil
	case "half.lab":
		return "", []*net.SRV{{Target: "one.lab.", Port: 8000}, {Target: "gone.lab.", Port: 8001}}, nil
	case "empty.lab":
		return "", nil, nil
	}
	return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (names) LookupHost(_ context.Context, host string) ([]string, error) {
	switch host {
	case "one.lab":
		return []string{"10.0.0.1", "fd00::1"}, nil
	case "two.lab":
		return []string{"10.0.0.2"}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func TestJoinListsThatResolve(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want []string
	}{
		{"", 0, nil},
		{"  ", 0, nil},
		{"10.0.0.7:8000", 1, []string{"10.0.0.7:8000"}},
		{"[::1]:08000, 10.0.0.7:1", 2, []string{"[::1]:8000", "10.0.0.7:1"}},
		{"one.lab:8000", 1, []string{"10.0.0.1:8000", "[fd00::1]:8000"}},
		{"two.lab:5,10.0.0.2:5", 2, []string{"10.0.0.2:5"}},
		{"dns+srv:_ring._tcp.lab", 1, []string{"10.0.0.1:8000", "[fd00::1]:8000", "10.0.0.2:8001", "10.0.0.9:8002"}},
	} {
		list, err := ParseJoin(c.in)
		if err != nil || list.Len() != c.n {
			t.Errorf("%q: %d items, %v", c.in, list.Len(), err)
			continue
		}
		if got, err := list.WithResolver(names{}).Resolve(context.Background()); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %q, %v; want %q", c.in, got, err, c.want)
		}
	}
}

func TestWhatDoesNotResolveIsNamedAndTheRestIsGiven(t *testing.T) {
	list, err := ParseJoin("gone.lab:1,two.lab:2,dns+srv:nobody,dns+srv:half.lab,dns+srv:empty.lab")
	if err != nil {
		t.Fatal(err)
	}
	got, err := list.WithResolver(names{}).Resolve(context.Background())
	if want := []string{"10.0.0.2:2", "10.0.0.1:8000", "[fd00::1]:8000"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, part := range []string{`"gone.lab:1"`, `"dns+srv:nobody"`, `"dns+srv:half.lab"`, `"dns+srv:empty.lab"`, "no such host"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not name %s: %v", part, err)
		}
	}
	var dns *net.DNSError
	if !errors.As(err, &dns) {
		t.Errorf("the resolver's error is hidden: %v", err)
	}
}

func TestJoinListsThatAreRefused(t *testing.T) {
	for in, says := range map[string][]string{
		"10.0.0.1":              {"item 1", "the port is missing: write 10.0.0.1:8000"},
		"a:1,b":                 {"item 2", `"b"`, "the port is missing: write b:8000"},
		"fd00::1":               {"item 1", "write [fd00::1]:8000"},
		"[fd00::1]":             {"write [fd00::1]:8000"},
		"fd00::1:zz:1":          {"in brackets"},
		"a:1,,b:2":              {"item 2", "it is empty"},
		"a:1,":                  {"item 2", "it is empty"},
		":8000":                 {"the host is missing"},
		"a:":                    {`"" is not a port`},
		"a:0":                   {`"0" is not a port`},
		"a:65536":               {`"65536" is not a port`},
		"a:http":                {`"http" is not a port`},
		"http://a:1":            {"item 1", "not host:port"},
		"a b:1":                 {`"a b" is not a host name`},
		"dns+srv:":              {"after dns+srv:"},
		"dns+srv:name.lab:8000": {"after dns+srv:"},
	} {
		_, err := ParseJoin(in)
		for _, part := range says {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %v does not say %s", in, err, part)
			}
		}
	}
}
