package communicator

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Near gives at most n published names that a person who typed name may have
// meant, the likeliest first: equal but for case and punctuation, beginning
// alike, containing it, or a few typing errors away.
func (c *Communicator) Near(ctx context.Context, name string, n int) ([]string, error) {
	if n <= 0 {
		return nil, nil
	}
	files, err := c.Files(ctx, "")
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name
	}
	near := nearest(name, names, n)
	if len(near) > 0 {
		return near, nil // what could be read is of help, even if not all was
	}
	return nil, err
}

// nearest ranks names by how likely they were meant.
func nearest(name string, names []string, n int) []string {
	type candidate struct {
		name string
		rank int
	}
	var found []candidate
	query := plain(name)
	for _, other := range names {
		if rank, ok := likeness(query, plain(other)); ok {
			found = append(found, candidate{other, rank})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.name, b.name))
	})
	found = found[:min(n, len(found))]
	var out []string
	for _, c := range found {
		out = append(out, c.name)
	}
	return out
}

// plain drops what people get wrong most: case, spaces and punctuation.
func plain(s string) string {
	p := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsNumber(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
	if p == "" {
		return s
	}
	return p
}

// Ranks: a kind of likeness, then by how much the lengths or letters differ.
const rankStep = 1000

func likeness(query, other string) (rank int, ok bool) {
	gap := min(abs(utf8.RuneCountInString(query)-utf8.RuneCountInString(other)), rankStep-1)
	switch {
	case query == other:
		return 0, true
	case len(query) == 0:
		return 0, false
	case strings.HasPrefix(other, query):
		return rankStep + gap, true
	}
	// A few typing errors, fewer for a short name.
	q, o := []rune(query), []rune(other)
	allowed := 1 + len(q)/5
	if d := distance(q, o, allowed); d <= allowed && d < len(q) {
		return 2*rankStep + d, true
	}
	switch {
	case len(q) >= 2 && strings.Contains(other, query):
		return 3*rankStep + gap, true
	case len(o) >= 3 && strings.HasPrefix(query, other):
		return 4*rankStep + gap, true
	}
	// Errors in what may be the beginning of a longer name.
	if len(q) >= 4 && len(o) > len(q) {
		if d := distance(q, o[:len(q)], 1); d <= 1 {
			return 5*rankStep + gap, true
		}
	}
	return 0, false
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to get from a to b; above limit it may give any larger number.
func distance(a, b []rune, limit int) int {
	if abs(len(a)-len(b)) > limit {
		return limit + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least > limit {
			return limit + 1
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
