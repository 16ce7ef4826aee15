package daemon

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"chordtorrent/client/api"
	"chordtorrent/communicator"
)

// freshFor is how old the list of names may be when it is asked for; an older one is
// given while a new one is fetched.
const freshFor = time.Second

// Catalog is the list of all names in the ring, kept so that a person can search in
// it while typing. It is fetched when somebody asks, not before.
type Catalog struct {
	ctx  context.Context // ends with the daemon
	ring *communicator.Communicator
	wg   sync.WaitGroup

	mu       sync.Mutex
	files    []communicator.File
	lower    []string // their names, for finding
	err      error    // of the last fetch
	fetched  time.Time
	fetching chan struct{} // closed when the fetch under way has ended; nil: none is
}

func newCatalog(ctx context.Context, ring *communicator.Communicator) *Catalog {
	return &Catalog{ctx: ctx, ring: ring}
}

// Query is a page of the names that contain all words of Search.
type Query struct {
	Search string
	Sort   string // name, size, published; a - before it turns it round; empty: name
	Offset int
	Limit  int
	// Wait is how long a newer list is waited for; without, one that is a few seconds old
	// will do, as while somebody types.
	Wait time.Duration
}

// MaxPage is the most that one page holds.
const MaxPage = 1000

// Find gives a page. It blocks for the first list only; when that cannot be had its
// error is returned, later ones are told with the list that is there.
func (c *Catalog) Find(ctx context.Context, q Query) (api.Files, error) {
	files, lower, err := c.list(ctx, q.Wait)
	if files == nil && err != nil {
		return api.Files{}, err
	}
	page := api.Files{All: len(files), Files: []api.File{}}
	if err != nil {
		p := api.ProblemOf(err)
		page.Error, page.Hint = "the list may be old or incomplete: "+p.Error, p.Hint
	}
	found := match(lower, q.Search)
	sortFound(found, files, q.Sort)
	page.Total = len(found)
	from := min(max(q.Offset, 0), len(found))
	to := min(from+min(max(q.Limit, 0), MaxPage), len(found))
	for _, i := range found[from:to] {
		f := files[i]
		page.Files = append(page.Files, api.File{Name: f.Name, Size: f.Size, InfoHash: hexOf(f.InfoHash[:]), Published: api.Time{Time: f.Published}})
	}
	return page, nil
}

// match gives the indices of the names that contain all words.
func match(lower []string, search string) []int {
	words := strings.Fields(strings.ToLower(search))
	found := make([]int, 0, len(lower))
next:
	for i, name := range lower {
		for _, w := range words {
			if !strings.Contains(name, w) {
				continue next
			}
		}
		found = append(found, i)
	}
	return found
}

func sortFound(found []int, files []communicator.File, by string) {
	by, down := strings.CutPrefix(by, "-")
	var order func(a, b communicator.File) int
	switch by {
	case "size":
		order = func(a, b communicator.File) int { return cmp.Compare(a.Size, b.Size) }
	case "published":
		order = func(a, b communicator.File) int { return a.Published.Compare(b.Published) }
	default: // as they come
		if down {
			slices.Reverse(found)
		}
		return
	}
	slices.SortStableFunc(found, func(a, b int) int {
		if down {
			a, b = b, a
		}
		return cmp.Or(order(files[a], files[b]), cmp.Compare(a, b))
	})
}

// list gives what is there, and has it fetched anew when it is old.
func (c *Catalog) list(ctx context.Context, wait time.Duration) ([]communicator.File, []string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	age := time.Since(c.fetched)
	if age > freshFor && c.fetching == nil && c.ctx.Err() == nil {
		c.fetching = make(chan struct{})
		c.wg.Go(c.fetch)
	}
	fetching := c.fetching
	if fetching == nil {
		return c.files, c.lower, c.err
	}
	// Without a list, or with one that nobody has asked for in a while, there is nothing
	// else to do.
	needed := c.files == nil || age > 10*freshFor
	if !needed && wait <= 0 {
		return c.files, c.lower, c.err
	}
	enough := make(<-chan time.Time)
	if !needed {
		enough = time.After(wait)
	}
	c.mu.Unlock()
	select {
	case <-fetching:
	case <-enough:
	case <-ctx.Done():
	}
	c.mu.Lock()
	if ctx.Err() != nil && c.files == nil {
		return nil, nil, cmp.Or(c.err, communicator.ErrNoRing)
	}
	return c.files, c.lower, c.err
}

func (c *Catalog) fetch() {
	files, err := c.ring.Files(c.ctx, "")
	lower := make([]string, len(files))
	for i, f := range files {
		lower[i] = strings.ToLower(f.Name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// A part is better than nothing, and worse than all of it from before.
	if err == nil || len(files) >= len(c.files) {
		c.files, c.lower = files, lower
		if c.files == nil {
			c.files = []communicator.File{}
		}
	}
	if err != nil && len(c.files) == 0 {
		c.files = nil
	}
	c.err, c.fetched = err, time.Now()
	close(c.fetching)
	c.fetching = nil
}

func (c *Catalog) wait() { c.wg.Wait() }
