package dataset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// manifest is what an intent and a done marker say: a part, with all its files.
type manifest struct {
	Format int            `json:"format"`
	Origin string         `json:"origin"`
	From   int64          `json:"from"`
	To     int64          `json:"to"`
	Files  []manifestFile `json:"files"`
}

type manifestFile struct {
	Key    string `json:"key"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	MinMS  int64  `json:"min_event_time"`
	MaxMS  int64  `json:"max_event_time"`
}

// formatVersion is that of all objects below _mortise.
const formatVersion = 1

func (m *manifest) encode() []byte { return encode(m) }

func encode(v any) []byte {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // strings and numbers cannot fail
	}
	return append(data, '\n')
}

// parseManifest reads a manifest that lies where at says.
func parseManifest(data []byte, at marker) (*manifest, error) {
	var m manifest
	if err := parse(data, &m, &m.Format); err != nil {
		return nil, err
	}
	if m.Origin != at.origin || m.From != at.from {
		return nil, fmt.Errorf("it is of %s from %d", m.Origin, m.From)
	}
	if m.To <= m.From {
		return nil, fmt.Errorf("it ends at %d, where it begins", m.To)
	}
	for i, f := range m.Files {
		name := fileKey("", m.Origin, m.From, m.To)
		folder, isOurs := strings.CutSuffix(f.Key, name)
		if !isOurs || folder != "" && !folderPattern.MatchString(folder) || f.Rows < 1 || f.Bytes < 1 || f.MaxMS < f.MinMS {
			return nil, fmt.Errorf("its file %q, of %d rows and %d bytes, is none of this part", f.Key, f.Rows, f.Bytes)
		}
		if i > 0 && m.Files[i-1].Key >= f.Key {
			return nil, fmt.Errorf("its files are not in order")
		}
	}
	return &m, nil
}

// parse reads JSON strictly: what another version has written is not guessed at.
func parse(data []byte, into any, format *int) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if *format > formatVersion {
		return fmt.Errorf("it is of format %d, which this version does not know: use the one that wrote it, or a newer one", *format)
	}
	if err != nil {
		return err
	}
	if *format != formatVersion {
		return fmt.Errorf("it says no format")
	}
	return nil
}

// info is the part that the manifest describes.
func (m *manifest) info() PartInfo {
	p := PartInfo{Origin: m.Origin, Range: Range{m.From, m.To}}
	for _, f := range m.Files {
		p.Rows += f.Rows
		p.Bytes += f.Bytes
		p.Files = append(p.Files, FileInfo(f))
	}
	return p
}

// rowsDiffer says in what two descriptions of one part differ, besides how its
// rows are encoded; empty when in nothing.
func (m *manifest) rowsDiffer(other *manifest) string {
	for i := range max(len(m.Files), len(other.Files)) {
		switch {
		case i >= len(m.Files):
			return fmt.Sprintf("%s had %d rows and has none now", other.Files[i].Key, other.Files[i].Rows)
		case i >= len(other.Files):
			return fmt.Sprintf("%s had no rows and has %d now", m.Files[i].Key, m.Files[i].Rows)
		}
		a, b := m.Files[i], other.Files[i]
		if a.Key != b.Key || a.Rows != b.Rows || a.MinMS != b.MinMS || a.MaxMS != b.MaxMS {
			return fmt.Sprintf("%s had %d rows of event times %d to %d, and %s has %d of %d to %d now", b.Key, b.Rows, b.MinMS, b.MaxMS, a.Key, a.Rows, a.MinMS, a.MaxMS)
		}
	}
	return ""
}
