package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
)

// The page can do whatever its user can. What keeps other web sites from using it in
// the user's browser:
//
//   - Host: only names that this machine is called by, and addresses. A site that makes
//     its own name point here (DNS rebinding) is refused.
//   - Origin: requests that change something come from our own pages, as
//     http.CrossOriginProtection finds out, and nothing but a link may come from another
//     site at all.
//   - Content-Security-Policy: no script but our own file, whatever a name contains.
//   - a token, which only the daemon's own user does without, at this machine: not when
//     others can connect, nor through a proxy, nor as another user.

// cookieName holds the token in browsers.
const cookieName = "chordtorrent"

const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// guard lets through what may be asked.
func (s *Server) guard(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, http.StatusForbidden, "this request comes from another web site", "use the page itself")
	}))
	inside := protection.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !s.knownHost(r.Host) {
			s.refuse(w, r, http.StatusMisdirectedRequest, "this is not "+quoteHost(r.Host), "open the page by an address, by localhost, or name the host with --web-host")
			return
		}
		if site := r.Header.Get("Sec-Fetch-Site"); (site == "cross-site" || site == "same-site") && !isLink(r) {
			s.refuse(w, r, http.StatusForbidden, "this request comes from another web site", "use the page itself")
			return
		}
		if !s.admitted(w, r) {
			return
		}
		inside.ServeHTTP(w, r)
	})
}

// isLink says whether somebody has followed a link to one of our pages.
func isLink(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" &&
		r.Header.Get("Sec-Fetch-Dest") == "document" && !isContent(r)
}

// isContent says whether it is about the files themselves, which are others' work.
func isContent(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/content/") || strings.HasPrefix(r.URL.Path, "/seed/")
}

// knownHost says whether a Host header names this machine.
func (s *Server) knownHost(host string) bool {
	host = hostOf(host)
	if _, err := netip.ParseAddr(host); err == nil {
		return true // nobody can make an address point elsewhere
	}
	for _, own := range s.hosts {
		if host == own {
			return true
		}
	}
	return false
}

// hostOf is a Host header without its port.
func hostOf(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// ownHosts are the names that this machine goes by.
func ownHosts(more []string) []string {
	hosts := []string{"localhost"}
	if name, err := os.Hostname(); err == nil && name != "" {
		short, _, _ := strings.Cut(strings.ToLower(name), ".")
		hosts = append(hosts, strings.ToLower(name), short, short+".local")
	}
	for _, h := range more {
		hosts = append(hosts, strings.ToLower(h))
	}
	return hosts
}

func quoteHost(host string) string {
	if len(host) > 100 {
		host = host[:100] + "…"
	}
	return "the host " + strings.ToValidUTF8(host, "?")
}

// admitted checks the token, where there is one to show, and answers those who have
// it not.
func (s *Server) admitted(w http.ResponseWriter, r *http.Request) bool {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		_, given, ok = r.BasicAuth() // whoever can be told no more than a URL: http://:TOKEN@HOST:PORT
	}
	if ok {
		if s.isToken(given) {
			return true
		}
		s.refuse(w, r, http.StatusUnauthorized, "the token is wrong", "it is in daemon/token in Storage, or in the file of --web-token-file")
		return false
	}
	if strings.HasPrefix(r.URL.Path, "/static/") || r.URL.Path == "/login" || !s.cfg.NeedToken && isAtHome(r) {
		return true
	}
	if c, err := r.Cookie(cookieName); err == nil && s.isToken(c.Value) {
		return true
	}
	if r.Method == http.MethodGet && isPage(r) {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return false
	}
	s.refuse(w, r, http.StatusUnauthorized, "a token is needed: this is not the user of btclient at its own machine", "log in at /login, or send it as a program does; it is in daemon/token in Storage, or in the file of --web-token-file")
	return false
}

// isAtHome says whether a request comes from the daemon's user at this machine, as far as
// can be told, and for a name that means this machine wherever it is used: what is asked
// for by another one came through a proxy.
func isAtHome(r *http.Request) bool {
	if host := hostOf(r.Host); host != "localhost" {
		if addr, err := netip.ParseAddr(host); err != nil || !addr.IsLoopback() {
			return false
		}
	}
	own, ok := r.Context().Value(ownUserKey{}).(func() bool)
	return ok && own()
}

type ownUserKey struct{}

// withUser has requests of a connection know whether it is of the daemon's own user. That
// is looked up once, when the first of them wants to know.
func withUser(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, ownUserKey{}, sync.OnceValue(func() bool {
		uid, told := userOf(addrOf(c.RemoteAddr()), addrOf(c.LocalAddr()))
		return !told || uid == os.Geteuid()
	}))
}

func addrOf(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

func (s *Server) isToken(given string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(s.cfg.Token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// login takes the token and has the browser keep it.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	given := r.FormValue("token")
	switch {
	case given == "":
		s.page(w, r, http.StatusOK, "login", "Log in", nil)
	case !s.isToken(given):
		s.page(w, r, http.StatusUnauthorized, "login", "Log in", "That is not the token.")
	default:
		http.SetCookie(w, &http.Cookie{Name: cookieName, Value: given, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
			MaxAge: 30 * 24 * 3600, Secure: r.TLS != nil})
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

func isPage(r *http.Request) bool {
	return !strings.HasPrefix(r.URL.Path, "/api/") && !isContent(r) && r.URL.Path != "/metrics"
}
