package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const srvPrefix = "dns+srv:"

// Resolver is what a JoinList asks about names; *net.Resolver is one.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
	LookupHost(ctx context.Context, host string) ([]string, error)
}

// JoinList is addresses of ring members as a person gave them. The zero
// JoinList names nobody.
type JoinList struct {
	items    []joinItem
	resolver Resolver // nil: the system's
}

type joinItem struct {
	text string // as given
	srv  string // name of SRV records, or
	host string
	port string
}

// ParseJoin reads "host:port,[v6]:port,dns+srv:name". An empty text is an
// empty list. The error says which item is wrong and what it should be.
func ParseJoin(s string) (JoinList, error) {
	var list JoinList
	if strings.TrimSpace(s) == "" {
		return list, nil
	}
	for i, text := range strings.Split(s, ",") {
		item, err := parseJoinItem(strings.TrimSpace(text))
		if err != nil {
			return JoinList{}, fmt.Errorf("join list, item %d %q: %w", i+1, text, err)
		}
		list.items = append(list.items, item)
	}
	return list, nil
}

func parseJoinItem(text string) (joinItem, error) {
	item := joinItem{text: text}
	if text == "" {
		return item, errors.New("it is empty: write host:port or dns+srv:name")
	}
	if name, ok := strings.CutPrefix(text, srvPrefix); ok {
		if name == "" || strings.ContainsAny(name, ": /[]") {
			return item, errors.New("after dns+srv: comes the name of SRV records, such as _ring._tcp.example.org")
		}
		item.srv = name
		return item, nil
	}
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		if addr.Is6() {
			return item, fmt.Errorf("the port is missing: write [%s]:8000", addr)
		}
		return item, fmt.Errorf("the port is missing: write %s:8000", addr)
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		if !strings.Contains(text, ":") {
			return item, fmt.Errorf("the port is missing: write %s:8000", text)
		}
		return item, errors.New("it is not host:port (an IPv6 address goes in brackets)")
	}
	if host == "" {
		return item, errors.New("the host is missing: write host:port")
	}
	if strings.ContainsAny(host, " /@") {
		return item, fmt.Errorf("%q is not a host name or address", host)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return item, fmt.Errorf("%q is not a port: 1 to 65535 are", port)
	}
	item.host, item.port = host, strconv.FormatUint(n, 10)
	return item, nil
}

// Len is how many items were given.
func (j JoinList) Len() int { return len(j.items) }

// WithResolver gives the list with another source of names.
func (j JoinList) WithResolver(r Resolver) JoinList {
	j.resolver = r
	return j
}

// Resolve gives the addresses of all items as host:port with the host a
// number, in the order given and without repetition. Items that do not
// resolve are named in the error; what the others gave is returned with it.
// It blocks as long as the resolver does; call it again to see what changed.
func (j JoinList) Resolve(ctx context.Context) ([]string, error) {
	var (
		out  []string
		errs []error
	)
	for _, item := range j.items {
		addrs, err := j.resolveItem(ctx, item)
		if err != nil {
			errs = append(errs, fmt.Errorf("join list, item %q: %w", item.text, err))
		}
		for _, a := range addrs {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out, errors.Join(errs...)
}

func (j JoinList) resolveItem(ctx context.Context, item joinItem) ([]string, error) {
	if item.srv == "" {
		return j.resolveHost(ctx, item.host, item.port)
	}
	_, records, err := j.names().LookupSRV(ctx, "", "", item.srv)
	if err != nil {
		return nil, fmt.Errorf("looking up its SRV records: %w", err)
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("%s has no SRV records", item.srv)
	}
	var (
		out  []string
		errs []error
	)
	for _, rec := range records {
		addrs, err := j.resolveHost(ctx, strings.TrimSuffix(rec.Target, "."), strconv.Itoa(int(rec.Port)))
		out = append(out, addrs...)
		if err != nil {
			errs = append(errs, err)
		}
	}
	return out, errors.Join(errs...)
}

func (j JoinList) resolveHost(ctx context.Context, host, port string) ([]string, error) {
	if _, err := netip.ParseAddr(host); err == nil {
		return []string{net.JoinHostPort(host, port)}, nil
	}
	hosts, err := j.names().LookupHost(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("looking up %s: %w", host, err)
	}
	var out []string
	for _, h := range hosts {
		out = append(out, net.JoinHostPort(h, port))
	}
	return out, nil
}

func (j JoinList) names() Resolver {
	if j.resolver != nil {
		return j.resolver
	}
	return net.DefaultResolver
}
