package transfer

import (
	"crypto/rc4"
	"slices"

	"chordtorrent/transfer/mse"
)

// cryptRoom is how many encrypted bytes of a connection may wait for its socket.
const cryptRoom = 64 << 10

// crypt is the RC4 of a connection whose peer insists on it; a plain one has none.
// What is encrypted must go out as it is, in this order, so it waits in a buffer.
type crypt struct {
	in, out *rc4.Cipher
	buf     []byte // encrypted; buf[at:] is not yet written
	at      int
}

func newCrypt(s mse.Session) *crypt {
	if s.In == nil {
		return nil
	}
	return &crypt{in: s.In, out: s.Out}
}

// decrypt decrypts in place what was read into first and then; k is nil when it is plain.
func (k *crypt) decrypt(first, then []byte) {
	if k != nil {
		k.in.XORKeyStream(first, first)
		k.in.XORKeyStream(then, then)
	}
}

// waits tells whether something encrypted is not yet written.
func (k *crypt) waits() bool { return k != nil && len(k.buf) > k.at }

// put encrypts of first and then what there is room for, and returns how much.
func (k *crypt) put(first, then []byte) (n int) {
	for _, b := range [...][]byte{first, then} {
		end := len(k.buf)
		b = b[:min(len(b), cryptRoom-end)]
		k.buf = slices.Grow(k.buf, len(b))[:end+len(b)]
		k.out.XORKeyStream(k.buf[end:], b)
		n += len(b)
	}
	return n
}

// write writes what waits.
func (k *crypt) write(fd int) (int, error) {
	n, err := send(fd, k.buf[k.at:], nil, false)
	if k.at += max(n, 0); k.at == len(k.buf) {
		k.buf, k.at = k.buf[:0], 0
	}
	return max(n, 0), err
}

// put is send, through the cipher if there is one.
func (c *conn) put(first, then []byte, more bool) (int, error) {
	if c.crypt != nil {
		return c.crypt.put(first, then), nil
	}
	return send(c.fd, first, then, more)
}

// writeEncrypted fills the buffer with what there is to say and to send, and makes
// one system call.
func (c *conn) writeEncrypted() (int, error) {
	k := c.crypt
	var why error
	for why == nil && len(k.buf) < cryptRoom && c.state != closed {
		_, why = c.writeSome(cryptRoom - len(k.buf))
	}
	if c.state == closed || !k.waits() {
		return 0, why
	}
	n, err := k.write(c.fd)
	if !k.waits() && len(c.bodies) == 0 {
		k.buf = nil // it may be long until there is more to send
	}
	return n, err
}
