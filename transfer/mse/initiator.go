package mse

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// Initiate begins the handshake of the side that has called, for a torrent. It
// offers the methods of provide, at least one. What is initial, 16 KiB at most, is
// for the peer behind the handshake, and goes with it; nothing else may be sent
// before the handshake is done. rnd must never fail.
func Initiate(infoHash [20]byte, provide Method, initial []byte, rnd io.Reader) *Handshake {
	h := &Handshake{rnd: rnd, methods: provide, initial: initial}
	h.session.InfoHash = infoHash
	h.stage = h.compute(sayOurs)
	return h
}

// sayOurs says step 1.
func sayOurs(h *Handshake) (stage, error) {
	h.sayKey()
	return hearTheirs, nil
}

func hearTheirs(h *Handshake) (stage, error) {
	if ok, err := h.readKey(); !ok {
		return nil, err
	}
	return h.compute(sayOffer), nil
}

// sayOffer says step 3.
func sayOffer(h *Handshake) (stage, error) {
	if err := h.setCiphers("keyA", "keyB"); err != nil {
		return nil, err
	}
	known, name := sum("req1", h.secret[:]), Name(h.session.InfoHash)
	hidden := h.hidden(name[:])
	h.out = append(append(h.out, known[:]...), hidden[:]...)
	offer := binary.BigEndian.AppendUint32(verification[:], uint32(h.methods))
	offer = h.appendPad(offer)
	offer = binary.BigEndian.AppendUint16(offer, uint16(len(h.initial)))
	offer = append(offer, h.initial...)
	h.session.Out.XORKeyStream(offer, offer)
	h.out = append(h.out, offer...)
	h.sync = bytes.Clone(verification[:])
	h.session.In.XORKeyStream(h.sync, h.sync)
	return hearAnswer, nil
}

// hearAnswer hears step 4, as far as its length is known before it comes.
func hearAnswer(h *Handshake) (stage, error) {
	if ok, err := h.skipPad(); !ok {
		return nil, err
	}
	return hearChoice, nil
}

func hearChoice(h *Handshake) (stage, error) {
	b := h.decrypt(4 + 2)
	if b == nil {
		return nil, nil
	}
	chosen, pad := Method(binary.BigEndian.Uint32(b)), int(binary.BigEndian.Uint16(b[4:]))
	if chosen != Plain && chosen != RC4 || chosen&h.methods == 0 {
		return nil, fmt.Errorf("%w: offered %d, it took %d", ErrNoMethod, h.methods, chosen)
	}
	if pad > maxPad {
		return nil, fmt.Errorf("%w: a pad of %d bytes", ErrNotMSE, pad)
	}
	return func(h *Handshake) (stage, error) {
		if pad > 0 && h.decrypt(pad) == nil {
			return nil, nil
		}
		return h.end(chosen), nil
	}, nil
}
