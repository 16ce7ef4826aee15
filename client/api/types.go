package api

import "time"

// Prefix begins the path of every request.
const Prefix = "/api/v1"

// State is where a job is in its life.
type State string

// The states. A job that is done serves what it has, unless it was paused.
const (
	Queued    State = "queued"    // waits for its turn, or for what Reason says
	Running   State = "running"   // hashes, checks or fetches: see Stage
	Paused    State = "paused"    // by a person
	Done      State = "done"      // complete
	Failed    State = "failed"    // see Error; retry begins again
	Cancelled State = "cancelled" // by a person; retry begins again
)

// Kind is what a job does.
type Kind string

// The kinds.
const (
	Download    Kind = "download"
	Publication Kind = "publication"
)

// Job is one publication or download of a daemon.
type Job struct {
	ID       string `json:"id"` // 16 hex digits, the same for the same name and target
	Kind     Kind   `json:"kind"`
	Name     string `json:"name"`
	Path     string `json:"path"`      // absolute
	InfoHash string `json:"info_hash"` // 40 hex digits; empty while it is not known
	State    State  `json:"state"`
	Stage    string `json:"stage,omitempty"` // while it runs: copying, hashing, verifying, metadata, downloading
	Serving  bool   `json:"serving"`         // others can fetch it from here
	Bytes    int64  `json:"bytes_total"`     // 0: not known yet
	Done     int64  `json:"bytes_done"`      // of the stage
	Pieces   int    `json:"pieces"`
	RateDown int64  `json:"rate_bytes_per_sec"`
	RateUp   int64  `json:"upload_bytes_per_sec"`
	Fetched  int64  `json:"fetched"`  // payload bytes that came over the network since the daemon runs
	Uploaded int64  `json:"uploaded"` // and that went
	Peers    int    `json:"peers"`
	ETA      *int64 `json:"eta_sec"` // null: not known
	Reason   string `json:"reason,omitempty"`
	Error    string `json:"error,omitempty"`
	Hint     string `json:"hint,omitempty"`
	Code     int    `json:"code,omitempty"` // of Error, as in a Problem

	Priority  int    `json:"priority"`            // larger ones first
	LimitDown int64  `json:"limit_down"`          // bytes per second; 0: none
	LimitUp   int64  `json:"limit_up"`            // likewise
	Follow    bool   `json:"follow"`              // newer versions are fetched as they come
	Copies    int    `json:"copies"`              // of a publication: ring members that hold its .torrent
	Watched   bool   `json:"watched"`             // published by watching a folder
	New       bool   `json:"new"`                 // ended since the last visit
	Added     Time   `json:"added"`               // RFC 3339
	Finished  Time   `json:"finished"`            // null while it has not ended
	Version   int    `json:"version"`             // counts the versions of the name that were fetched or published here
	Have      Have   `json:"have,omitempty"`      // in the answer about one job only: what is there
	Swarm     []Peer `json:"peer_list,omitempty"` // likewise
	Rates     []Rate `json:"rates,omitempty"`     // likewise: the last two minutes, one a second
	From      []From `json:"from,omitempty"`      // likewise: who sent how much of use, the largest first
}

// Time is a moment, null when it has not come.
type Time struct{ time.Time }

// Have is how much there is of each of at most 256 runs of pieces, 0 to 255.
type Have []int

// Rate is the speed in one second, in bytes.
type Rate struct {
	Down int64 `json:"down"`
	Up   int64 `json:"up"`
}

// From is how much one peer has sent.
type From struct {
	Addr   string `json:"addr"`    // the URL of a web seed
	PeerID string `json:"peer_id"` // hex; zeros for a web seed
	Bytes  int64  `json:"bytes"`
}

// Peer is somebody whom a job is connected to.
type Peer struct {
	Addr     string  `json:"addr"`
	Client   string  `json:"client"` // as it calls itself
	Percent  float64 `json:"percent"`
	RateDown int64   `json:"rate_bytes_per_sec"`
	RateUp   int64   `json:"upload_bytes_per_sec"`
	// Encrypted: it insists on encryption.
	Encrypted bool `json:"encrypted"`
}

// AddDownload asks for a download: POST /downloads.
type AddDownload struct {
	Source      string `json:"source"`           // a name of the ring, a magnet link, or the path or URL of a .torrent
	Target      string `json:"target,omitempty"` // absolute; a trailing slash means inside; empty: into Storage
	Priority    int    `json:"priority,omitempty"`
	LimitDown   int64  `json:"limit_down,omitempty"`
	LimitUp     int64  `json:"limit_up,omitempty"`
	Follow      bool   `json:"follow,omitempty"`
	Preallocate bool   `json:"preallocate,omitempty"`
	AnySpace    bool   `json:"any_space,omitempty"`
}

// AddPublication asks for a publication: POST /publications.
type AddPublication struct {
	Path string `json:"path,omitempty"` // absolute
	Name string `json:"name,omitempty"`
	Copy bool   `json:"copy,omitempty"`
	// Stream, in place of Path, is what the bytes come from, in words: PUT /jobs/ID/data brings
	// them. Size is how many are expected, 0 when that is not known.
	Stream   string `json:"stream,omitempty"`
	Size     int64  `json:"size,omitempty"`
	AnySpace bool   `json:"any_space,omitempty"` // although there may be no room for Size
	// Torrent is the absolute path of a .torrent that the path is the content of; then it
	// goes by the name in that, and is not copied.
	Torrent string `json:"torrent,omitempty"`
}

// Change is what may be changed of a job: PATCH /jobs/ID. What is null stays.
type Change struct {
	Priority  *int   `json:"priority"`
	LimitDown *int64 `json:"limit_down"`
	LimitUp   *int64 `json:"limit_up"`
	Follow    *bool  `json:"follow"`
}

// Settings hold for all jobs together: GET /settings.
type Settings struct {
	LimitDown    int64 `json:"limit_down"`    // bytes per second; 0: none
	LimitUp      int64 `json:"limit_up"`      // likewise
	MaxDownloads int   `json:"max_downloads"` // at a time
}

// SettingsChange is what may be changed of Settings: PATCH /settings. What is null stays.
type SettingsChange struct {
	LimitDown    *int64 `json:"limit_down"`
	LimitUp      *int64 `json:"limit_up"`
	MaxDownloads *int   `json:"max_downloads"`
}

// Status is the daemon as a whole: GET /status.
type Status struct {
	Version  string   `json:"version"`
	PID      int      `json:"pid"`
	Storage  string   `json:"storage"`
	Cluster  string   `json:"cluster"`
	Ring     bool     `json:"ring"` // a member is within reach
	Port     int      `json:"port"` // for peers; 0: not open yet
	PeerID   string   `json:"peer_id"`
	Jobs     int      `json:"jobs"`
	Active   int      `json:"active"`  // downloads that run
	Serving  int      `json:"serving"` // jobs that are served
	RateDown int64    `json:"rate_bytes_per_sec"`
	RateUp   int64    `json:"upload_bytes_per_sec"`
	Settings Settings `json:"settings"`
}

// File is a name of the ring.
type File struct {
	Name      string `json:"name"`
	Size      int64  `json:"size"`
	InfoHash  string `json:"info_hash"`
	Published Time   `json:"published"`
}

// Files is a page of the list of all names: GET /files.
type Files struct {
	Files []File `json:"files"`
	Total int    `json:"total"`           // that match
	All   int    `json:"all"`             // in the ring
	Error string `json:"error,omitempty"` // why the list may be old or incomplete
	Hint  string `json:"hint,omitempty"`  // what to do about it
}

// Problem is the body of every answer that is not a success. Code is the exit code
// that a command would end with.
type Problem struct {
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
	Code  int    `json:"code"`
}

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return t.UTC().Truncate(time.Millisecond).MarshalJSON()
}

// Rank is where jobs of a state stand in a list, smaller ones first: what runs, what
// waits, what is paused, what has ended.
func (s State) Rank() int {
	switch s {
	case Running:
		return 0
	case Queued:
		return 1
	case Paused:
		return 2
	}
	return 3
}

// Ended says whether nothing more is to be done to come to an end.
func (s State) Ended() bool { return s == Done || s == Failed || s == Cancelled }
