package traffic

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func readAll(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r io.Reader = bytes.NewReader(data)
	switch filepath.Ext(path) {
	case ".gz":
		r, err = gzip.NewReader(r)
	case ".zst":
		r, err = zstd.NewReader(r)
	}
	if err == nil {
		data, err = io.ReadAll(r)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return data
}

func TestWriteFiles(t *testing.T) {
	opts := Hostile()
	opts.Impressions, opts.OrderShare = 30_000, 0
	want := [NumStreams][]byte{}
	var e Event
	for g := newGenerator(t, opts); g.Next(&e); {
		want[e.Stream] = append(append(want[e.Stream], e.Line...), '\n')
	}
	for _, ext := range []string{"jsonl", ".jsonl.gz", "jsonl.zst"} {
		dir := filepath.Join(t.TempDir(), "new", "folder")
		calls := 0
		summary, err := newGenerator(t, opts).WriteFiles(dir, ext, func(*Summary) error { calls++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		for s := range NumStreams {
			got := readAll(t, filepath.Join(dir, s.String()+"."+strings.TrimPrefix(ext, ".")))
			if !bytes.Equal(got, want[s]) || summary.Stream(s).Bytes != int64(len(got)) {
				t.Errorf("%s: %v: %d bytes in the file, %d in the summary, %d generated", ext, s, len(got), summary.Stream(s).Bytes, len(want[s]))
			}
		}
		if calls < 2 {
			t.Errorf("%d calls of progress", calls)
		}
	}
}

func TestWriteFilesLeavesNothingBehind(t *testing.T) {
	dir, stop := t.TempDir(), errors.New("enough")
	g := newGenerator(t, Options{Impressions: 100_000})
	if _, err := g.WriteFiles(dir, "jsonl.zst", func(*Summary) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
	if _, err := newGenerator(t, Options{}).WriteFiles(dir, "csv", nil); err == nil || !strings.Contains(err.Error(), "jsonl.gz") {
		t.Errorf("error %v does not say which extensions there are", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
