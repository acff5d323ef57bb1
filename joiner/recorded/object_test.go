package recorded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bucket is a Store in memory that fails as it is told to.
type bucket struct {
	mu       sync.Mutex
	objects  map[string][]byte
	modified map[string]time.Time
	fail     func() error                   // before a call
	cut      func(body io.Reader) io.Reader // of a body
	gets     int
	places   []string // that it was opened as
}

func (b *bucket) options() Options {
	return Options{sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		OpenStore: func(_ context.Context, place string) (Store, error) {
			b.places = append(b.places, place)
			return b, nil
		}}
}

func (b *bucket) Get(_ context.Context, key string, off, length int64) (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gets++
	if b.fail != nil {
		if err := b.fail(); err != nil {
			return nil, err
		}
	}
	data, ok := b.objects[key]
	if !ok {
		return nil, fmt.Errorf("reading %s: %w", key, fs.ErrNotExist)
	}
	data = data[min(off, int64(len(data))):]
	if length >= 0 {
		data = data[:min(length, int64(len(data)))]
	}
	var body io.Reader = bytes.NewReader(data)
	if b.cut != nil {
		body = b.cut(body)
	}
	return io.NopCloser(body), nil
}

func (b *bucket) List(_ context.Context, prefix string, each func(string, int64, time.Time) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		if err := b.fail(); err != nil {
			return err
		}
	}
	var keys []string
	for key := range b.objects {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		if err := each(key, int64(len(b.objects[key])), b.modified[key]); err != nil {
			return err
		}
	}
	return nil
}

var errDenied = errors.New("denied")

func (b *bucket) Permanent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errDenied)
}

func TestObjectsByPattern(t *testing.T) {
	b := &bucket{objects: map[string][]byte{}}
	for _, key := range []string{"in/a.jsonl", "in/b.jsonl.gz", "in/dt=1/x.jsonl", "in/dt=2/h=1/x.jsonl", "in/dt=2/_SUCCESS", "in/_tmp/y.jsonl", "in/dt=2/.x.jsonl.crc",
		"mixed/a.jsonl", "mixed/notes.txt", "same", "same/a.jsonl", "in2/c.jsonl", "bare/_x"} {
		b.objects[key] = []byte(key + "\n")
	}
	b.objects["in/b.jsonl.gz"] = gzipped(t, []byte("b\n"))
	b.objects["in/folder/"] = nil
	for pattern, want := range map[string]string{
		"s3://b/in/a.jsonl":             "in/a.jsonl",
		"s3://b/in/*":                   "in/a.jsonl in/b.jsonl.gz",
		"s3://b/in/*.jsonl?region=x":    "in/a.jsonl",
		"s3://b/in/**/*.jsonl":          "in/a.jsonl in/dt=1/x.jsonl in/dt=2/h=1/x.jsonl",
		"s3://b/in/dt=[2-9]/**":         "in/dt=2/h=1/x.jsonl",
		"s3://b/in/dt=*/**/x.jsonl":     "in/dt=1/x.jsonl in/dt=2/h=1/x.jsonl",
		"s3://b/in":                     "in/a.jsonl in/b.jsonl.gz in/dt=1/x.jsonl in/dt=2/h=1/x.jsonl",
		"s3://b/in/":                    "in/a.jsonl in/b.jsonl.gz in/dt=1/x.jsonl in/dt=2/h=1/x.jsonl",
		"s3://b/in/_tmp/*":              "in/_tmp/y.jsonl",
		"s3://b/same":                   "same",
		"s3://user:secret@b/in/a.jsonl": "in/a.jsonl",
		"s3://b/gone.jsonl":             "!no such object: s3://b/gone.jsonl",
		"s3://b/in/*.csv":               "!no object matches s3://b/in/*.csv",
		"s3://b/in/[a":                  "!malformed",
		"s3://b/mixed":                  "!s3://b/mixed is a directory, and holds s3://b/mixed/notes.txt, which is no data file",
	} {
		f, err := Open(t.Context(), b.options(), pattern)
		if problem, ok := strings.CutPrefix(want, "!"); ok {
			if err == nil || !strings.Contains(err.Error(), problem) {
				t.Errorf("%s: got %v, want %q", pattern, err, problem)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		var got []string
		for _, path := range f.Paths() {
			got = append(got, strings.TrimPrefix(path, "s3://b/"))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, want %s", pattern, got, want)
		}
	}
	if !slices.Contains(b.places, "s3://b?region=x") {
		t.Errorf("opened as %q, want parameters to be passed on", b.places)
	}
	if _, err := Open(t.Context(), Options{}, "s3://b/x"); err == nil || !strings.Contains(err.Error(), "not read here") {
		t.Errorf("without a store: %v", err)
	}
}

// TestObjectsThroughTrouble reads objects whose store fails at random: every
// line comes once.
func TestObjectsThroughTrouble(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var text []byte
	for i := range 60_000 {
		text = fmt.Appendf(text, "line %d %x\n", i, rng.Uint64())
	}
	for name, data := range map[string][]byte{"a.jsonl": text, "a.jsonl.gz": gzipped(t, text), "a.jsonl.zst": zstded(t, text)} {
		b := &bucket{objects: map[string][]byte{name: data}}
		b.fail = func() error {
			if rng.IntN(20) == 0 {
				return errors.New("500 Internal Server Error")
			}
			return nil
		}
		b.cut = func(body io.Reader) io.Reader {
			if rng.IntN(3) > 0 {
				return io.LimitReader(body, rng.Int64N(200_000)) // the connection ends well, but too early
			}
			return io.MultiReader(io.LimitReader(body, rng.Int64N(300_000)), brokenReader{})
		}
		list := b.fail
		b.fail = nil
		f, err := Open(t.Context(), b.options(), "s3://b/"+name)
		if err != nil {
			t.Fatal(err)
		}
		b.fail = list
		var got []byte
		for {
			line, err := f.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(append(got, line.Data...), '\n')
		}
		if !bytes.Equal(got, text) {
			t.Fatalf("%s: %d bytes came, %d were written", name, len(got), len(text))
		}
		if read, total := f.Progress(); read != total {
			t.Errorf("progress %d of %d", read, total)
		}
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("connection reset by peer") }

func TestObjectsThatVanish(t *testing.T) {
	text := bytes.Repeat([]byte("a line of some length\n"), 200_000)
	for name, c := range map[string]struct {
		trouble func(b *bucket)
		want    []string
		gets    int
	}{
		"the store is gone": {func(b *bucket) { b.fail = func() error { return errors.New("no route to host") } },
			[]string{"the object cannot be read on", "9 times in vain", "no route to host", "see that the store can be reached"}, 9},
		"access is gone": {func(b *bucket) { b.fail = func() error { return errDenied } }, []string{"denied", "2 times in vain"}, 1},
		"deleted":        {func(b *bucket) { clear(b.objects) }, []string{"it was replaced or deleted while it was read"}, 1},
		"replaced": {func(b *bucket) { b.objects["a.jsonl"] = append(bytes.Clone(text), "x\n"...) },
			[]string{"the object is not the one that it was", "it was replaced or deleted while it was read"}, 1},
		"replaced by another of its size": {func(b *bucket) { b.modified = map[string]time.Time{"a.jsonl": time.Unix(5, 0)} },
			[]string{"the object is not the one that it was"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bucket{objects: map[string][]byte{"a.jsonl": text}}
			b.cut = func(body io.Reader) io.Reader {
				return io.MultiReader(io.LimitReader(body, 1<<20), brokenReader{})
			}
			f, err := Open(t.Context(), b.options(), "s3://b/a.jsonl")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			_, err = f.Next()
			b.mu.Lock()
			b.gets = 0
			c.trouble(b)
			b.mu.Unlock()
			lines := 1
			for err == nil {
				if _, err = f.Next(); err == nil {
					lines++
				}
			}
			var fault *ReadError
			if !errors.As(err, &fault) || fault.File != "s3://b/a.jsonl" || fault.Line != int64(lines) {
				t.Fatalf("after %d lines: %v", lines, err)
			}
			for _, want := range append(c.want, "at byte 1048576 of 4400000") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v\nwant %q", err, want)
				}
			}
			if b.gets > c.gets {
				t.Errorf("%d tries, want %d at most", b.gets, c.gets)
			}
		})
	}
}

// TestCloseEndsWhatIsUnderWay closes a reader while its store, read ahead, does
// not answer.
func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		o := &object{sizeBytes: 1 << 20, permanent: func(error) bool { return false }, sleep: SystemClock{}.Sleep,
			session: func() (context.Context, context.CancelFunc) { return context.WithCancel(t.Context()) },
			look:    func(context.Context) (int64, time.Time, error) { return 1 << 20, time.Time{}, nil },
			fetch: func(ctx context.Context, _, _ int64) (io.ReadCloser, error) {
				if asked++; asked == 1 {
					return io.NopCloser(bytes.NewReader(make([]byte, aheadBlockBytes+1))), nil
				}
				<-ctx.Done()
				return nil, ctx.Err()
			}}
		r, err := o.open(0)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{aheadBlockBytes, 1} {
			if _, err := io.ReadFull(r, make([]byte, n)); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(time.Minute)
		if err := r.Close(); err != nil || asked != 2 {
			t.Fatalf("asked %d times, %v", asked, err)
		}
	})
}
