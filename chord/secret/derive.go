package secret

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"
)

// What the derived keys are for. They never change: programs of different
// releases share a ring.
const (
	forGossip    = "chordtorrent gossip 1"
	forAnnounce  = "chordtorrent announcement 1"
	forAuthority = "chordtorrent authority 1"
	forPasskey   = "chordtorrent passkey 1"
	forPrint     = "chordtorrent fingerprint 1"
)

// keys are what one secret gives.
type keys struct {
	gossip, announce []byte // 32 bytes each
	passkey          []byte // likewise; half of it is used
	print            []byte // likewise; four bytes of it are told to everybody
	authority        ed25519.PrivateKey
}

func derive(secret []byte) (keys, error) {
	var k keys
	var seed []byte
	for _, d := range []struct {
		to  *[]byte
		use string
	}{{&k.gossip, forGossip}, {&k.announce, forAnnounce}, {&seed, forAuthority}, {&k.passkey, forPasskey}, {&k.print, forPrint}} {
		key, err := hkdf.Key(sha256.New, secret, nil, d.use, 32)
		if err != nil {
			return keys{}, fmt.Errorf("deriving keys of a secret: %w", err)
		}
		*d.to = key
	}
	k.authority = ed25519.NewKeyFromSeed(seed)
	return k, nil
}

func (k keys) public() ed25519.PublicKey { return k.authority.Public().(ed25519.PublicKey) } // what it gives

// certificate makes a leaf of a new key, signed by the authority. It is valid
// at all times that can be written, for those libraries that ask.
func (k keys) certificate() (tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, public, k.authority)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("signing a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, nil
}
