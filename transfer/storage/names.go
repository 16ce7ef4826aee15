package storage

import (
	"cmp"
	"errors"
	"slices"
	"strings"
)

// What can be wrong with a name in a torrent.
var (
	ErrNameEmpty    = errors.New("empty name")
	ErrNameDots     = errors.New(`"." or ".." in the path`)
	ErrNameAbsolute = errors.New("absolute path")
	ErrNameSlash    = errors.New("'/' inside a name")
	ErrNameNUL      = errors.New("NUL byte in the name")
	ErrNameTooLong  = errors.New("name longer than 255 bytes")
	ErrPathTooLong  = errors.New("path longer than 4096 bytes")
	ErrDuplicate    = errors.New("named twice")
	ErrFileAndDir   = errors.New("is a file and a directory at once")
)

const (
	maxName = 255
	maxPath = 4096
)

// checkComponent checks one component of a path.
func checkComponent(s string) error {
	switch {
	case s == "":
		return ErrNameEmpty
	case s == "." || s == "..":
		return ErrNameDots
	case s[0] == '/':
		return ErrNameAbsolute
	case strings.ContainsRune(s, '/'):
		return ErrNameSlash
	case strings.ContainsRune(s, 0):
		return ErrNameNUL
	case len(s) > maxName:
		return ErrNameTooLong
	}
	return nil
}

// joinPath checks the components of a path and puts them together.
func joinPath(parts []string) (string, error) {
	if len(parts) > maxPath {
		return "", bad(strings.Join(parts[:64], "/")+"…", ErrPathTooLong)
	}
	p := strings.Join(parts, "/")
	if len(parts) == 0 {
		return "", bad(p, ErrNameEmpty)
	}
	if len(p) > maxPath {
		return "", bad(p[:64]+"…", ErrPathTooLong)
	}
	if len(parts) > 1 && parts[0] == "" {
		return "", bad(p, ErrNameAbsolute)
	}
	for _, s := range parts {
		if err := checkComponent(s); err != nil {
			return "", bad(p, err)
		}
	}
	return p, nil
}

// checkClashes finds files and links with the same path, and those that are a directory
// of others. In the order of comparePaths both lie side by side.
func checkClashes(l *Layout) error {
	sorted := make([]string, 0, len(l.Files)+len(l.Links))
	for _, f := range l.Files {
		if !f.Pad {
			sorted = append(sorted, f.Path)
		}
	}
	for _, link := range l.Links {
		sorted = append(sorted, link.Path)
	}
	slices.SortFunc(sorted, comparePaths)
	for i := 1; i < len(sorted); i++ {
		a, b := sorted[i-1], sorted[i]
		if a == b {
			return bad(a, ErrDuplicate)
		}
		if len(b) > len(a) && b[len(a)] == '/' && b[:len(a)] == a {
			return bad(a, ErrFileAndDir)
		}
	}
	return nil
}

// comparePaths orders paths component by component: as bytes, with '/' before
// every other, so that what is below a directory follows it at once.
func comparePaths(a, b string) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i] == b[i] {
			continue
		}
		if a[i] == '/' {
			return -1
		}
		if b[i] == '/' {
			return 1
		}
		return cmp.Compare(a[i], b[i])
	}
	return cmp.Compare(len(a), len(b))
}
