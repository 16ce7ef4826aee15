package client

import "testing"

func TestNamesHideNothing(t *testing.T) {
	for name, want := range map[string]string{
		"disk.img": "disk.img", "Größe 1.txt": "Größe 1.txt", "картина": "картина", "שלום.txt": "שלום.txt",
		"photo\u202egnp.exe":         `photo\u202egnp.exe`,
		"a\u2066b\u2069\u200f\ufeff": `a\u2066b\u2069\u200f\ufeff`,
		"line\u2028two":              `line\u2028two`,
		"soft\u00adhyphen":           `soft\u00adhyphen`,
		"tag\U000e0041":              `tag\U000e0041`,
		"می\u200cخواهم 👩\u200d🚀":     "می\u200cخواهم 👩\u200d🚀",
		"\x1b[2J":                    `\x1b[2J`,
	} {
		if got := Visible(name); got != want {
			t.Errorf("%+q is shown as %q, want %q", name, got, want)
		}
	}
}
