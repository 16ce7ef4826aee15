package web_test

import (
	"net/http"
	"strings"
	"testing"

	"chordtorrent/client/daemontest"
	"chordtorrent/client/web"
)

// TestAnotherSiteCanDoNothing sends what a browser sends for a page of another site.
func TestAnotherSiteCanDoNothing(t *testing.T) {
	s := open(t, daemontest.New(t), "a", nil)
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	for _, c := range []struct {
		what, method, path, body string
		headers                  []string
		status                   int
	}{
		{"a form", "POST", "/do/settings", "max_downloads=9", append(form, "Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"), 403},
		{"a form of an old browser", "POST", "/do/settings", "max_downloads=9", append(form, "Origin", "http://evil.example"), 403},
		{"a form in a frame of nobody", "POST", "/do/settings", "max_downloads=9", append(form, "Origin", "null"), 403},
		{"fetch with JSON", "PATCH", "/api/v1/settings", `{"max_downloads":9}`, []string{"Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"reading", "GET", "/api/v1/jobs", "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "script"}, 403},
		{"a site on another port", "GET", "/api/v1/jobs", "", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}, 403},
		{"a picture", "GET", "/content/x", "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, 403},
		{"a frame", "GET", "/downloads", "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 403},
		{"a WebSocket", "GET", "/live", "", []string{"Connection", "Upgrade", "Upgrade", "websocket", "Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "websocket"}, 403},
		{"a preflight", "OPTIONS", "/api/v1/settings", "", []string{"Origin", "http://evil.example", "Access-Control-Request-Method", "PATCH", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"}, 403},
		{"a name that points here", "GET", "/api/v1/jobs", "", []string{"Host", "evil.example"}, 421},
		{"a name that points here, with a port", "POST", "/do/settings", "max_downloads=9", append(form, "Host", "evil.example:8780", "Origin", "http://evil.example:8780", "Sec-Fetch-Site", "same-origin"), 421},
		{"no name", "GET", "/downloads", "", []string{"Host", "localhost.evil.example"}, 421},
		{"a link", "GET", "/downloads", "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200},
		{"the page itself", "POST", "/do/settings", "max_downloads=4", append(form, "Origin", s.url, "Sec-Fetch-Site", "same-origin"), 303},
		{"by localhost", "GET", "/downloads", "", []string{"Host", "localhost:8780"}, 200},
		{"by an address", "GET", "/downloads", "", []string{"Host", "[::1]:8780"}, 200},
	} {
		resp, body := s.do(c.method, c.path, c.body, c.headers...)
		if resp.StatusCode != c.status {
			t.Errorf("%s: %s, want %d: %s", c.what, resp.Status, c.status, body)
		}
		for name := range resp.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: answered with %s", c.what, name)
			}
		}
	}
	if set, err := s.d.Settings(t.Context()); err != nil || set.MaxDownloads != 4 {
		t.Errorf("settings are %+v, %v", set, err)
	}
}

func TestPagesCarryNoScriptOfTheirOwn(t *testing.T) {
	h := daemontest.New(t)
	s := open(t, h, "a", nil)
	h.Publish(s.d, h.File("<img src=x onerror=alert(1)>.iso", 1000))
	h.Publish(s.d, h.File("photo\u202egnp.exe", 1000))
	for _, path := range []string{"/available", "/downloads", "/mine", "/publish", "/ring", "/swarm/%3Cimg%20src=x%20onerror=alert(1)%3E.iso", "/swarm/photo%E2%80%AEgnp.exe", "/jobs/" + published("photo\u202egnp.exe"), "/nothing"} {
		resp, body := s.do("GET", path, "")
		policy := resp.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "script-src 'self'") || strings.Contains(policy, "unsafe") || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", path, resp.Header)
		}
		// Shown as what it is, and still what is asked for.
		if body = strings.ReplaceAll(body, `name="name" value="photo`+"\u202e", ""); strings.Contains(body, "\u202e") {
			t.Errorf("%s turns round what follows: %s", path, body)
		}
		for _, bad := range []string{"<img src=x", "onerror=alert(1)>", " style=", "javascript:", "onclick="} {
			if strings.Contains(body, bad) {
				t.Errorf("%s contains %s", path, bad)
			}
		}
	}
}

// On loopback the page needs no token, but a proxy that brings others to it does.
func TestAHostOfAProxyNeedsTheToken(t *testing.T) {
	s := open(t, daemontest.New(t), "a", func(c *web.Config) { c.Hosts = []string{"files.example.org"} })
	for _, c := range []struct {
		host, path string
		headers    []string
		status     int
	}{
		{"127.0.0.1:8780", "/downloads", nil, 200},
		{"LOCALHOST", "/downloads", nil, 200},
		{"files.example.org", "/downloads", nil, 303},
		{"files.example.org", "/api/v1/jobs", nil, 401},
		{"files.example.org", "/api/v1/jobs", []string{"Authorization", "Bearer " + token}, 200},
		{"files.example.org", "/downloads", []string{"Cookie", "chordtorrent=" + token}, 200},
		{"files.example.org", "/login", nil, 200},
		{"192.0.2.7", "/api/v1/jobs", nil, 401},
	} {
		if resp, body := s.do("GET", c.path, "", append(c.headers, "Host", c.host)...); resp.StatusCode != c.status {
			t.Errorf("%s as %s, %v: %s, want %d: %s", c.path, c.host, c.headers, resp.Status, c.status, body)
		}
	}
}

func TestAToken(t *testing.T) {
	s := open(t, daemontest.New(t), "a", func(c *web.Config) { c.NeedToken, c.Hosts = true, []string{"Files.Example"} })
	for _, c := range []struct {
		what, method, path, body string
		headers                  []string
		status                   int
	}{
		{"a page", "GET", "/downloads", "", nil, 303},
		{"the interface", "GET", "/api/v1/jobs", "", nil, 401},
		{"a button", "POST", "/do/visit", "", nil, 401},
		{"a file", "GET", "/content/x", "", nil, 401},
		{"events", "GET", "/live", "", nil, 303},
		{"a wrong token", "GET", "/api/v1/jobs", "", []string{"Authorization", "Bearer x"}, 401},
		{"the token", "GET", "/api/v1/jobs", "", []string{"Authorization", "Bearer " + token}, 200},
		{"a wrong cookie", "GET", "/api/v1/jobs", "", []string{"Cookie", "chordtorrent=x"}, 401},
		{"the login", "GET", "/login", "", nil, 200},
		{"its style", "GET", "/static/style.css", "", nil, 200},
		{"a wrong login", "POST", "/login", "token=x", []string{"Content-Type", "application/x-www-form-urlencoded"}, 401},
		{"a further host", "GET", "/api/v1/jobs", "", []string{"Host", "files.example:80", "Authorization", "Bearer " + token}, 200},
	} {
		if resp, body := s.do(c.method, c.path, c.body, c.headers...); resp.StatusCode != c.status {
			t.Errorf("%s: %s, want %d: %s", c.what, resp.Status, c.status, body)
		}
	}
	resp, _ := s.do("POST", "/login", "token="+token, "Content-Type", "application/x-www-form-urlencoded")
	cookies := (&http.Response{Header: resp.Header}).Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode {
		t.Fatalf("the login gives %v", cookies)
	}
	if resp, _ := s.do("GET", "/downloads", "", "Cookie", cookies[0].Name+"="+cookies[0].Value); resp.StatusCode != 200 {
		t.Errorf("after the login: %s", resp.Status)
	}
}
