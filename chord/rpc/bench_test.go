package rpc

import (
	"bytes"
	"context"
	"testing"

	"chordtorrent/chord"
)

func benchReply() chord.GetReply {
	var g chord.GetReply
	for range 50 { // a read of a swarm: 50 peers
		g.Fields = append(g.Fields, chord.Field{
			Name:  string(make([]byte, 40)),
			Entry: chord.Entry{Value: make([]byte, 60), Stamp: 1 << 40, Expires: 1 << 40},
		})
	}
	return g
}

func BenchmarkFrameEncode(b *testing.B) {
	for name, msg := range map[string]any{"small": chord.PutReply{Copies: 3}, "peers50": benchReply()} {
		b.Run(name, func(b *testing.B) {
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				out, err := appendFrame(buf[:0], msg, 1, true, 0)
				if err != nil {
					b.Fatal(err)
				}
				buf = out
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

func BenchmarkFrameDecode(b *testing.B) {
	for name, msg := range map[string]any{"small": chord.PutReply{Copies: 3}, "peers50": benchReply()} {
		b.Run(name, func(b *testing.B) {
			in := mustFrame(b, msg, 1, true, 0)
			src := bytes.NewReader(in)
			r := newFrameReader(src)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				src.Reset(in)
				r.br.Reset(src)
				f, err := r.next()
				if err == nil {
					_, err = Decode(f.kind, f.body)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	m := startMember(b, 1)
	c := dialClient(b, m)
	ctx := context.Background()
	call := func() {
		if _, err := c.Call(ctx, chord.AssignID{}); err != nil {
			b.Error(err)
		}
	}
	b.Run("one at a time", func(b *testing.B) {
		for b.Loop() {
			call()
		}
	})
	b.Run("pipelined", func(b *testing.B) {
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				call()
			}
		})
	})
}
