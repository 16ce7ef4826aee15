package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"chordtorrent/client/api"
)

// aliveEvery is how often something is sent although nothing has happened, so that
// both ends notice when the other is gone.
const aliveEvery = 15 * time.Second

// stream sends server-sent events until the other end or the daemon is gone: send writes
// what there is to tell of jobs that have changed.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, recent bool, send func(out *bytes.Buffer, jobs []api.Job, gone []string)) {
	sub, err := s.cfg.Daemon.Subscribe(r.Context(), recent)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer sub.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	var out bytes.Buffer
	out.WriteString("retry: 2000\n\n")
	for {
		if _, err := w.Write(out.Bytes()); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
		out.Reset()
		ctx, cancel := context.WithTimeout(r.Context(), aliveEvery)
		jobs, gone, err := sub.Next(ctx)
		cancel()
		switch {
		case err == nil:
			send(&out, jobs, gone)
		case r.Context().Err() == nil && ctx.Err() != nil:
			out.WriteString(": nothing new\n\n")
		default:
			return
		}
	}
}

// event writes one event. JSON has no line breaks of its own.
func event(out *bytes.Buffer, name string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own structs
	}
	fmt.Fprintf(out, "event: %s\ndata: %s\n\n", name, b)
}

// events tells programs of all jobs, then of every change.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	s.stream(w, r, false, func(out *bytes.Buffer, jobs []api.Job, gone []string) {
		for _, j := range jobs {
			event(out, "job", j)
		}
		for _, id := range gone {
			event(out, "removed", id)
		}
	})
}
