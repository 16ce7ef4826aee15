package picture

import (
	"fmt"
	"strings"
	"testing"

	"chordtorrent/communicator"
)

func TestAMemberAtItsPlace(t *testing.T) {
	members := []communicator.Member{{Addr: "10.0.0.1:8000"}, {ID: [20]byte{0x40}, Addr: "10.0.0.2:8000"}, {ID: [20]byte{0x80}, Addr: `"><script>:8000`}}
	svg := string(SVG(members, members[1].ID))
	for _, want := range []string{
		`aria-label="3 ring members`,
		`<circle class="member" cx="250.0" cy="35.0"`,       // the top
		`<circle class="member self" cx="370.0" cy="155.0"`, // a quarter of the way
		`<circle class="member" cx="250.0" cy="275.0"`,
		`>10.0.0.2</text>`, // the port is that of all
		`&lt;script&gt;`,
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("lacks %s:\n%s", want, svg)
		}
	}
	if strings.Contains(svg, "<script") {
		t.Errorf("an address is not escaped: %s", svg)
	}
}

func TestALargeRingIsNotALargePage(t *testing.T) {
	var members []communicator.Member
	for i := range 10_000 {
		members = append(members, communicator.Member{ID: [20]byte{byte(i >> 8), byte(i)}, Addr: fmt.Sprintf("10.0.0.1:%d", i)})
	}
	svg := string(SVG(members, members[0].ID))
	if n := strings.Count(svg, "<circle"); n != maxDots+1 || strings.Contains(svg, "<text") {
		t.Errorf("%d circles", n)
	}
}
