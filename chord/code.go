package chord

import "fmt"

// codes says for each Code its name and the sentinel it stands for.
var codes = [...]struct {
	name string
	err  error
}{
	CodeOK:          {"ok", nil},
	CodeNotFound:    {"not_found", ErrNotFound},
	CodeNotReady:    {"not_ready", ErrNotReady},
	CodeUnavailable: {"unavailable", ErrUnavailable},
	CodeTooLarge:    {"too_large", ErrTooLarge},
	CodeBadRequest:  {"bad_request", ErrBadRequest},
	CodeStore:       {"store", ErrStore},
	CodeLeaving:     {"leaving", ErrLeaving},
	CodeDegraded:    {"degraded", &ErrDegraded{}},
	CodeNotOwner:    {"not_owner", errNotOwner},
}

// errNotOwner never reaches a client: members ask the hinted one.
var errNotOwner = fmt.Errorf("%w: it does not own the key", ErrUnavailable)

// Err gives the sentinel that the code stands for, nil for CodeOK. That of
// CodeDegraded is an *ErrDegraded without numbers, see PutReply.Err.
func (c Code) Err() error {
	if int(c) >= len(codes) {
		return fmt.Errorf("a ring member answered with the unknown code %d", uint8(c))
	}
	return codes[c].err
}

// String is the code's name in metrics and logs.
func (c Code) String() string {
	if int(c) >= len(codes) {
		return fmt.Sprint("code_", uint8(c))
	}
	return codes[c].name
}

// Err gives the outcome as an error, nil when the write was acknowledged. A
// degraded one is an *ErrDegraded with the reply's numbers.
func (r PutReply) Err() error {
	if r.Code == CodeDegraded {
		return &ErrDegraded{Copies: r.Copies, Want: r.Want}
	}
	return r.Code.Err()
}
