// Package mse answers one question: how do two peers agree on a stream that does
// not look like BitTorrent?
//
// It is the handshake of Message Stream Encryption, also called Protocol
// Encryption, as wiki.vuze.com/w/Message_Stream_Encryption describes it. There
// is no BEP of it; clients that are told to insist on encryption speak nothing
// else. The main type is [Handshake], a state machine without socket, clock or
// randomness of its own: the event loop of package transfer gives it what a peer
// has sent and sends what it says. How long a peer may take is left to the caller.
//
// It hides what is spoken from whoever looks for that in passing, and proves
// that both know the info hash. It is no protection against anybody who listens
// with care: RC4 and a group of 768 bits are what the field has agreed on.
//
// # The handshake
//
// A is who has called, S the secret of the Diffie-Hellman exchange, SKEY the info
// hash, HASH is SHA-1; what ENCRYPT goes over is RC4 with the key HASH("keyA",
// S, SKEY) from A and HASH("keyB", S, SKEY) from B, each without its first 1024
// bytes.
//
//	1  A→B  Ya (96 bytes), PadA
//	2  B→A  Yb (96 bytes), PadB
//	3  A→B  HASH("req1", S), HASH("req2", SKEY) xor HASH("req3", S),
//	        ENCRYPT(VC (8 zero bytes), crypto_provide u32,
//	                u16 length, PadC, u16 length, initial payload)
//	4  B→A  ENCRYPT(VC, crypto_select u32, u16 length, PadD)
//	5       both go on: with ENCRYPT if RC4 was selected, else plainly
//
// Each pad has 0 to 512 bytes. Where those without a length end is known by what
// follows: B looks for HASH("req1", S), A for the VC as B's cipher makes it.
//
// # Limits
//
// A pad has 512 bytes at most and the initial payload 16 KiB, so a Handshake
// never keeps more than that and what one Step brings.
package mse
