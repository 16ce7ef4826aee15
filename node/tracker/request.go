package tracker

import "bytes"

var crlf, crlf2 = []byte("\r\n"), []byte("\r\n\r\n")

// mayBeAnnounce reports whether what has come of a request is the begin of a GET.
func mayBeAnnounce(b []byte) bool {
	const get = "GET /"
	n := min(len(b), len(get))
	return string(b[:n]) == get[:n]
}

// parseRequest reads the head of a request, lines that end with CRLF; ok is false for what
// net/http is to judge.
func parseRequest(head []byte) (path, query []byte, closes, ok bool) {
	line, rest, _ := bytes.Cut(head, crlf)
	target, found := bytes.CutPrefix(line, []byte("GET "))
	target, version, found2 := bytes.Cut(target, []byte(" "))
	path, query, found3 := bytes.Cut(target, []byte("?"))
	if !found || !found2 || !found3 || string(version) != "HTTP/1.1" || !bytes.HasSuffix(path, []byte("/announce")) || bytes.IndexByte(path, '%') >= 0 {
		return nil, nil, false, false
	}
	host := false
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, crlf)
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || len(name) == 0 || name[0] == ' ' || name[0] == '\t' {
			return nil, nil, false, false
		}
		switch {
		case isHeader(name, "host"):
			host = true
		case isHeader(name, "connection"):
			closes = closes || bytes.EqualFold(bytes.TrimSpace(value), []byte("close"))
		case isHeader(name, "content-length"), isHeader(name, "transfer-encoding"), isHeader(name, "upgrade"), isHeader(name, "expect"):
			return nil, nil, false, false
		}
	}
	return path, query, closes, host
}

func isHeader(name []byte, want string) bool {
	return len(name) == len(want) && bytes.EqualFold(name, []byte(want))
}
