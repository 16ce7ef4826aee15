package mse

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// Respond begins the handshake of the side that was called. find tells the info
// hash of a torrent that is served here by its Name; it is called by Step. Of the
// methods that the peer offers and accept has, plain text is selected before RC4: it
// costs nothing afterwards. rnd must never fail.
func Respond(find func(name [20]byte) (infoHash [20]byte, ok bool), accept Method, rnd io.Reader) *Handshake {
	return &Handshake{rnd: rnd, find: find, methods: accept, stage: hearKey}
}

// hearKey hears step 1.
func hearKey(h *Handshake) (stage, error) {
	if ok, err := h.readKey(); !ok {
		return nil, err
	}
	return h.compute(sayKey), nil
}

// sayKey says step 2.
func sayKey(h *Handshake) (stage, error) {
	h.sayKey()
	known := sum("req1", h.secret[:])
	h.sync = known[:]
	return hearKnown, nil
}

// hearKnown hears the beginning of step 3.
func hearKnown(h *Handshake) (stage, error) {
	if ok, err := h.skipPad(); !ok {
		return nil, err
	}
	return hearName, nil
}

func hearName(h *Handshake) (stage, error) {
	b := h.take(20)
	if b == nil {
		return nil, nil
	}
	hash, ok := h.find(h.hidden(b))
	if !ok {
		return nil, ErrUnknown
	}
	h.session.InfoHash = hash
	if err := h.setCiphers("keyB", "keyA"); err != nil {
		return nil, err
	}
	return hearOffer, nil
}

func hearOffer(h *Handshake) (stage, error) {
	b := h.decrypt(len(verification) + 4 + 2)
	if b == nil {
		return nil, nil
	}
	if !bytes.Equal(b[:len(verification)], verification[:]) {
		return nil, fmt.Errorf("%w: the verification is wrong", ErrNotMSE)
	}
	b = b[len(verification):]
	offered, pad := Method(binary.BigEndian.Uint32(b)), int(binary.BigEndian.Uint16(b[4:]))
	var chosen Method
	switch common := offered & h.methods; {
	case common&Plain != 0:
		chosen = Plain
	case common&RC4 != 0:
		chosen = RC4
	default:
		return nil, fmt.Errorf("%w: it offers %d", ErrNoMethod, offered)
	}
	if pad > maxPad {
		return nil, fmt.Errorf("%w: a pad of %d bytes", ErrNotMSE, pad)
	}
	return func(h *Handshake) (stage, error) {
		b := h.decrypt(pad + 2)
		if b == nil {
			return nil, nil
		}
		initial := int(binary.BigEndian.Uint16(b[pad:]))
		if initial > maxInitial {
			return nil, fmt.Errorf("%w: an initial payload of %d bytes", ErrNotMSE, initial)
		}
		return hearInitial(initial, chosen), nil
	}, nil
}

// hearInitial hears the end of step 3 and says step 4.
func hearInitial(n int, chosen Method) stage {
	return func(h *Handshake) (stage, error) {
		b := h.decrypt(n)
		if b == nil && n > 0 {
			return nil, nil
		}
		h.session.Rest = b
		choice := binary.BigEndian.AppendUint32(verification[:], uint32(chosen))
		choice = h.appendPad(choice)
		h.session.Out.XORKeyStream(choice, choice)
		h.out = append(h.out, choice...)
		return h.end(chosen), nil
	}
}
