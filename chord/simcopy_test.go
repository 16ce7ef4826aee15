package chord

import (
	"fmt"
	"hash/crc32"
	"reflect"
)

// traceHash sums up a run: everything sent, delivered and stored, and when.
type traceHash uint64

func (h *traceHash) note(values ...uint64) {
	if h == nil {
		return
	}
	for _, v := range values {
		*h = (*h^traceHash(v))*0x100000001b3 + 0x9e3779b97f4a7c15
	}
}

var traceTable = crc32.MakeTable(crc32.Castagnoli)

func (h *traceHash) bytes(b []byte) {
	if h != nil {
		h.note(uint64(len(b)), uint64(crc32.Checksum(b, traceTable)))
	}
}

func (h *traceHash) text(s string) {
	if h != nil {
		h.bytes([]byte(s))
	}
}

// copyBody does what the wire does: the receiver gets its own copy, in which
// an empty list and none are the same, of a struct of plain types.
func copyBody(b Body, h *traceHash) (Body, int) {
	v := reflect.ValueOf(b)
	if v.Kind() != reflect.Struct {
		panic(fmt.Sprintf("a message body is a struct by value, not %T", b))
	}
	h.text(v.Type().Name())
	size := 64
	out := copyValue(v, h, &size).Interface().(Body)
	return out, size
}

func copyValue(v reflect.Value, h *traceHash, size *int) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				panic(fmt.Sprintf("%v.%s does not travel: it is not exported", v.Type(), v.Type().Field(i).Name))
			}
			out.Field(i).Set(copyValue(v.Field(i), h, size))
		}
	case reflect.Slice:
		h.note(uint64(v.Len()))
		if v.Len() == 0 {
			return out
		}
		out = reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		if v.Type().Elem().Kind() == reflect.Uint8 {
			reflect.Copy(out, v)
			h.bytes(v.Bytes())
			*size += v.Len()
			return out
		}
		for i := range v.Len() {
			out.Index(i).Set(copyValue(v.Index(i), h, size))
		}
	case reflect.Array:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			panic(fmt.Sprintf("%v does not travel", v.Type()))
		}
		out.Set(v)
		h.bytes(out.Bytes())
		*size += v.Len()
	case reflect.String:
		h.text(v.String())
		*size += v.Len()
		out.SetString(v.String())
	case reflect.Bool:
		if v.Bool() {
			h.note(1)
		}
		out.SetBool(v.Bool())
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Int16, reflect.Int8:
		h.note(uint64(v.Int()))
		*size += 4
		out.SetInt(v.Int())
	case reflect.Uint, reflect.Uint64, reflect.Uint32, reflect.Uint16, reflect.Uint8:
		h.note(v.Uint())
		*size += 4
		out.SetUint(v.Uint())
	default:
		panic(fmt.Sprintf("%v does not travel: messages hold plain types only", v.Type()))
	}
	return out
}
