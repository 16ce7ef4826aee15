package mse

import (
	"io"
	"math/big"
)

const (
	keyLen     = 96 // bytes of a public key and of the secret
	privateLen = 20 // bytes of a private key; more make nothing safer in this group
)

var (
	// prime is that of the handshake; the generator is 2.
	prime, _ = new(big.Int).SetString("FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD1"+
		"29024E088A67CC74020BBEA63B139B22514A08798E3404DD"+
		"EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245"+
		"E485B576625E7EC6F44C42E9A63A36210000000000090563", 16)
	two     = big.NewInt(2)
	largest = new(big.Int).Sub(prime, two)
)

type key [keyLen]byte

// power is base to the exponent in the group.
func power(base, exponent *big.Int) (k key) {
	new(big.Int).Exp(base, exponent, prime).FillBytes(k[:])
	return k
}

// proper tells whether somebody may have made k as a public key: with any other
// the secret would be known to all.
func (k key) proper() bool {
	n := new(big.Int).SetBytes(k[:])
	return n.Cmp(two) >= 0 && n.Cmp(largest) <= 0
}

func private(rnd io.Reader) *big.Int {
	var b [privateLen]byte
	random(rnd, b[:])
	b[0] |= 0x80 // not a small one
	return new(big.Int).SetBytes(b[:])
}

// random fills b; a source of randomness that fails is a programmer's error.
func random(rnd io.Reader, b []byte) {
	if _, err := io.ReadFull(rnd, b); err != nil {
		panic("mse: no randomness: " + err.Error())
	}
}
