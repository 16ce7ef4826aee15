package discovery

// Counters of packets of our cluster's name that do not come from our ring.
// They are how a program learns why it finds nobody.
const (
	Unsigned    = "no_secret"            // we have a secret, the sender has none
	WrongSecret = "other_secret"         // both have one
	Signed      = "secret_where_none_is" // only the sender has one
)

// Strange puts into words what counters say about rings of our cluster's name
// that were heard and cannot be joined, "" when there was none.
func Strange(counters map[string]uint64) string {
	switch {
	case counters[Signed] > 0:
		return "a ring of this name was heard that is closed by a secret: give it with --secret-file FILE"
	case counters[WrongSecret] > 0:
		return "a ring of this name was heard that has another secret: give a copy of its members' file with --secret-file FILE"
	case counters[Unsigned] > 0:
		return "a ring of this name was heard that has no secret: leave --secret-file out to use it"
	}
	return ""
}

func isStranger(reason string) bool {
	return reason == Unsigned || reason == WrongSecret || reason == Signed
}

// stranger says whether a packet's signature is not what our secret asks for.
func (m *Multicast) stranger(b []byte, p packet) (reason string) {
	keeper := m.cfg.Secret
	switch {
	case !keeper.Closed() && p.Signed:
		return Signed
	case !keeper.Closed():
		return ""
	case !p.Signed:
		return Unsigned
	}
	body := len(b) - macBytes
	if !keeper.CheckMAC(b[:body], b[body:]) {
		return WrongSecret
	}
	return ""
}
