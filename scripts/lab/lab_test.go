package lab

import (
	"slices"
	"testing"
)

func TestWhatHostsHaveReceivedIsWhatTheSwitchHasSentThem(t *testing.T) {
	text := `[{"ifname":"lo","stats64":{"rx":{"bytes":1},"tx":{"bytes":1}}},{"ifname":"br0","stats64":{"tx":{"bytes":2}}},
		{"ifname":"p1","stats64":{"rx":{"bytes":3},"tx":{"bytes":4}}},{"ifname":"p0","stats64":{"tx":{"bytes":5}}},{"ifname":"p7","stats64":{"tx":{"bytes":6}}}]`
	if got, err := received([]byte(text), 3); err != nil || !slices.Equal(got, []int64{5, 4, 0}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := received([]byte("Object \"-j\" is unknown"), 3); err == nil {
		t.Error("what is no JSON is taken for it")
	}
}
