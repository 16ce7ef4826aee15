package mse

import (
	"bytes"
	"crypto/rc4"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
)

const (
	maxPad     = 512
	maxInitial = 16 << 10 // bytes of the initial payload; it is a handshake, and perhaps a bitfield
	dropped    = 1024     // bytes at the beginning of RC4
)

// verification is the VC: by it each side sees that the other has the keys.
var verification [8]byte

var (
	// ErrNotMSE is wrapped when the other side speaks something else, or breaks
	// a limit.
	ErrNotMSE = errors.New("not a handshake of Message Stream Encryption")
	// ErrUnknown means that the caller wants a torrent that is not served here.
	ErrUnknown = errors.New("encrypted handshake for an unknown torrent")
	// ErrNoMethod is wrapped when the two have no method in common.
	ErrNoMethod = errors.New("no common method of encryption")
)

// Method is what may follow on the handshake, as crypto_provide and
// crypto_select count it: a bit each.
type Method uint32

const (
	Plain Method = 1 << iota
	RC4
)

// Need is what a Handshake waits for.
type Need uint8

const (
	Bytes   Need = iota // more from the peer
	Work                // Compute
	Nothing             // it is done, see Session
)

// Session is what a handshake has led to.
type Session struct {
	InfoHash [20]byte
	// In decrypts what comes and Out encrypts what goes, from the first byte
	// after the handshake on; both are nil when plain text was selected.
	In, Out *rc4.Cipher
	// Rest is what the peer has sent behind the handshake, decrypted; it begins
	// with the initial payload of whoever has called.
	Rest []byte
}

// Handshake is one side of a handshake. One goroutine at a time may use it.
type Handshake struct {
	rnd   io.Reader
	stage stage
	need  Need
	in    []byte // came and is not used yet
	out   []byte

	private        *big.Int
	public, theirs key
	secret         key

	methods Method                               // that are provided or accepted
	initial []byte                               // of the initiator
	find    func(name [20]byte) ([20]byte, bool) // of the responder
	sync    []byte                               // where a pad ends
	session Session
}

// stage takes what is there as far as it goes. It returns the next stage, or nil
// when it waits for what need says.
type stage func(h *Handshake) (stage, error)

// Step takes what the peer has sent, which may be nothing, and returns what to
// send it. need tells what the next call must be: Step with more from the peer,
// Compute and then Step, or Session. After an error the handshake is over; it wraps
// ErrNotMSE, ErrUnknown or ErrNoMethod where the peer is the reason.
func (h *Handshake) Step(in []byte) (out []byte, need Need, err error) {
	h.in = append(h.in, in...)
	for {
		next, err := h.stage(h)
		if err != nil {
			return nil, Bytes, err
		}
		if next == nil {
			break
		}
		h.stage = next
	}
	out, h.out = h.out, nil
	return out, h.need, nil
}

// Compute does the arithmetic that a Step has asked for: two powers in the group for
// each side, who was called at once and who has called one after the other. That is
// 0.14 ms of an EPYC core (BenchmarkCompute), too long for an event loop that
// strangers may ask for it.
func (h *Handshake) Compute() {
	if h.private == nil {
		h.private = private(h.rnd)
		h.public = power(two, h.private)
	}
	if h.theirs != (key{}) {
		h.secret = power(new(big.Int).SetBytes(h.theirs[:]), h.private)
	}
	h.need = Bytes
}

// Session returns the result, when Step has said that it needs Nothing.
func (h *Handshake) Session() Session { return h.session }

// compute is what comes before a stage that needs the result of Compute.
func (h *Handshake) compute(then stage) stage {
	h.need = Work
	return func(*Handshake) (stage, error) {
		if h.need == Work {
			return nil, nil
		}
		return then, nil
	}
}

// take returns the next n bytes that came, nil while there are less.
func (h *Handshake) take(n int) []byte {
	if len(h.in) < n {
		return nil
	}
	b := h.in[:n:n]
	h.in = h.in[n:]
	return b
}

// readKey takes the peer's public key.
func (h *Handshake) readKey() (bool, error) {
	b := h.take(keyLen)
	if b == nil {
		return false, nil
	}
	h.theirs = key(b)
	if !h.theirs.proper() {
		return false, fmt.Errorf("%w: its key is none", ErrNotMSE)
	}
	return true, nil
}

// skipPad passes over a pad of unknown length and over the mark behind it.
func (h *Handshake) skipPad() (bool, error) {
	at := bytes.Index(h.in[:min(len(h.in), maxPad+len(h.sync))], h.sync)
	if at >= 0 {
		h.take(at + len(h.sync))
		return true, nil
	}
	if len(h.in) >= maxPad+len(h.sync) {
		return false, fmt.Errorf("%w: %d bytes without the mark at which its padding ends", ErrNotMSE, len(h.in))
	}
	return false, nil
}

// sayKey says the public key and a pad.
func (h *Handshake) sayKey() {
	h.out = append(h.out, h.public[:]...)
	pad := make([]byte, h.padLen())
	random(h.rnd, pad)
	h.out = append(h.out, pad...)
}

func (h *Handshake) padLen() int {
	var b [2]byte
	random(h.rnd, b[:])
	return int(binary.BigEndian.Uint16(b[:])) % (maxPad + 1)
}

// appendPad appends the length of a pad and the pad, which is of zeros: it is
// encrypted.
func (h *Handshake) appendPad(b []byte) []byte {
	n := h.padLen()
	return append(binary.BigEndian.AppendUint16(b, uint16(n)), make([]byte, n)...)
}

// setCiphers makes the ciphers of both directions: by the names of the keys what
// we say and what we hear.
func (h *Handshake) setCiphers(say, hear string) (err error) {
	if h.session.Out, err = h.cipher(say); err == nil {
		h.session.In, err = h.cipher(hear)
	}
	return err
}

func (h *Handshake) cipher(name string) (*rc4.Cipher, error) {
	k := sum(name, h.secret[:], h.session.InfoHash[:])
	c, err := rc4.NewCipher(k[:])
	if err != nil {
		return nil, fmt.Errorf("mse: this system forbids RC4: %w", err)
	}
	var none [dropped]byte
	c.XORKeyStream(none[:], none[:])
	return c, nil
}

// decrypt takes the next n bytes decrypted, nil while there are less.
func (h *Handshake) decrypt(n int) []byte {
	b := h.take(n)
	if b != nil {
		h.session.In.XORKeyStream(b, b)
	}
	return b
}

// end selects what follows on the handshake; what came behind it is the stream.
func (h *Handshake) end(m Method) stage {
	if m == Plain {
		h.session.In, h.session.Out = nil, nil
	} else {
		h.session.In.XORKeyStream(h.in, h.in)
	}
	h.session.Rest = append(h.session.Rest, h.in...)
	h.in = nil
	h.need = Nothing
	return func(*Handshake) (stage, error) { return nil, nil }
}

func sum(word string, parts ...[]byte) (s [sha1.Size]byte) {
	d := sha1.New()
	d.Write([]byte(word))
	for _, p := range parts {
		d.Write(p)
	}
	return [sha1.Size]byte(d.Sum(nil))
}

// Name is what a torrent is called in a handshake: who does not know its info
// hash learns nothing by it.
func Name(infoHash [20]byte) [20]byte { return sum("req2", infoHash[:]) }

// hidden is a Name as it travels, or of what has travelled the Name.
func (h *Handshake) hidden(name []byte) (x [20]byte) {
	mask := sum("req3", h.secret[:])
	for i := range x {
		x[i] = name[i] ^ mask[i]
	}
	return x
}
