package secret

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func line(b byte) string { return strings.Repeat(hex.EncodeToString([]byte{b}), MinBytes) + "\n" }

func keeperOf(t *testing.T, text string) *Keeper {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Releases that share a ring derive the same.
func TestGoldenKeys(t *testing.T) {
	k, err := derive(bytes.Repeat([]byte{1}, MinBytes))
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		got  []byte
		want string
	}{
		"gossip":    {k.gossip, "3f57019cf2cad0df2ac6a8668d23d397c7bf4bb3dd56284b73d0ad81d04a5d63"},
		"announce":  {k.announce, "c1ccdb467135c401a47ccbb6dfa3a18f4487d586fb5edd1f3083fd6e3f02551e"},
		"passkey":   {k.passkey, "f8454700388f5f65bb36e840b57f8e6573bf87a0389afac6598fef028df287de"},
		"authority": {k.public(), "c44396a39d90fcdd1b47be04d1ac84bfb2473f8fba86c24a85ee68af6f51a8d9"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
}

func TestPasskeysOfAllSecretsAreAccepted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	keys := map[string]string{}
	for _, letters := range []string{"a", "b", "c", "ab"} {
		text := ""
		for _, l := range letters {
			text += strings.Repeat(string(l), 2*MinBytes) + "\n"
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := Open(file)
		if err != nil {
			t.Fatal(err)
		}
		keys[letters] = k.Passkey()
		if letters == "ab" && (!k.CheckPasskey(keys["a"]) || !k.CheckPasskey(keys["b"]) || k.CheckPasskey(keys["c"]) || k.CheckPasskey("")) {
			t.Error("the passkeys accepted are not those of the secrets in the file")
		}
	}
	if keys["ab"] != keys["a"] || keys["a"] == keys["b"] || len(keys["a"]) != 32 {
		t.Errorf("passkeys %v", keys)
	}
}

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		n    int
		says string
	}{
		"one":        {line(1), 1, ""},
		"three":      {"# of the lab\r\n\n" + line(1) + "  " + line(2) + line(1) + line(3), 3, ""},
		"no end":     {strings.TrimSpace(line(1)), 1, ""},
		"capitals":   {strings.ToUpper(line(0xab)), 1, ""},
		"empty":      {"", 0, "no secret"},
		"short":      {line(1) + "abcd\n", 0, "line 2 has 2 bytes"},
		"31 bytes":   {line(1)[2:], 0, "31 bytes"},
		"long":       {strings.Repeat("00", maxBytes+1), 0, "the most"},
		"no hex":     {"correct horse battery staple", 0, "line 1 is not hex"},
		"large":      {strings.Repeat("#", maxFile+1), 0, "more than"},
		"without an": {strings.Repeat(line(1)[1:], 1), 0, "line 1"},
	} {
		got, err := Parse([]byte(c.text))
		if len(got) != c.n || (err == nil) != (c.says == "") || err != nil && (!errors.Is(err, ErrFile) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %d secrets, %v", name, len(got), err)
		}
	}
	if _, err := Parse([]byte("correct horse")); strings.Contains(err.Error(), "horse") {
		t.Errorf("the error tells the secret: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(line(1) + "#\n" + line(2)))
	f.Add([]byte("00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrFile) {
				t.Fatal(err)
			}
			return
		}
		if len(all) == 0 || len(all) > maxSecrets {
			t.Fatalf("%d secrets", len(all))
		}
		for _, s := range all {
			if len(s) < MinBytes || len(s) > maxBytes {
				t.Fatalf("a secret of %d bytes", len(s))
			}
		}
	})
}

func TestWriteNeverReplaces(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := Write(file); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	if err := Write(file); !errors.Is(err, fs.ErrExist) {
		t.Errorf("written twice: %v", err)
	}
	k, err := Open(file)
	if err != nil || k.OthersCanRead() || k.Count() != 1 {
		t.Fatalf("%v", err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Reload(); err != nil || !k.OthersCanRead() {
		t.Errorf("others can read it: %v", err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(file))
	if _, err := k.Reload(); err != nil || k.OthersCanRead() {
		t.Errorf("a credential of systemd: %v", err)
	}
}

func TestReloadKeepsWhatItHasWhenTheFileIsBad(t *testing.T) {
	k := keeperOf(t, line(1))
	before := k.TLS()
	for _, text := range []string{"", "short", line(1)} {
		if err := os.WriteFile(k.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		changed, err := k.Reload()
		if changed || (err == nil) != (text == line(1)) || k.TLS() != before {
			t.Errorf("%q: changed %v, %v", text, changed, err)
		}
	}
	if err := os.WriteFile(k.file, []byte(line(2)+line(1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := k.Reload(); !changed || err != nil || k.Count() != 2 || k.TLS() == before {
		t.Errorf("changed %v, %v", changed, err)
	}
}

func TestWhoAcceptsWhom(t *testing.T) {
	old, both, swapped, fresh := line(1), line(1)+line(2), line(2)+line(1), line(2)
	for _, c := range []struct {
		dialer, accepter string
		fits             bool
	}{
		{old, old, true},
		{old, both, true}, {both, old, true}, // the first step of a rotation under way
		{both, swapped, true}, {swapped, both, true},
		{swapped, fresh, true}, {fresh, swapped, true},
		{old, fresh, false}, {old, swapped, false}, {swapped, old, false}, {both, fresh, false},
	} {
		a, b := keeperOf(t, c.dialer), keeperOf(t, c.accepter)
		here, there := net.Pipe()
		ends := make(chan error, 1)
		go func() {
			s := tls.Server(there, b.TLS())
			err := s.HandshakeContext(t.Context())
			if err == nil {
				_, err = s.Write([]byte{1})
			}
			ends <- err
			_ = there.Close()
		}()
		conn := tls.Client(here, a.TLS())
		err := conn.HandshakeContext(t.Context())
		if err == nil {
			_, err = conn.Read(make([]byte, 1)) // only now the other side has checked
		}
		_ = here.Close()
		if other := <-ends; (err == nil && other == nil) != c.fits {
			t.Errorf("%q to %q: %v, %v", c.dialer, c.accepter, err, other)
		}
		msg := []byte("an announcement")
		signed := a.AppendMAC(bytes.Clone(msg))
		want := strings.Contains(c.accepter, c.dialer[:2*MinBytes])
		if b.CheckMAC(msg, signed[len(msg):]) != want || b.CheckMAC(msg[1:], signed[len(msg):]) {
			t.Errorf("%q to %q: signature accepted: %v", c.dialer, c.accepter, !want)
		}
	}
}
