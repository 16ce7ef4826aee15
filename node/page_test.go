package node

import (
	"strings"
	"testing"

	"chordtorrent/chord"
)

func TestThePageCountsInWords(t *testing.T) {
	for _, c := range []struct {
		keys, ranges int
		words        string
	}{
		{1, 1, "1 key has fewer copies than it should, 1 range is being filled"},
		{0, 2, "0 keys have fewer copies than they should, 2 ranges are being filled"},
	} {
		var b strings.Builder
		if err := statusTemplate().Execute(&b, statusPage{Status: chord.Status{UnderReplicated: c.keys, IncompleteRanges: c.ranges}}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), c.words) {
			t.Errorf("%q is not in %s", c.words, b.String())
		}
	}
}
