package chord

import "testing"

// When a partition heals, the view names the other side before the list does.
func TestAListThatDoesNotFitTheView(t *testing.T) {
	ref := func(i int) Ref { return Ref{ID: ID{byte(10 * i)}} }
	var view []Ref
	for i := range 6 {
		view = append(view, ref(i))
	}
	for name, c := range map[string]struct {
		succ []Ref
		fits bool
	}{
		"whole":                  {[]Ref{ref(3), ref(4), ref(5), ref(0), ref(1)}, true},
		"this side only":         {[]Ref{ref(4), ref(0)}, false},
		"one is missing":         {[]Ref{ref(3), ref(5), ref(0), ref(1)}, false},
		"the end is missing":     {[]Ref{ref(3), ref(4), ref(5), ref(0)}, false},
		"nobody":                 {nil, false},
		"one whom gossip misses": {[]Ref{ref(3), {ID: ID{35}}, ref(4), ref(5), ref(0), ref(1)}, false},
	} {
		m := &Member{self: ref(2), view: view}
		m.setList(c.succ)
		if m.listFits() != c.fits {
			t.Errorf("%s: %v", name, m.listFits())
		}
	}
	m := &Member{self: ref(0), view: view[:1]}
	m.setList(nil)
	if !m.listFits() {
		t.Error("a member alone")
	}
}
