package chord

import (
	"errors"
	"testing"
)

func TestEveryCodeHasItsNameAndError(t *testing.T) {
	names := map[string]Code{}
	for c := CodeOK; c <= CodeNotOwner; c++ {
		if err := c.Err(); (err == nil) != (c == CodeOK) {
			t.Errorf("code %d: %v", c, err)
		}
		if other, twice := names[c.String()]; twice || c.String() == "" {
			t.Errorf("codes %d and %d are both called %q", other, c, c)
		}
		names[c.String()] = c
	}
	if err := CodeStore.Err(); !errors.Is(err, ErrStore) {
		t.Errorf("got %v", err)
	}
	if c := CodeNotOwner + 1; c.Err() == nil || c.String() != "code_10" {
		t.Errorf("an unknown code: %v, %q", c.Err(), c)
	}
	var degraded *ErrDegraded
	if err := (PutReply{Code: CodeDegraded, Copies: 1, Want: 3}).Err(); !errors.As(err, &degraded) || *degraded != (ErrDegraded{1, 3}) {
		t.Errorf("got %v", err)
	}
	if err := (PutReply{Copies: 1, Want: 3}).Err(); err != nil {
		t.Errorf("an acknowledged write: %v", err)
	}
}
