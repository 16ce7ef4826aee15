package rpc

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/secret"
)

// secretOf keeps the secrets of so many letters; nil for none.
func secretOf(t *testing.T, letters string) *secret.Keeper {
	t.Helper()
	if letters == "" {
		return nil
	}
	var text strings.Builder
	for _, l := range letters {
		text.WriteString(strings.Repeat(string(l), 2*secret.MinBytes) + "\n")
	}
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := secret.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// startClosed is a member's port with those secrets.
func startClosed(t *testing.T, letters string) (*Splitter, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	keeper := secretOf(t, letters)
	s := Split(ln, keeper, nil)
	tr := NewTransport(TransportConfig{
		Self: chord.Ref{ID: chord.ID{1}, Addr: ln.Addr().String()}, Cluster: "test", Secret: keeper,
		OnEnvelope: func(_ chord.Envelope, done func()) { done() }, OnUnreachable: func(chord.Ref, uint64, bool) {},
		OnRequest: func(r Request) { r.Reply(chord.AssignIDReply{ClientID: 7}) },
	})
	served := make(chan error, 1)
	go func() { served <- tr.Serve(s.RPC()) }()
	t.Cleanup(func() {
		_ = tr.Close()
		_ = s.Close()
		<-served
	})
	return s, ln.Addr().String()
}

func TestOnlyWhoKnowsTheSecretIsLetInAndOthersAreToldWhy(t *testing.T) {
	for _, c := range []struct{ member, client, says, counted string }{
		{"a", "a", "", ""},
		{"", "", "", ""},
		{"ab", "ba", "", ""},
		{"a", "ab", "", ""},
		{"a", "", sayClosed, "no_secret"},
		{"", "a", sayOpen, "secret_where_none_is"},
		{"a", "b", sayOther, "other_secret"},
		{"a", "ba", sayOther, "other_secret"}, // only the member refuses
		{"ba", "a", sayOther, "other_secret"}, // only the client does
	} {
		s, addr := startClosed(t, c.member)
		client, err := Dial(t.Context(), addr, "test", secretOf(t, c.client))
		if c.says != "" {
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q to %q: %v", c.client, c.member, err)
			}
			until(t, "it is counted as "+c.counted, func() bool { return s.Counters()[c.counted] == 1 })
			continue
		}
		if err != nil {
			t.Errorf("%q to %q: %v", c.client, c.member, err)
			continue
		}
		if reply, err := client.Call(t.Context(), chord.AssignID{}); err != nil || reply.(chord.AssignIDReply).ClientID != 7 {
			t.Errorf("%q to %q: %v, %v", c.client, c.member, reply, err)
		}
		_ = client.Close()
	}
}

// TestAClosedPortSpeaksOnlyTLS13WithCertificates comes with an older version, and
// without a certificate: nothing but alerts comes back.
func TestAClosedPortSpeaksOnlyTLS13WithCertificates(t *testing.T) {
	s, addr := startClosed(t, "a")
	for name, change := range map[string]func(*tls.Config){
		"TLS 1.2":        func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 },
		"no certificate": func(c *tls.Config) { c.Certificates = nil },
	} {
		cfg := secretOf(t, "a").TLS().Clone()
		change(cfg)
		conn, err := tls.Dial("tcp", addr, cfg)
		if err != nil {
			continue
		}
		_ = conn.SetDeadline(time.Now().Add(firstByteTimeout + 5*time.Second))
		if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %d bytes came back, %v", name, n, err)
		}
		_ = conn.Close()
	}
	until(t, "both are counted", func() bool { return s.Counters()["tls_failed"]+s.Counters()["other_secret"] == 2 })
}

func TestWhatIsNoHandshakeEnds(t *testing.T) {
	s, addr := startClosed(t, "a")
	for name, in := range map[string][]byte{
		"half":    {tlsByte, 3, 1, 0, 200, 1},
		"garbage": append([]byte{tlsByte, 3, 1, 0, 16}, "sixteen of them.."...),
		"long":    {tlsByte, 3, 3, 0xff, 0xff},
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(in); err != nil {
			t.Fatal(err)
		}
		if name == "half" {
			_ = conn.(*net.TCPConn).CloseWrite()
		}
		_ = conn.SetDeadline(time.Now().Add(firstByteTimeout + 5*time.Second))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection stays", name)
		}
		_ = conn.Close()
	}
	// Gossip has no place inside TLS.
	conn, err := tls.Dial("tcp", addr, secretOf(t, "a").TLS())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte{GossipByte}); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, conn); n > 0 && err == nil {
		t.Errorf("%d bytes came back", n)
	}
	until(t, "all are counted", func() bool {
		c := s.Counters()
		return c["tls_failed"] == 3 && c["unknown_protocol"] == 1
	})
}
