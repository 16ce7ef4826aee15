package communicator

import (
	"testing"
	"time"
)

func TestIntervalGrowsFromSecondsToMinutes(t *testing.T) {
	for _, c := range []struct {
		what string
		p    Pace
		want time.Duration
	}{
		{"first announce", Pace{}, 5 * time.Second},
		{"50 peers started together", Pace{Swarm: 50, Age: time.Minute}, 5 * time.Second},
		{"still young at 2 min", Pace{Swarm: 10, Age: 2 * time.Minute}, 5 * time.Second},
		{"after 10 min", Pace{Swarm: 10, Age: 10 * time.Minute}, 25 * time.Second},
		{"a leecher after hours", Pace{Swarm: 10, Age: 5 * time.Hour}, 3 * time.Minute},
		{"a seeder after hours", Pace{Swarm: 10, Age: 5 * time.Hour, Seeder: true}, 5 * time.Minute},
		{"a seeder that nobody wants, at its second announce", Pace{Swarm: 1, Age: 5 * time.Second, Seeder: true, Unwanted: true}, 2 * time.Minute},
		{"one for hours", Pace{Swarm: 1, Age: 5 * time.Hour, Seeder: true, Unwanted: true}, 5 * time.Minute},
		{"one of five in this process", Pace{Swarm: 1, Age: 5 * time.Second, Seeder: true, Unwanted: true, Seats: 5}, 15 * time.Second},
		{"one of 100", Pace{Swarm: 1, Age: 5 * time.Second, Seeder: true, Unwanted: true, Seats: 100}, time.Minute},
		{"one of 1,000 in this process", Pace{Swarm: 1, Age: 5 * time.Second, Seeder: true, Unwanted: true, Seats: 1000}, 2 * time.Minute},
		{"one of 40,000", Pace{Swarm: 1, Age: 5 * time.Hour, Seeder: true, Unwanted: true, Seats: 40_000}, 400 * time.Second},
		{"one of 200,000", Pace{Swarm: 1, Age: 5 * time.Hour, Seeder: true, Unwanted: true, Seats: 200_000}, 15 * time.Minute},
		{"a wanted one of 200,000", Pace{Swarm: 2, Age: time.Minute, Seeder: true, Seats: 200_000}, 5 * time.Second},
		{"1,000 peers, young", Pace{Swarm: 1000, Age: time.Minute}, 50 * time.Second},
		{"a crowd without end", Pace{Swarm: 1e9, Age: time.Minute}, 15 * time.Minute},
		{"new and alone", Pace{Age: 10 * time.Second, Needs: true}, 2 * time.Second},
		{"new, with few others", Pace{Swarm: 7, Needs: true, Known: enough - 1}, 2 * time.Second},
		{"new, with enough", Pace{Swarm: 9, Needs: true, Known: enough}, 5 * time.Second},
		{"few others for a while", Pace{Swarm: 2, Age: 6 * time.Second, Needs: true, Known: 1}, 5 * time.Second},
		{"alone for long", Pace{Age: 10 * time.Minute, Needs: true}, 25 * time.Second},
	} {
		if got := c.p.Interval(0.5); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
		if low, high := c.p.Interval(0), c.p.Interval(0.999999); low < c.want*79/100 || high > c.want*121/100 || low >= high {
			t.Errorf("%s: spread from %v to %v around %v", c.what, low, high, c.want)
		}
	}
}

func TestLifetimeOutlivesALostAnnounce(t *testing.T) {
	if got := Lifetime(5 * time.Second); got != 15*time.Second {
		t.Errorf("5 s: %v", got)
	}
	if got := Lifetime(time.Minute); got != 132*time.Second {
		t.Errorf("1 min: %v", got)
	}
}
