package picture

import (
	"fmt"
	"strings"
	"testing"

	"chordtorrent/communicator"
)

func TestAMemberAtItsPlace(t *testing.T) {
	members := []communicator.Member{{Addr: "10.0.0.1:8000"}, {ID: [20]byte{0x40}, Addr: "10.0.0.2:8000"}, {ID: [20]byte{0x80}, Addr: `"<script>:8000`}}
	svg := string(SVG(members, members[1].ID, "this <node>"))
	for _, want := range []string{
		`aria-label="3 ring members on the circle of identifiers; this &lt;node&gt; is 10.0.0.2:8000"`,
		`<circle class="ring" r="120"`,
		`<circle class="member" cx="0.0" cy="-120.0"`, // the top
		`<circle class="member self" cx="120.0"`,      // a quarter of the way
		`<circle class="member" cx="0.0" cy="120.0"`,
		`>10.0.0.2</text>`, // the port is that of all
		`&lt;script&gt;`,
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("lacks %s:\n%s", want, svg)
		}
	}
	if strings.Contains(svg, "<script") || strings.Contains(svg, "<node") || strings.Contains(svg, "not labelled") {
		t.Errorf("a word is not escaped, or a label said to be missing: %s", svg)
	}
}

func TestALargeRingIsNotALargePage(t *testing.T) {
	var members []communicator.Member
	for i := range 10_000 {
		members = append(members, communicator.Member{ID: [20]byte{byte(i * 6 >> 8), byte(i * 6)}, Addr: fmt.Sprintf("10.0.0.1:%d", i)})
	}
	svg := string(SVG(members, members[9999].ID, "this node"))
	for _, want := range []string{`class="member self"`, ">9993 not labelled:<", ">1 dot for 5<", ">:9996</text>", ">:9999</text>", ">:2</text>"} {
		if !strings.Contains(svg, want) {
			t.Errorf("lacks %s", want)
		}
	}
	if n := strings.Count(svg, `class="member`); n < maxDots || n > maxDots+2*around+1 || len(svg) > 600_000 {
		t.Errorf("%d dots, %d bytes", n, len(svg))
	}
}

func TestWhoIsNoMemberHasNoPlace(t *testing.T) {
	for _, n := range []int{0, 1, 3, 100} {
		members := make([]communicator.Member, n)
		for i := range members {
			members[i] = communicator.Member{ID: [20]byte{byte(i)}, Addr: fmt.Sprintf("10.0.0.%d:8000", i)}
		}
		svg := string(SVG(members, [20]byte{0xff}, "this node"))
		if strings.Contains(svg, "self") || strings.Contains(svg, "this node") || strings.Count(svg, `class="member"`) != n {
			t.Errorf("of %d: %s", n, svg)
		}
	}
}
