package file

import (
	"bytes"
	"context"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// FuzzLoad reads anything as a file: it has rows that are found again, or an error.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{"id,a,b,valid_from,valid_to\nx,1,\"y\"\"z\",5,9\nx,2,,9,\n", `{"id":"x","a":1,"b":"y","valid_from":"2026-01-01","valid_to":null}`, "id\ta\tb\n", "\x1f\x8b", "\"", "{\"id\":1"} {
		for kind := range byte(3) {
			f.Add(kind, []byte(text))
		}
	}
	fields := mortise.Schema{{Name: "a", Type: mortise.Type{Kind: mortise.Int, Nullable: true}}, {Name: "b", Type: mortise.Type{Kind: mortise.String, Nullable: true}}}
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		def := &dimjoin.Definition{Name: "item", Key: []string{"id"}, Fields: fields}
		if kind >= 128 {
			def.History = dimjoin.History{From: "valid_from", To: "valid_to"}
		}
		name := []string{"a.csv", "a.tsv", "a.jsonl"}[kind%3]
		c, err := load(context.Background(), name, fetched{bytes.NewReader(data)}, int64(len(data)), def, &Options{})
		if err != nil {
			return
		}
		if c.rows == 0 || len(c.keys) == 0 {
			t.Fatal("a table without rows")
		}
		for i := range c.keys {
			key, _ := c.key(uint32(i))
			l := dimjoin.Lookup{Key: key, AsOfMS: dimjoin.Latest}
			if c.answer(&l); l.Row == nil && l.Err == nil && !def.History.Kept() {
				t.Fatalf("the key %q is not found", key)
			}
		}
	})
}
