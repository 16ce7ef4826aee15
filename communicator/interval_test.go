package communicator

import (
	"testing"
	"time"
)

func TestIntervalGrowsFromSecondsToMinutes(t *testing.T) {
	for _, c := range []struct {
		what string
		p    pace
		want time.Duration
	}{
		{"first announce", pace{}, 5 * time.Second},
		{"50 peers started together", pace{swarm: 50, age: time.Minute}, 5 * time.Second},
		{"still young at 2 min", pace{swarm: 10, age: 2 * time.Minute}, 5 * time.Second},
		{"after 10 min", pace{swarm: 10, age: 10 * time.Minute}, 25 * time.Second},
		{"a leecher after hours", pace{swarm: 10, age: 5 * time.Hour}, 3 * time.Minute},
		{"a seeder after hours", pace{swarm: 10, age: 5 * time.Hour, seeder: true}, 5 * time.Minute},
		{"a seeder that nobody wants, at its second announce", pace{swarm: 1, age: 5 * time.Second, seeder: true, unwanted: true}, 2 * time.Minute},
		{"one for hours", pace{swarm: 1, age: 5 * time.Hour, seeder: true, unwanted: true}, 5 * time.Minute},
		{"one of 1,000 in this process", pace{swarm: 1, age: 5 * time.Second, seeder: true, unwanted: true, seats: 1000}, 2 * time.Minute},
		{"one of 40,000", pace{swarm: 1, age: 5 * time.Hour, seeder: true, unwanted: true, seats: 40_000}, 400 * time.Second},
		{"one of 200,000", pace{swarm: 1, age: 5 * time.Hour, seeder: true, unwanted: true, seats: 200_000}, 15 * time.Minute},
		{"a wanted one of 200,000", pace{swarm: 2, age: time.Minute, seeder: true, seats: 200_000}, 5 * time.Second},
		{"1,000 peers, young", pace{swarm: 1000, age: time.Minute}, 50 * time.Second},
		{"a crowd without end", pace{swarm: 1e9, age: time.Minute}, 15 * time.Minute},
		{"new and alone", pace{age: 10 * time.Second, alone: true}, 2 * time.Second},
		{"alone for long", pace{age: 10 * time.Minute, alone: true}, 25 * time.Second},
	} {
		if got := c.p.interval(0.5); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
		if low, high := c.p.interval(0), c.p.interval(0.999999); low < c.want*79/100 || high > c.want*121/100 || low >= high {
			t.Errorf("%s: spread from %v to %v around %v", c.what, low, high, c.want)
		}
	}
}

func TestLifetimeOutlivesALostAnnounce(t *testing.T) {
	if got := lifetime(5 * time.Second); got != 15*time.Second {
		t.Errorf("5 s: %v", got)
	}
	if got := lifetime(time.Minute); got != 132*time.Second {
		t.Errorf("1 min: %v", got)
	}
}
