package checkpoint

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/mortise-dev/mortise/joiner/disk"
)

// Version is the format that this package writes, and the only one it reads.
const Version = 1

// ErrDamaged says that a checkpoint does not verify: something of it is missing,
// cut off or altered. An older one may do.
var ErrDamaged = errors.New("checkpoint is damaged")

// ErrNewer says that a checkpoint was written by a newer version of the program.
var ErrNewer = errors.New("checkpoint of a newer version")

// Manifest is one checkpoint: all that is needed to restore the task but the
// bytes, and where these are. It never changes.
type Manifest struct {
	Name      string `json:"checkpoint"`
	Task      string `json:"task"`
	Owner     string `json:"owner,omitempty"` // what the task is of, in words
	CreatedMS int64  `json:"created_ms"`      // by the writer's clock, ms UTC
	Base      string `json:"base,omitempty"`  // the checkpoint that it went on from
	Upload    string `json:"upload"`          // what its own objects' names begin with

	Meta     []byte `json:"meta"` // the owner's; joiner.ParseSnapshot reads it
	Commit   uint64 `json:"commit"`
	NextFile uint32 `json:"next_file"`
	BucketMS int64  `json:"bucket_ms"`
	CoarseMS int64  `json:"coarse_ms"`

	Objects []Object `json:"objects"`
	Files   []File   `json:"files"`
}

// Object is one object of the bucket that holds parts.
type Object struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// File is one segment file.
type File struct {
	Opening hex64  `json:"opening"`
	Number  uint32 `json:"number"`
	Bytes   int64  `json:"bytes"`
	Rows    []byte `json:"rows"`  // the state manifest's, as disk.CapturedFile.AppendRows wrote them
	Parts   []Part `json:"parts"` // one after another from byte 0 on
}

// Part is a run of a file's bytes.
type Part struct {
	Object int   `json:"o"` // index in Manifest.Objects
	Off    int64 `json:"at"`
	Bytes  int64 `json:"n"`
	Sum    hex64 `json:"xxh3"`
}

// hex64 is 64 bits that stand in JSON as 16 digits.
type hex64 uint64

// MarshalText implements encoding.TextMarshaler.
func (h hex64) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(h)), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *hex64) UnmarshalText(text []byte) error {
	var b [8]byte
	if n, err := hex.Decode(b[:], text); err != nil || n != len(b) || len(text) != 16 {
		return fmt.Errorf("%q is not 16 hexadecimal digits", text)
	}
	*h = 0
	for _, c := range b {
		*h = *h<<8 | hex64(c)
	}
	return nil
}

// TotalBytes is what the checkpoint stands for.
func (m *Manifest) TotalBytes() (n int64) {
	for i := range m.Files {
		n += m.Files[i].Bytes
	}
	return n
}

// NewBytes is what was copied for it; the rest earlier checkpoints had copied.
func (m *Manifest) NewBytes() (n int64) {
	for _, o := range m.Objects {
		if uploadOf(o.Name) == m.Upload {
			n += o.Bytes
		}
	}
	return n
}

func (m *Manifest) head() disk.Head {
	return disk.Head{Meta: m.Meta, Commit: m.Commit, NextFile: m.NextFile, BucketMS: m.BucketMS, CoarseMS: m.CoarseMS}
}

func (m *Manifest) id(i int) disk.FileID {
	return disk.FileID{Opening: uint64(m.Files[i].Opening), Number: m.Files[i].Number}
}

// The first line says what it is, and verifies the rest; every format keeps it.
const magic = "mortise-checkpoint"

func firstLine(version int, body []byte) string {
	line := fmt.Sprintf("%s %d %d ", magic, version, len(body))
	h := xxh3.New()
	_, _ = h.WriteString(line) // never fails
	_, _ = h.Write(body)
	return fmt.Sprintf("%s%016x\n", line, h.Sum64())
}

// Encode returns the object that the manifest is stored as: a line with the
// version, the length and the checksum of what follows, which is JSON.
func (m *Manifest) Encode() ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding checkpoint %s: %w", m.Name, err)
	}
	return append([]byte(firstLine(Version, body)), body...), nil
}

// ParseManifest reads what Encode wrote. Errors wrap ErrDamaged or ErrNewer.
func ParseManifest(data []byte) (*Manifest, error) {
	line, body, ok := bytes.Cut(data, []byte("\n"))
	var version int
	if _, err := fmt.Sscanf(string(line), magic+" %d", &version); err != nil || !ok {
		return nil, fmt.Errorf("%.40q is not a checkpoint's first line: %w", line, ErrDamaged)
	}
	if string(line)+"\n" != firstLine(version, body) {
		return nil, fmt.Errorf("length or checksum of %d bytes is not what the first line says: %w", len(body), ErrDamaged)
	}
	if version != Version {
		return nil, fmt.Errorf("it has format %d, and this build reads %d: use the build that wrote it, or a newer one: %w", version, Version, ErrNewer)
	}
	m := &Manifest{}
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrDamaged)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrDamaged)
	}
	return m, nil
}

// check makes sure that nothing in it points outside.
func (m *Manifest) check() error {
	if _, ok := sequenceOf(m.Name); !ok {
		return fmt.Errorf("its name is %.80q", m.Name)
	}
	for _, o := range m.Objects {
		if uploadOf(o.Name) == "" || o.Bytes < 0 || strings.Contains(o.Name, "/") {
			return fmt.Errorf("object %.80q of %d bytes", o.Name, o.Bytes)
		}
	}
	for i := range m.Files {
		f, end := &m.Files[i], int64(0)
		for _, p := range f.Parts {
			if p.Object < 0 || p.Object >= len(m.Objects) || p.Off < 0 || p.Bytes <= 0 || p.Bytes > m.Objects[p.Object].Bytes || p.Off > m.Objects[p.Object].Bytes-p.Bytes {
				return fmt.Errorf("file %d has a part outside of its object", f.Number)
			}
			if end += p.Bytes; end > f.Bytes {
				break
			}
		}
		if end != f.Bytes {
			return fmt.Errorf("file %d has %d bytes, its parts %d", f.Number, f.Bytes, end)
		}
	}
	return nil
}
