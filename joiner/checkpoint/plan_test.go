package checkpoint

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mortise-dev/mortise/joiner/disk"
)

// TestPlan lets files grow and go at random, and holds every plan to its bounds:
// each byte once, not many parts, objects mostly needed, little copied twice.
func TestPlan(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		opts := Options{ObjectBytes: 64 << 10, PartBytes: 16 << 10, MaxParts: 4, MaxObjects: 10}
		opts.EnsureDefaults()
		var files []disk.CapturedFile
		k := newKnown()
		number, objects := uint32(0), 0
		var grown, copied int64
		for round := range 200 {
			for range r.IntN(4) {
				number++
				files = append(files, disk.CapturedFile{ID: disk.FileID{Opening: 1, Number: number}})
			}
			for i := range files {
				if r.IntN(3) == 0 || files[i].LengthBytes == 0 {
					n := 1 + r.Int64N(4000)
					files[i].LengthBytes += n
					grown += n
				}
			}
			if len(files) > 30 {
				files = files[r.IntN(5):]
			}
			p := newPlan(files, k)
			p.tidy(&opts)
			for _, pack := range p.packs(&opts) {
				objects++
				name, size := fmt.Sprintf("w.00.1.%06d", objects), int64(0)
				for _, pc := range pack {
					if pc.off != size {
						t.Fatalf("seed %d, round %d: a part at %d of an object of %d", seed, round, pc.off, size)
					}
					size += pc.bytes
				}
				if size > opts.ObjectBytes {
					t.Fatalf("seed %d, round %d: an object of %d bytes", seed, round, size)
				}
				for _, pc := range pack {
					pc.object = name
				}
				p.objects[name] = size
				copied += size
			}
			next := newKnown()
			live := map[string]int64{}
			for i, pieces := range p.files {
				at, small := int64(0), 0
				for _, pc := range pieces {
					if pc.from != at || pc.bytes <= 0 || pc.bytes > opts.PartBytes || pc.object == "" {
						t.Fatalf("seed %d, round %d: %+v follows byte %d", seed, round, pc, at)
					}
					if at += pc.bytes; pc.bytes < opts.PartBytes/2 {
						small++
					}
					live[pc.object] += pc.bytes
					next.add(files[i].ID, pc.placed, p.objects[pc.object])
				}
				if at != files[i].LengthBytes || small > opts.MaxParts+len(pieces)-small+1 {
					t.Fatalf("seed %d, round %d: %d of %d bytes in %d parts, %d of them small", seed, round, at, files[i].LengthBytes, len(pieces), small)
				}
			}
			smallObjects := 0
			for name, bytes := range live {
				if bytes*4 < p.objects[name] {
					t.Fatalf("seed %d, round %d: of object %s only %d of %d bytes are needed", seed, round, name, bytes, p.objects[name])
				}
				if p.objects[name] < opts.ObjectBytes/2 {
					smallObjects++
				}
			}
			if smallObjects > opts.MaxObjects+2 {
				t.Fatalf("seed %d, round %d: %d small objects", seed, round, smallObjects)
			}
			k = next
		}
		if copied > 4*grown {
			t.Errorf("seed %d: %d bytes copied of %d", seed, copied, grown)
		}
	}
}

func TestNames(t *testing.T) {
	for _, task := range []string{"", "a", "mortise.feed-ctr/3", "..", ".", "A b", "ü", "~", "a~2f"} {
		if got, ok := unescape(escape(task)); !ok || got != task {
			t.Errorf("%q is %q, and back %q, %v", task, escape(task), got, ok)
		}
	}
	for _, folder := range []string{"A", "~", "~2", "~zz", "~61", ".a"} {
		if task, ok := unescape(folder); ok {
			t.Errorf("%q is taken for the folder of %q", folder, task)
		}
	}
	if a, b := manifestName(9, "w.00"), manifestName(10, "a.00"); a >= b {
		t.Errorf("%s sorts behind %s", a, b)
	}
	if got := plainName("Host-1.example.com, and very long"); got != "host_1_example_com__and_" {
		t.Errorf("%q", got)
	}
}
