package api

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"chordtorrent/client"
)

// Where the daemon of a Storage says how it is reached, and the lock that it holds
// while it lives, both in the folder itself.
const (
	addressFile = "daemon.json"
	lockFile    = "locks/daemon.lock"
)

// Address is how a daemon is reached; its file may be read by its user only.
type Address struct {
	URL   string `json:"url"`   // http://host:port
	Token string `json:"token"` // for the Authorization header
	PID   int    `json:"pid"`
}

// ErrRunning means that a Storage has a daemon already.
var ErrRunning = errors.New("a daemon of this Storage is running already")

// claimWithin is how long Claim waits for commands that look whether there is a daemon.
const claimWithin = 300 * time.Millisecond

// Claim makes this process the daemon of a Storage; release ends that, as does the
// end of the process. ErrRunning, with the pid, when another one is.
func Claim(storage string) (release func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), claimWithin)
	defer cancel()
	lock, err := client.WaitLock(ctx, filepath.Join(storage, lockFile))
	if busy, ok := errors.AsType[*client.ErrBusy](err); ok {
		if a, err := readAddress(storage); err == nil {
			return nil, fmt.Errorf("%w, with pid %d, at %s", ErrRunning, a.PID, a.URL)
		}
		return nil, fmt.Errorf("%w, with pid %d", ErrRunning, busy.PID)
	}
	if err != nil {
		return nil, err
	}
	forget := func() error {
		err := os.Remove(filepath.Join(storage, addressFile))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	// One that was killed has left it behind.
	if err := forget(); err != nil {
		lock.Release()
		return nil, fmt.Errorf("removing the address of an earlier daemon: %w", err)
	}
	return func() {
		// Nobody takes it for more than a leftover; but by now it may be of another daemon,
		// if the folder was replaced.
		if a, err := readAddress(storage); err == nil && a.PID == os.Getpid() {
			_ = forget()
		}
		lock.Release()
	}, nil
}

// Announce tells the commands how the daemon is reached.
func Announce(storage string, a Address) error {
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	path := filepath.Join(storage, addressFile)
	tmp := fmt.Sprintf("%s.%d", path, a.PID)
	if err := os.WriteFile(tmp, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("saying where the daemon is: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("saying where the daemon is: %w", errors.Join(err, os.Remove(tmp)))
	}
	return nil
}

func readAddress(storage string) (a Address, err error) {
	b, err := os.ReadFile(filepath.Join(storage, addressFile))
	if err != nil {
		return a, err
	}
	err = json.Unmarshal(b, &a)
	return a, err
}

// Remote is a daemon seen from a command.
type Remote struct {
	Address
	http    *http.Client
	patient *http.Client // where the answer may take long
}

// startWithin is how long a daemon may take to say where it is; with a ring member
// inside, that has to start first.
const startWithin = 5 * time.Second

// soon is for requests that a daemon which has got them begins to answer within a minute:
// none of them has to wait for much.
var soon = &http.Client{Transport: answering(time.Minute)}

func answering(within time.Duration) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = within
	return t
}

// Find gives the daemon of a Storage; nil when there is none. One that just starts is
// waited for.
func Find(storage string) (*Remote, error) {
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if held, err := client.Locked(filepath.Join(storage, lockFile)); err != nil || !held {
			return nil, err
		}
		a, err := readAddress(storage)
		switch {
		case err == nil:
			return &Remote{Address: a, http: soon, patient: http.DefaultClient}, nil
		case time.Since(began) > startWithin:
			return nil, fmt.Errorf("a daemon of this Storage is starting, and does not say where it is: %w", err)
		}
	}
}

// At is the daemon at an http or https URL, on whatever machine; whether it is there shows
// at the first request. An error is a client.ErrUsage.
func At(daemon, token string) (*Remote, error) {
	u, err := url.Parse(daemon)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return nil, &client.Hint{Err: fmt.Errorf("%w: %q is no address of a daemon", client.ErrUsage, daemon), Next: "give it as http://HOST:PORT, which btclient serve --web HOST:PORT is reached at"}
	}
	return &Remote{Address: Address{URL: u.Scheme + "://" + u.Host, Token: token}, http: soon, patient: http.DefaultClient}, nil
}

// Elsewhere says that it was named by its URL, and may be on another machine.
func (r *Remote) Elsewhere() bool { return r.PID == 0 }

// String is the daemon in the words of an error.
func (r *Remote) String() string {
	if r.Elsewhere() {
		return "the daemon at " + r.URL
	}
	return fmt.Sprintf("the daemon (pid %d) at %s", r.PID, r.URL)
}

// UseClient has requests made by another HTTP client.
func (r *Remote) UseClient(c *http.Client) { r.http, r.patient = c, c }

// Failure is an answer of the daemon that is not a success.
type Failure struct{ Problem }

func (f *Failure) Error() string { return f.Problem.Error }

// maxAnswer bounds the JSON of an answer, in bytes: a daemon with a hundred thousand jobs
// needs a third of it, and who is at a URL may be anybody. Tests have less do.
var maxAnswer int64 = 256 << 20

// Do asks the daemon; in and out are JSON objects, nil for none. A *Failure is the
// daemon's own answer, other errors mean that it could not be asked.
func (r *Remote) Do(ctx context.Context, method, path string, in, out any) error {
	resp, err := r.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body := io.LimitReader(resp.Body, maxAnswer)
	if out == nil {
		_, err = io.Copy(io.Discard, body)
		return err
	}
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return fmt.Errorf("%v answered something else than JSON: %w", r, err)
	}
	return nil
}

// Bring gives a publication that was added with a Stream its bytes, and blocks until the
// daemon has no more use for them: what came of it is told by the job.
func (r *Remote) Bring(ctx context.Context, id string, from io.Reader) error {
	resp, err := r.ask(ctx, r.patient, http.MethodPut, JobPath(id, "data"), http.Header{"Content-Type": {"application/octet-stream"}}, from)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (r *Remote) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	if in == nil {
		return r.ask(ctx, r.http, method, path, http.Header{}, nil)
	}
	b, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return r.ask(ctx, r.http, method, path, http.Header{"Content-Type": {"application/json"}}, bytes.NewReader(b))
}

func (r *Remote) ask(ctx context.Context, by *http.Client, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.URL+Prefix+path, body)
	if err != nil {
		return nil, err
	}
	req.Header = header
	if r.Token != "" {
		req.Header.Set("Authorization", "Bearer "+r.Token)
	}
	resp, err := by.Do(req)
	if err != nil {
		return nil, r.gone(fmt.Errorf("%v does not answer: %w", r, err))
	}
	if resp.StatusCode < 300 || resp.StatusCode == http.StatusNotModified {
		return resp, nil
	}
	defer resp.Body.Close()
	f := &Failure{}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if json.Unmarshal(b, &f.Problem) != nil || f.Problem.Error == "" {
		f.Problem = Problem{Error: fmt.Sprintf("%v answered %s: %s", r, resp.Status, bytes.TrimSpace(b)), Code: 1}
	}
	return nil, f
}

// gone is an error of a daemon that is there no longer.
func (r *Remote) gone(err error) error {
	if r.Elsewhere() {
		return &client.Hint{Err: err, Next: "is btclient serve --web HOST:PORT running on that machine? It goes on with all that it was asked for"}
	}
	return &client.Hint{Err: err, Next: "start it again with btclient serve: it goes on with all that it was asked for, which btclient downloads shows"}
}

// Event is something that the daemon tells as it happens: GET /events. Job is set,
// or Removed, the id of a job that is gone.
type Event struct {
	Job     *Job
	Removed string
}

// Follow tells of every job in the daemon, then of each change, until ctx ends, give
// returns an error, which is then its own, or the daemon is gone.
func (r *Remote) Follow(ctx context.Context, give func(Event) error) error {
	resp, err := r.send(ctx, http.MethodGet, "/events", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	kind := ""
	for lines.Scan() {
		line := lines.Text()
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			kind = name
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var e Event
		switch kind {
		case "job":
			e.Job = new(Job)
			err = json.Unmarshal([]byte(data), e.Job)
		case "removed":
			err = json.Unmarshal([]byte(data), &e.Removed)
		default:
			continue
		}
		if err != nil {
			return fmt.Errorf("%v told something else than JSON: %w", r, err)
		}
		if err := give(e); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return r.gone(fmt.Errorf("%v has ended: %w", r, cmp.Or(lines.Err(), io.EOF)))
}

// JobPath is the path of a job, or of something about it.
func JobPath(id string, rest ...string) string {
	return strings.Join(append([]string{"/jobs/" + url.PathEscape(id)}, rest...), "/")
}
