package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"text/tabwriter"
	"time"

	"chordtorrent/chord"
	"chordtorrent/node/tracker"
)

// httpServer is the node's listener for people and their monitoring.
type httpServer struct {
	ln   net.Listener
	addr string // host:port to reach it at
	port uint16
	srv  *http.Server
	wg   sync.WaitGroup
}

// openHTTP takes the port; nobody is answered before serve. The address that
// others are told is the bound one, on all interfaces the ring's.
func openHTTP(bind endpoint, ring netip.Addr) (*httpServer, error) {
	ln, err := listenHTTP(bind)
	if err != nil {
		return nil, err
	}
	at := reachedAt(ln.Addr().(*net.TCPAddr).AddrPort(), ring) // what "tcp" gives
	return &httpServer{ln: ln, addr: at.String(), port: at.Port()}, nil
}

func (h *httpServer) serve(n *Node, clients *tracker.Tracker) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", n.serveHealth)
	mux.Handle("GET /metrics", n.metrics.handler(n))
	mux.HandleFunc("GET /{$}", n.serveStatus)
	mux.HandleFunc("GET /style.css", serveStyle)
	mux.Handle("GET /", clients)
	h.srv = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
	}
	ln := clients.Announces(h.ln)
	h.wg.Go(func() {
		if err := h.srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			n.log.Error("the http port no longer accepts connections", "addr", h.addr, "err", err)
		}
	})
}

func (h *httpServer) close() error {
	if h.srv == nil {
		return h.ln.Close()
	}
	err := h.srv.Close()
	h.wg.Wait()
	return err
}

// healthWithin bounds how long a node may be busy and still be called healthy.
const healthWithin = 3 * time.Second

// serveHealth answers 200 only when the node is part of a ring, its loop turns, and it
// can write.
func (n *Node) serveHealth(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if n.leaving.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "leaving")
		return
	}
	if !n.isReady() {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "joining")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), healthWithin)
	defer cancel()
	if err := n.Alive(ctx); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "does not answer: %v\n", err)
		return
	}
	if err := n.db.Trouble(); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "reads only: %v\n", err)
		return
	}
	fmt.Fprintln(w, "ready")
}

// serveStatus shows a person what the node knows: a page for a browser, else text.
func (n *Node) serveStatus(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	reply, err := n.Call(ctx, chord.GetStatus{})
	if err != nil {
		http.Error(w, "the node does not answer: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	st := reply.(chord.Status)
	w.Header().Set("Vary", "Accept")
	if wantsHTML(r) {
		n.writePage(w, st)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	out := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	defer out.Flush()
	fmt.Fprintf(out, "chordnode\t%s\ncluster\t%s\nsecret\t%s\nstate\t%s\nid\t%s\naddress\t%s\nkeys\t%d hard, %d soft, %d bytes\nunder-replicated\t%d\nincomplete ranges\t%d\nlast repair\t%s\n\n",
		st.Version, st.Cluster, n.secretWords(), st.State, st.Self.ID, st.Self.Addr, st.Keys, st.SoftKeys, st.Bytes, st.UnderReplicated, st.IncompleteRanges, repairedWords(st))
	if st.Trouble != "" {
		fmt.Fprintf(out, "trouble\t%s\n\n", st.Trouble)
	}
	fmt.Fprintf(out, "%d members in ring order\n", len(st.Members))
	for _, m := range st.Members {
		fmt.Fprintf(out, "%s\t%s\n", m.ID, m.Addr)
	}
}
