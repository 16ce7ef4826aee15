package communicator

import "testing"

// What is in a .torrent and unknown here is handed on, in the order of its keys.
func TestUnknownKeysOfATorrentStay(t *testing.T) {
	const info = "4:infod6:lengthi0e4:name1:n12:piece lengthi16384e6:pieces0:5:thingi1ee"
	got, err := WithTrackers([]byte("d8:announce8:http://t3:fool3:bari-1ee"+info+"8:url-list8:http://we"), [][]string{{"http://n"}})
	if want := "d8:announce8:http://n13:announce-listll8:http://nel8:http://tee3:fool3:bari-1ee" + info + "8:url-list8:http://we"; string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}
