// Package secret answers one question: who knows the ring's secret?
//
// A file holds one secret or several, one a line ([Parse]). From each are
// derived, by HKDF-SHA256, a key for gossip, a key that signs announcements,
// and an Ed25519 authority. Every process has a certificate of its own, made
// at its start and signed by the authority of the first secret; whoever shows
// one signed by the authority of any secret in the file is let in ([Keeper]).
//
// The first secret is used, all are accepted: so a secret is replaced without
// an interruption in three steps, each on every machine before the next one
// begins: add the new one as the last line, move it to the first, remove the
// old one.
//
// Certificates carry no names and their times are not looked at: members with
// wrong clocks trust each other all the same, and the secret is all there is
// to know. Nothing here opens a connection; packages rpc, discovery and node
// ask a Keeper for what they need, and a nil Keeper is a ring without a
// secret.
package secret
