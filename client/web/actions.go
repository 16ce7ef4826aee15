package web

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"chordtorrent/client"
	"chordtorrent/client/api"
)

// act does what a button of a page says: POST /do/WHAT with a form. The script is
// answered with no page, a browser without it with the page that it came from.
func (s *Server) act(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	to, err := s.action(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if r.Header.Get("X-Live") != "" {
		s.json(w, http.StatusOK, map[string]string{"to": to})
		return
	}
	if to == "" {
		to = back(r)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// action does it and says which page comes next; empty: the same.
func (s *Server) action(r *http.Request) (to string, err error) {
	if err := r.ParseForm(); err != nil {
		return "", fmt.Errorf("%w: the form: %w", client.ErrUsage, err)
	}
	ctx, d, id := r.Context(), s.cfg.Daemon, r.PostFormValue("id")
	discard := r.PostFormValue("data") == "delete"
	switch what := r.PathValue("what"); what {
	case "pause", "resume", "retry", "cancel":
		_, err = s.steer(ctx, what, id, discard)
	case "remove":
		err = d.Remove(ctx, id, discard)
		to = "/downloads"
	case "change":
		_, err = s.changed(r, id)
	case "unpublish":
		err = d.Unpublish(ctx, r.PostFormValue("name"))
	case "download":
		var j api.Job
		j, err = d.AddDownload(ctx, api.AddDownload{Source: strings.TrimSpace(r.PostFormValue("name")), Target: r.PostFormValue("target"), Follow: r.PostFormValue("follow") != ""})
		to = "/downloads#job-" + j.ID
	case "publish":
		_, err = d.AddPublication(ctx, api.AddPublication{Path: absolute(r.PostFormValue("path")), Name: r.PostFormValue("name"), Copy: r.PostFormValue("copy") != ""})
		to = "/mine"
	case "settings":
		err = s.settings(r)
	case "visit":
		_, err = d.Visit(ctx)
	default:
		err = fmt.Errorf("%w: there is no %q to do", client.ErrUsage, what)
	}
	return to, err
}

// absolute understands a leading ~ as people write it.
func absolute(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return path
}

// perMiB turns a limit in MiB per second, as pages have it, into bytes; empty: none.
func perMiB(given string) (int64, error) {
	if given = strings.TrimSpace(given); given == "" {
		return 0, nil
	}
	v, err := strconv.ParseFloat(strings.Replace(given, ",", ".", 1), 64)
	limit := v * (1 << 20)
	switch {
	case err != nil || !(v >= 0 && v <= 1e6): // so neither is NaN
		return 0, fmt.Errorf("%w: %q is not a speed in MiB per second: use a number from 0 to 1000000", client.ErrUsage, given)
	case v > 0 && limit < 1: // which would be none
		return 0, fmt.Errorf("%w: %q MiB per second is less than a byte: pause what is not to move at all", client.ErrUsage, given)
	}
	return int64(limit), nil
}

func (s *Server) changed(r *http.Request, id string) (api.Job, error) {
	down, err := perMiB(r.PostFormValue("limit_down"))
	if err != nil {
		return api.Job{}, err
	}
	up, err := perMiB(r.PostFormValue("limit_up"))
	if err != nil {
		return api.Job{}, err
	}
	priority, err := strconv.Atoi(r.PostFormValue("priority"))
	if err != nil {
		return api.Job{}, fmt.Errorf("%w: the priority %q is not a number", client.ErrUsage, r.PostFormValue("priority"))
	}
	follow := r.PostFormValue("follow") != ""
	return s.cfg.Daemon.Change(r.Context(), id, api.Change{Priority: &priority, LimitDown: &down, LimitUp: &up, Follow: &follow})
}

func (s *Server) settings(r *http.Request) error {
	down, err := perMiB(r.PostFormValue("limit_down"))
	if err != nil {
		return err
	}
	up, err := perMiB(r.PostFormValue("limit_up"))
	if err != nil {
		return err
	}
	most, err := strconv.Atoi(r.PostFormValue("max_downloads"))
	if err != nil {
		return fmt.Errorf("%w: downloads at a time: %q is not a number", client.ErrUsage, r.PostFormValue("max_downloads"))
	}
	return s.cfg.Daemon.SetSettings(r.Context(), api.Settings{LimitDown: down, LimitUp: up, MaxDownloads: most})
}
