package checkpoint

import (
	"cmp"
	"slices"

	"github.com/mortise-dev/mortise/joiner/disk"
)

// placed is a part that lies in the bucket.
type placed struct {
	object string
	off    int64 // in the object
	from   int64 // in the file
	bytes  int64
	sum    uint64
}

// known are the parts that a new checkpoint may name, by file and first byte.
type known struct {
	parts   map[disk.FileID]map[int64]placed
	objects map[string]int64 // their sizes
}

func newKnown() *known {
	return &known{parts: map[disk.FileID]map[int64]placed{}, objects: map[string]int64{}}
}

// add makes a part known; of two that begin alike the longer one counts.
func (k *known) add(id disk.FileID, p placed, objectBytes int64) {
	if k.parts[id] == nil {
		k.parts[id] = map[int64]placed{}
	}
	if k.parts[id][p.from].bytes < p.bytes {
		k.parts[id][p.from] = p
		k.objects[p.object] = objectBytes
	}
}

func (k *known) addManifest(m *Manifest) {
	for i := range m.Files {
		from := int64(0)
		for _, p := range m.Files[i].Parts {
			o := m.Objects[p.Object]
			k.add(m.id(i), placed{o.Name, p.Off, from, p.Bytes, uint64(p.Sum)}, o.Bytes)
			from += p.Bytes
		}
	}
}

// piece is a run of a file's bytes in a checkpoint being made: there already, or
// to be copied.
type piece struct {
	placed // object is empty while it is to be copied
	file   int
}

// plan says of what each file of a capture is made up, in order.
type plan struct {
	files   [][]piece
	lengths []int64 // of the files
	objects map[string]int64
}

// newPlan keeps what is known of each file, from its start on, and copies the rest.
func newPlan(files []disk.CapturedFile, k *known) *plan {
	p := &plan{files: make([][]piece, len(files)), lengths: make([]int64, len(files)), objects: k.objects}
	for i := range files {
		length, at := files[i].LengthBytes, int64(0)
		p.lengths[i] = length
		for {
			part, ok := k.parts[files[i].ID][at]
			if !ok || at+part.bytes > length {
				break
			}
			p.files[i] = append(p.files[i], piece{part, i})
			at += part.bytes
		}
		if at < length {
			p.files[i] = append(p.files[i], piece{placed{from: at, bytes: length - at}, i})
		}
	}
	return p
}

// tidy copies anew what would make a restore slow or the bucket large: tails of
// files in many parts, the remains of objects of which little is still used, and
// small objects where there are too many.
func (p *plan) tidy(o *Options) {
	for i := range p.files {
		p.files[i] = joinTail(p.files[i], o)
	}
	live := map[string]int64{}
	for _, pieces := range p.files {
		for _, pc := range pieces {
			if pc.object != "" {
				live[pc.object] += pc.bytes
			}
		}
	}
	again := map[string]bool{}
	var rest []string
	for name, bytes := range live {
		if bytes*4 < p.objects[name] {
			again[name] = true
		} else if p.objects[name] < o.ObjectBytes/2 {
			rest = append(rest, name)
		}
	}
	if len(rest) > o.MaxObjects {
		slices.SortFunc(rest, func(a, b string) int { return cmp.Or(cmp.Compare(live[a], live[b]), cmp.Compare(a, b)) })
		for _, name := range rest[:len(rest)-o.MaxObjects/2] {
			again[name] = true
		}
	}
	for _, pieces := range p.files {
		for i := range pieces {
			if again[pieces[i].object] {
				pieces[i].placed = placed{from: pieces[i].from, bytes: pieces[i].bytes}
			}
		}
	}
}

// joinTail bounds the pieces of a file: where they are too many, the last is
// copied together with those before it that are no larger than what was joined so
// far. A file that grows n times is so copied log n times.
func joinTail(pieces []piece, o *Options) []piece {
	small := 0
	for _, pc := range pieces {
		if pc.bytes < o.PartBytes/2 {
			small++
		}
	}
	if small <= o.MaxParts {
		return pieces
	}
	n := len(pieces) - 1
	joined := pieces[n].bytes
	for n > 0 && pieces[n-1].bytes < o.PartBytes/2 && (n == len(pieces)-1 || pieces[n-1].bytes <= joined) {
		n--
		joined += pieces[n].bytes
	}
	if n == len(pieces)-1 {
		return pieces
	}
	last := piece{placed{from: pieces[n].from, bytes: joined}, pieces[n].file}
	return append(pieces[:n:n], last)
}

// packs divides what is to be copied into objects, in the order of the files:
// neighbours are of one time, and go together. Each is a list of pieces that are
// copied one after another; pieces are cut to PartBytes.
func (p *plan) packs(o *Options) (packs [][]*piece) {
	var pack []*piece
	room := o.ObjectBytes
	for i := range p.files {
		p.files[i] = cut(p.files[i], o.PartBytes)
		for j := range p.files[i] {
			pc := &p.files[i][j]
			if pc.object != "" {
				continue
			}
			if pc.bytes > room && len(pack) > 0 {
				packs, pack, room = append(packs, pack), nil, o.ObjectBytes
			}
			pc.off = o.ObjectBytes - room
			pack, room = append(pack, pc), room-pc.bytes
		}
	}
	if len(pack) > 0 {
		packs = append(packs, pack)
	}
	return packs
}

// cut joins neighbours that are to be copied and cuts them to at most maxBytes.
func cut(pieces []piece, maxBytes int64) (out []piece) {
	for i := 0; i < len(pieces); {
		pc := pieces[i]
		i++
		if pc.object != "" {
			out = append(out, pc)
			continue
		}
		for i < len(pieces) && pieces[i].object == "" {
			pc.bytes += pieces[i].bytes
			i++
		}
		for rest := pc.bytes; rest > 0; {
			n := min(rest, maxBytes)
			out = append(out, piece{placed{from: pc.from, bytes: n}, pc.file})
			pc.from, rest = pc.from+n, rest-n
		}
	}
	return out
}
