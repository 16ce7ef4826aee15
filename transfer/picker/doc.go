// Package picker answers one question: which block should this peer be asked
// for next?
//
// The main type is [Picker], a state machine without clock, socket, goroutine
// or randomness of its own: the event loop of package transfer tells it who
// has what and what arrived, and asks it for blocks, all on one goroutine. The
// same calls with the same source of randomness give the same answers.
//
// # What it decides
//
// A peer that may be asked for n blocks gets, after what is urgent ([Picker.Urgent]),
// in this order:
//
//  1. what is left of the pieces that it attends. A piece in flight is a
//     transfer (id, offset, size) with an attendant, the one peer it comes
//     from as long as there is enough to do: a bad piece then has one sender,
//     and neighbouring blocks of one piece may be asked for in one request;
//  2. what is left of pieces whose attendant has gone: begun work is finished
//     first, and the peer becomes the attendant;
//  3. a piece that nobody has begun: one that the peer has suggested (BEP 6), else
//     the rarest, at random among equals (BEP 3; Legout, "Rarest first and choke
//     algorithms are enough", 2006);
//  4. what is left of pieces that another peer attends, the least done first;
//  5. in endgame, when every missing block has been asked for: blocks that
//     others were asked for. Only a peer that owes us nothing gets those, and
//     at most maxAskers are asked for a block at a time, so that the end costs
//     little twice-sent data. [Picker.Received] names who is to be sent a cancel.
//
// Blocks of one piece come out in ascending order.
//
// For a web seed, which is an HTTP server, rarity means nothing: it gets the longest gap
// ([Picker.Gap]).
//
// # What it tracks
//
//   - have: the pieces that are verified.
//   - per piece its availability, the number of peers that have it. Peers that
//     have everything are only counted (seeds): they change no order.
//   - order: the open pieces (missing, not begun) sorted by availability, with
//     bound[a] the place where those of availability a begin; so a piece
//     changes its availability by one exchange within order. Invariant:
//     bound[a] <= where[i] < bound[a+1] with a = avail[i] for every open piece i.
//   - where: per piece its place in order, or in the list of transfers, or that
//     it is verified.
//   - per transfer the state of each block (free, asked, received) with the
//     peer asked or the peer it came from.
//   - per peer what it has, how many missing pieces (want) and how many open
//     ones (open) are among it, and how many blocks it owes us (asked).
//
// [Picker.CheckInvariant] recounts all of it and is what every test calls.
//
// # What it costs
//
// Have and a received block are O(1), a bitfield and a lost peer O(pieces held),
// beginning and finishing a piece O(peers), everything else O(pieces in flight)
// at worst. Looking for the rarest piece walks order from its rare end until
// the peer has one, or walks the peer's own pieces when it has few open ones.
//
// [FirstCopies] is the other side of suggestions: which piece a seed gives to whom
// while there are some that nobody else has.
//
// [Turns] says who of those that have asked is sent something now.
//
// It leaves to others: how many blocks a peer may owe, when a request has been
// waited for long enough, whether a piece is what its hash says, who is banned.
package picker
