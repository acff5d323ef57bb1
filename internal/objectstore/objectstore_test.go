package objectstore_test

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/internal/objectstore"
	"github.com/mortise-dev/mortise/internal/objectstore/s3test"
)

// What a Bucket promises is tested by buckettest, against each.

func open(t *testing.T, place string) *objectstore.Bucket {
	t.Helper()
	b, err := objectstore.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for place, want := range map[string]string{
		"":                          "name a directory or a URL",
		file:                        "it is a file",
		"ftp://host/x":              `unknown scheme "ftp"`,
		"file://relative/path":      "without a host",
		"file:///path?x=y":          "without a host or parameters",
		"s3:///prefix":              "names no bucket",
		"s3://bucket/a/../b":        "no key of an object",
		"s3://bucket?secret=hidden": "s3://bucket?secret=***",
		"s3://user:hidden@bucket":   "",
		"s3://u:hidden@b/%zz":       "it is no URL",
	} {
		b, err := objectstore.Open(t.Context(), place)
		if err == nil {
			_ = b.Close()
			if want != "" {
				t.Errorf("%s is opened", place)
			}
			if strings.Contains(b.String(), "hidden") {
				t.Errorf("%s tells its secret: %s", place, b)
			}
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v, want %q", place, err, want)
		}
	}
}

func TestRedact(t *testing.T) {
	for place, want := range map[string]string{
		"dir/a?b=c":              "dir/a?b=c",
		"s3://b/p?region=eu&x=y": "s3://b/p?region=eu&x=***",
		"s3://u:p@b/p":           "s3://%2A%2A%2A@b/p",
		"s3://b?endpoint=http://127.0.0.1:80&anonymous=true": "s3://b?endpoint=http://127.0.0.1:80&anonymous=true",
		"s3://b?endpoint=http://u:p@h:80":                    "s3://b?endpoint=http://***@h:80",
		"s3://b?endpoint=http%3A%2F%2Fu%3Ap%40h":             "s3://b?endpoint=http%3A%2F%2F***%40h",
		"azblob://c?sas=abc":                                 "azblob://c?sas=***",
	} {
		if got := objectstore.Redact(place); got != want {
			t.Errorf("%s: %s, want %s", place, got, want)
		}
	}
}

func TestKeys(t *testing.T) {
	b := open(t, t.TempDir())
	for _, key := range []string{"", ".", "/a", "a/", "../a", "a/../b", "a//b", `a\b`, "a\x00", ".incomplete/a"} {
		_, getting := b.Get(t.Context(), key, 0, 1)
		for what, err := range map[string]error{"Put": b.Put(t.Context(), key, strings.NewReader("")), "Get": getting, "Delete": b.Delete(t.Context(), key)} {
			if err == nil || !strings.Contains(err.Error(), "no key") {
				t.Errorf("%s of %q: %v", what, key, err)
			}
		}
	}
}

// TestDirectoryUnfinished checks what a kill in the middle of a Put leaves: nothing
// that is seen, and nothing for ever.
func TestDirectoryUnfinished(t *testing.T) {
	root := t.TempDir()
	r, w := io.Pipe()
	b := open(t, "file://"+root)
	done := make(chan error)
	go func() { done <- b.Put(t.Context(), "a/b", r) }()
	if _, err := w.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	seen := func() (keys []string) {
		err := open(t, root).List(t.Context(), "", func(key string, _ int64, _ time.Time) error {
			keys = append(keys, key)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	temps := func() []string {
		found, err := filepath.Glob(filepath.Join(root, ".incomplete", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if keys := seen(); len(keys) > 0 {
		t.Errorf("listed while being written: %q", keys)
	}
	unfinished := temps()
	if len(unfinished) != 1 {
		t.Fatalf("unfinished: %q", unfinished)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if keys := seen(); len(keys) != 1 || len(temps()) > 0 {
		t.Errorf("afterwards %q, unfinished %q", keys, temps())
	}
	for name, age := range map[string]time.Duration{"old": 25 * time.Hour, "new": time.Hour} {
		path := filepath.Join(root, ".incomplete", name)
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	open(t, root)
	if left := temps(); len(left) != 1 || filepath.Base(left[0]) != "new" {
		t.Errorf("left: %q", left)
	}
}

func TestDirectoryIsMade(t *testing.T) {
	root := filepath.Join(t.TempDir(), "not", "yet")
	b := open(t, root)
	if err := b.Reach(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(root); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("looking made it: %v", err)
	}
	if err := b.Put(t.Context(), "a", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	r, err := b.Get(t.Context(), "a", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(r); err != nil || string(data) != "x" || r.Close() != nil {
		t.Fatalf("%q, %v", data, err)
	}
}

// TestAdvice checks that errors name the place, and what to do.
func TestAdvice(t *testing.T) {
	server := s3test.Start(t)
	bucket := server.Bucket(t)
	nowhere, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := nowhere.Addr().String()
	if err := nowhere.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		place, secret string
		want          []string
	}{
		{bucket, s3test.Password, nil},
		{bucket, "another", []string{"s3://bucket-", "may not", "AWS_SECRET_ACCESS_KEY"}},
		{"s3://no-such-bucket/p?endpoint=http://" + server.Addr, s3test.Password, []string{"s3://no-such-bucket/p", "make the bucket"}},
		{"s3://b/p?endpoint=http://" + gone, s3test.Password, []string{gone, "can be reached"}},
	} {
		t.Setenv("AWS_SECRET_ACCESS_KEY", c.secret)
		t.Setenv("AWS_MAX_ATTEMPTS", "1")
		err := open(t, c.place).Reach(t.Context())
		if (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", c.place, err)
		}
		for _, want := range c.want {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\nwant %q", c.place, err, want)
			}
		}
	}
}
