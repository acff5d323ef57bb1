package recorded

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func write(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstded(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

// all returns the lines of patterns as "name:number text", and how it ended.
func all(t testing.TB, patterns ...string) ([]string, error) {
	t.Helper()
	f, err := Open(t.Context(), Options{}, patterns...)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var got []string
	for {
		line, err := f.Next()
		if err != nil {
			return got, err
		}
		got = append(got, fmt.Sprintf("%s:%d %s", filepath.Base(line.File), line.Number, line.Data))
	}
}

func wantLines(t testing.TB, got []string, err error, want ...string) {
	t.Helper()
	if !errors.Is(err, io.EOF) {
		t.Errorf("ended with %v, want EOF", err)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLinesOfEveryFormat(t *testing.T) {
	text := []byte("\xef\xbb\xbfone\r\n\n  \t\ntwo\n\r\nthree \xff\x00")
	for name, data := range map[string][]byte{
		"plain": text, "gzip": gzipped(t, text), "zstd": zstded(t, text),
		"gzip of two members":               append(gzipped(t, text[:7]), gzipped(t, text[7:])...),
		"zstd of two frames":                append(zstded(t, text[:7]), zstded(t, text[7:])...),
		"zstd with a skippable frame first": append([]byte{0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 'x', 'y'}, zstded(t, text)...),
	} {
		t.Run(name, func(t *testing.T) {
			// The name says nothing: what the file holds decides.
			got, err := all(t, write(t, t.TempDir(), "f.dat", data))
			wantLines(t, got, err, "f.dat:1 one", "f.dat:4 two", "f.dat:6 three \xff\x00")
		})
	}
}

func TestEmptyFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", nil)
	write(t, dir, "b", gzipped(t, nil))
	write(t, dir, "c", zstded(t, nil))
	write(t, dir, "d", []byte("\n\n"))
	got, err := all(t, filepath.Join(dir, "*"))
	wantLines(t, got, err)
}

func TestPatternsAreSortedAndReadOnce(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.jsonl", "a.jsonl", "c[1].jsonl"} {
		write(t, dir, name, []byte(name+"\n"))
	}
	got, err := all(t, filepath.Join(dir, "b*"), filepath.Join(dir, "?.jsonl"), filepath.Join(dir, "c[1].jsonl"))
	wantLines(t, got, err, "a.jsonl:1 a.jsonl", "b.jsonl:1 b.jsonl", "c[1].jsonl:1 c[1].jsonl")
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "there", []byte("x\n"))
	for pattern, want := range map[string]string{
		filepath.Join(dir, "*.jsonl"): "no file matches",
		filepath.Join(dir, "missing"): "no such file: " + filepath.Join(dir, "missing"),
		filepath.Join(dir, "[a"):      "malformed",
		dir:                           "is a directory",
		filepath.Dir(dir) + "/*":      "is a directory",
	} {
		if _, err := Open(t.Context(), Options{}, filepath.Join(dir, "there"), pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", pattern, err, want)
		}
	}
	if _, err := Open(t.Context(), Options{}); err == nil {
		t.Error("no patterns: no error")
	}
	if _, err := Open(t.Context(), Options{}, filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: got %v, want it to wrap ErrNotExist", err)
	}
}

func TestUnreadableFileIsNamed(t *testing.T) {
	if os.Geteuid() == 0 {
		// Root may read everything; a file that goes away after Open stands in.
		dir := t.TempDir()
		path := write(t, dir, "gone", []byte("x\n"))
		f, err := Open(t.Context(), Options{}, path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Next(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want an error that names %s", err, path)
		}
		return
	}
	path := write(t, t.TempDir(), "secret", []byte("x\n"))
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := all(t, path); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want a permission error that names %s", err, path)
	}
}

func TestForeignFormatsAreNamed(t *testing.T) {
	for data, want := range map[string]string{
		"PAR1xxxx": "Parquet", "BZh91AY&SY": "bzip2", "\xfd7zXZ\x00": "xz", "PK\x03\x04xx": "zip", "Obj\x01xxx": "Avro", "\x04\x22\x4d\x18xx": "lz4",
	} {
		path := write(t, t.TempDir(), "f", []byte(data))
		if _, err := all(t, path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: got %v, want an error with %q and the path", data, err, want)
		}
	}
}

func TestDamagedFiles(t *testing.T) {
	var text []byte
	for i := range 20_000 {
		text = fmt.Appendf(text, "line %d %x\n", i, i*i*7919)
	}
	flipped := gzipped(t, text)
	flipped[len(flipped)/2] ^= 0xff
	whole, z := gzipped(t, text), zstded(t, text)
	for name, data := range map[string][]byte{"cut gzip": whole[:len(whole)/2], "cut zstd": z[:len(z)/2], "flipped gzip": flipped,
		"gzip without its end": whole[:len(whole)-4]} {
		t.Run(name, func(t *testing.T) {
			path := write(t, t.TempDir(), "f", data)
			got, err := all(t, path)
			var damage *ReadError
			if !errors.As(err, &damage) || damage.File != path || damage.Line != int64(len(got)) {
				t.Fatalf("after %d lines: got %v, want a ReadError that names the file and the line", len(got), err)
			}
			if !strings.Contains(err.Error(), fmt.Sprintf("the %d lines before were read", len(got))) {
				t.Errorf("the error does not say how much was read: %v", err)
			}
			if name == "flipped gzip" {
				return // gzip finds that out at the end only
			}
			lines := strings.Split(string(text), "\n")
			for i, line := range got {
				if want := fmt.Sprintf("f:%d %s", i+1, lines[i]); line != want {
					t.Fatalf("line %d: got %q, want %q: a line that was cut off must not come", i+1, line, want)
				}
			}
		})
	}
}

func TestLongLines(t *testing.T) {
	dir := t.TempDir()
	long := bytes.Repeat([]byte("x"), MaxLineBytes)
	path := write(t, dir, "f", append(append([]byte("a\n"), long...), "\r\nb\n"...))
	f, err := Open(t.Context(), Options{}, path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i, want := range []int{1, MaxLineBytes, 1} {
		if line, err := f.Next(); err != nil || len(line.Data) != want {
			t.Fatalf("line %d: got %d bytes, %v, want %d", i+1, len(line.Data), err, want)
		}
	}
	path = write(t, dir, "g", append(append([]byte("a\n"), long...), "xyz\nb\n"...))
	got, err := all(t, path)
	if !errors.Is(err, ErrLineTooLong) || !strings.Contains(err.Error(), path+":2") || len(got) != 1 {
		t.Errorf("3 bytes too many: got %v after %d lines, want ErrLineTooLong at %s:2", err, len(got), path)
	}
}

func TestStdin(t *testing.T) {
	f, err := Open(t.Context(), Options{Stdin: iotest.OneByteReader(bytes.NewReader(gzipped(t, []byte("a\nb"))))}, "-")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a", "b"} {
		if line, err := f.Next(); err != nil || string(line.Data) != want || line.File != "stdin" {
			t.Fatalf("got %q of %q, %v, want %q", line.Data, line.File, err, want)
		}
	}
	if _, err := f.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if _, total := f.Progress(); total != -1 {
		t.Errorf("total of the standard input: got %d, want -1", total)
	}
}

func TestProgressCountsBytesOnDisk(t *testing.T) {
	dir := t.TempDir()
	text := bytes.Repeat([]byte("some line of text\n"), 50_000)
	a, b := write(t, dir, "a", text), write(t, dir, "b", gzipped(t, text))
	f, err := Open(t.Context(), Options{}, a, b)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sizeA, sizeB := openFile(a, nil).sizeBytes, openFile(b, nil).sizeBytes
	if read, total := f.Progress(); read != 0 || total != sizeA+sizeB {
		t.Errorf("before: %d of %d, want 0 of %d", read, total, sizeA+sizeB)
	}
	var last int64
	for {
		if _, err := f.Next(); err != nil {
			break
		}
		read, _ := f.Progress()
		if read < last {
			t.Fatalf("progress went back from %d to %d", last, read)
		}
		last = read
	}
	if read, total := f.Progress(); read != total {
		t.Errorf("at the end: %d of %d", read, total)
	}
}

// FuzzLines compares the reader with a plain split, and expects of compressed
// input no more than that it does not fail otherwise than by an error.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{"", "a\nb\n", "a\r\n\r\nb", "\n\n\n", " \t\n x \n", "\xef\xbb\xbfa\n", "\xef\xbb\xbf", "\x1f\x8b", "(\xb5/\xfd", "PAR1",
		"P*M\x18\x00\x00\x00\x00", "a\rb\n\r", "\u2000", "\x00\n"} {
		f.Add([]byte(seed))
	}
	f.Add(gzipped(f, []byte("a\nb\n")))
	f.Add(zstded(f, []byte("a\nb\n")))
	f.Add(gzipped(f, []byte("a\nb\n"))[:15])
	f.Fuzz(func(t *testing.T, data []byte) {
		files, err := Open(t.Context(), Options{Stdin: bytes.NewReader(data)}, Stdin)
		if err != nil {
			t.Fatal(err)
		}
		defer files.Close()
		var got [][]byte
		var ended error
		for ended == nil {
			var line Line
			if line, ended = files.Next(); ended == nil {
				got = append(got, bytes.Clone(line.Data))
			}
		}
		if !errors.Is(ended, io.EOF) {
			var damage *ReadError
			if !errors.As(ended, &damage) {
				t.Fatalf("ended with %T %v, want a ReadError", ended, ended)
			}
			return
		}
		if bytes.HasPrefix(data, gzipMagic) || bytes.HasPrefix(data, zstdMagic) || isSkippable(data) {
			return
		}
		var want [][]byte
		for line := range bytes.SplitSeq(bytes.TrimPrefix(data, utf8Mark), []byte("\n")) {
			if line = bytes.TrimSuffix(line, []byte("\r")); strings.Trim(string(line), blanks) != "" {
				want = append(want, line)
			}
		}
		if !bytes.Equal(bytes.Join(got, []byte("\n")), bytes.Join(want, []byte("\n"))) || len(got) != len(want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}
