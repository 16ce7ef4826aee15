package wire

// Printable makes the words of somebody else fit for a log or a terminal: at most so many
// characters, and a dot for what is none.
func Printable(s string, most int) string {
	out := make([]rune, 0, min(len(s), most))
	for _, r := range s {
		if len(out) == most {
			break
		}
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0xfffd {
			r = '.'
		}
		out = append(out, r)
	}
	return string(out)
}
