package secret

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// ErrOther means that the other side's certificate comes from a secret that is
// not in our file.
var ErrOther = errors.New("the other side has another secret")

// MACBytes is the length of an announcement's signature.
const MACBytes = sha256.Size

// Keeper holds the secrets of one file as it was last read. All methods may be
// called from any goroutine, and but for Reload none blocks. A nil Keeper
// keeps no secret.
type Keeper struct {
	file string
	mu   sync.Mutex // held by Reload
	text []byte
	now  atomic.Pointer[held]
	open atomic.Bool
}

// held is what the Keeper knows at one time; it does not change.
type held struct {
	keys []keys
	tls  *tls.Config
}

// Open reads a file of secrets. The error names the file.
func Open(file string) (*Keeper, error) {
	k := &Keeper{file: file}
	if _, err := k.Reload(); err != nil {
		return nil, err
	}
	return k, nil
}

// Reload reads the file again and reports whether it has changed. After an
// error everything stays as it was.
func (k *Keeper) Reload() (changed bool, err error) {
	if k == nil {
		return false, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	text, open, err := read(k.file)
	if err != nil {
		return false, fmt.Errorf("reading the ring's secret: %w", err)
	}
	k.open.Store(open)
	if k.now.Load() != nil && bytes.Equal(text, k.text) {
		return false, nil
	}
	secrets, err := Parse(text)
	if err != nil {
		return false, fmt.Errorf("%s: %w", k.file, err)
	}
	h, err := hold(secrets)
	if err != nil {
		return false, err
	}
	k.text = text
	k.now.Store(h)
	return true, nil
}

// OthersCanRead reports whether the file's mode lets others than its owner at it.
func (k *Keeper) OthersCanRead() bool { return k != nil && k.open.Load() }

// Count is how many secrets are accepted.
func (k *Keeper) Count() int {
	if k == nil {
		return 0
	}
	return len(k.now.Load().keys)
}

// Closed reports whether there is a secret.
func (k *Keeper) Closed() bool { return k != nil }

// Fingerprints gives eight hex digits of each secret that is accepted, the one in use
// first; nil without a secret. They tell secrets apart and nothing about them.
func (k *Keeper) Fingerprints() []string {
	if k == nil {
		return nil
	}
	var out []string
	for _, x := range k.now.Load().keys {
		out = append(out, hex.EncodeToString(x.print[:4]))
	}
	return out
}

// GossipKeys gives the keys of 32 bytes that gossip accepts, the one it uses
// first; nil without a secret.
func (k *Keeper) GossipKeys() [][]byte {
	if k == nil {
		return nil
	}
	var out [][]byte
	for _, x := range k.now.Load().keys {
		out = append(out, bytes.Clone(x.gossip))
	}
	return out
}

// AppendMAC appends the signature of all of b by the secret in use.
func (k *Keeper) AppendMAC(b []byte) []byte {
	m := hmac.New(sha256.New, k.now.Load().keys[0].announce)
	m.Write(b)
	return m.Sum(b)
}

// CheckMAC reports whether mac is the signature of b by any of the secrets.
func (k *Keeper) CheckMAC(b, mac []byte) bool {
	for _, x := range k.now.Load().keys {
		m := hmac.New(sha256.New, x.announce)
		m.Write(b)
		if hmac.Equal(m.Sum(nil), mac) {
			return true
		}
	}
	return false
}

// passkeyBytes is how much of a derived key is in a passkey: as many hex digits as other
// trackers use.
const passkeyBytes = 16

// Passkey is what BitTorrent clients show to trackers of the ring, as a part of a URL: 32
// hex digits, of the secret in use.
func (k *Keeper) Passkey() string {
	return hex.EncodeToString(k.now.Load().keys[0].passkey[:passkeyBytes])
}

// CheckPasskey reports whether given is the passkey of any of the secrets.
func (k *Keeper) CheckPasskey(given string) bool {
	ok := false
	for _, x := range k.now.Load().keys {
		ok = hmac.Equal([]byte(given), []byte(hex.EncodeToString(x.passkey[:passkeyBytes]))) || ok
	}
	return ok
}

// TLS is the configuration of both ends of a connection, as the file is now.
// Not to be changed. A handshake fails with ErrOther on the side that does not
// accept the other's certificate.
func (k *Keeper) TLS() *tls.Config { return k.now.Load().tls }

func hold(secrets [][]byte) (*held, error) {
	h := &held{}
	var trusted []ed25519.PublicKey
	for _, s := range secrets {
		x, err := derive(s)
		if err != nil {
			return nil, err
		}
		h.keys = append(h.keys, x)
		trusted = append(trusted, x.public())
	}
	leaf, err := h.keys[0].certificate()
	if err != nil {
		return nil, err
	}
	h.tls = &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{leaf},
		ClientAuth:   tls.RequireAnyClientCert,
		// Not by name and time, which members may have wrong, but by who signed.
		InsecureSkipVerify: true,
		VerifyConnection:   func(s tls.ConnectionState) error { return verify(trusted, s.PeerCertificates) },
		// A ticket would outlive the secret that it was given for.
		SessionTicketsDisabled: true,
	}
	return h, nil
}

// verify accepts a leaf that one of the authorities signed itself. That the
// other side has the leaf's key is checked by the handshake.
func verify(trusted []ed25519.PublicKey, chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return ErrOther
	}
	leaf := chain[0]
	if leaf.SignatureAlgorithm != x509.PureEd25519 {
		return ErrOther
	}
	for _, authority := range trusted {
		if ed25519.Verify(authority, leaf.RawTBSCertificate, leaf.Signature) {
			return nil
		}
	}
	return ErrOther
}
