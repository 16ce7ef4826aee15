package node

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// exposition writes metrics in Prometheus' text format, version 0.0.4: per
// family a HELP and a TYPE line, then one line per sample.
type exposition struct{ buf bytes.Buffer }

const expositionType = "text/plain; version=0.0.4; charset=utf-8"

// family begins a family; kind is "counter", "gauge" or "histogram".
func (e *exposition) family(name, kind, help string) {
	fmt.Fprintf(&e.buf, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// sample writes one value; labels are pairs of name and value.
func (e *exposition) sample(name string, value float64, labels ...string) {
	e.buf.WriteString(name)
	for i := 0; i < len(labels); i += 2 {
		if i == 0 {
			e.buf.WriteByte('{')
		} else {
			e.buf.WriteByte(',')
		}
		fmt.Fprintf(&e.buf, `%s="%s"`, labels[i], labelEscaper.Replace(labels[i+1]))
	}
	if len(labels) > 0 {
		e.buf.WriteByte('}')
	}
	e.buf.WriteByte(' ')
	e.buf.WriteString(formatValue(value))
	e.buf.WriteByte('\n')
}

var labelEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func formatValue(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// gauge writes a family of one sample.
func (e *exposition) gauge(name, help string, value float64) {
	e.family(name, "gauge", help)
	e.sample(name, value)
}

// counter writes a family of one sample.
func (e *exposition) counter(name, help string, value float64) {
	e.family(name, "counter", help)
	e.sample(name, value)
}

// histogram writes one series of a histogram whose buckets[i] counts what is
// at most bounds[i]; count is of everything.
func (e *exposition) histogram(name string, bounds []float64, buckets []uint64, count uint64, sum float64, labels ...string) {
	labels = slices.Clone(labels)
	for i, bound := range bounds {
		e.sample(name+"_bucket", float64(buckets[i]), append(labels, "le", formatValue(bound))...)
	}
	e.sample(name+"_bucket", float64(count), append(labels, "le", "+Inf")...)
	e.sample(name+"_sum", sum, labels...)
	e.sample(name+"_count", float64(count), labels...)
}

// WriteTo implements io.WriterTo.
func (e *exposition) WriteTo(w io.Writer) (int64, error) { return e.buf.WriteTo(w) }
