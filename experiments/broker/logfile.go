package broker

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The formats of kfake's files, as far as recovery writes them. The version of
// kfake is pinned, and the crash tests read everything back through it.
//
//	partitions/TOPIC-P/BASE.dat   record batches as on the wire, one after another
//	partitions/TOPIC-P/BASE.idx   15 bytes a batch: version, checksum, leader epoch,
//	                              largest timestamp, flags (1: within a transaction)
//	pids.log, groups.log          framed JSON: length, checksum, version, text

const (
	fileVersion     = 1
	indexEntryBytes = 15
	batchHeadBytes  = 61

	attrTransactional = 0x10
	attrControl       = 0x20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type pidEntry struct {
	Type   string `json:"type"`
	PID    int64  `json:"pid"`
	Epoch  int16  `json:"epoch"`
	Commit *bool  `json:"commit,omitempty"`
}

type groupEntry struct {
	Type         string  `json:"type"`
	Group        string  `json:"g"`
	Topic        string  `json:"t,omitempty"`
	Partition    int32   `json:"p,omitempty"`
	Offset       int64   `json:"o,omitempty"`
	Epoch        int32   `json:"e,omitempty"`
	Metadata     *string `json:"m,omitempty"`
	LastCommitMS *int64  `json:"lc,omitempty"`
}

// appendEntry adds one framed entry to a log of kfake's.
func appendEntry(path string, entry any) error {
	text, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	body := append(binary.LittleEndian.AppendUint16(nil, fileVersion), text...)
	framed := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	framed = binary.LittleEndian.AppendUint32(framed, crc32.Checksum(body, castagnoli))
	return appendFile(path, append(framed, body...))
}

func appendFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// producer is one epoch of a producer: with current clients, one transaction.
type producer struct {
	id    int64
	epoch int16
}

// partition is what recovery knows of one partition's log.
type partition struct {
	dir    string
	base   int64 // of the last segment
	end    int64 // the next offset
	leader int32 // the leader epoch of the last batch
	open   map[int64]int16
	ended  map[producer]bool
}

// scanPartitions reads the batch headers of every partition.
func scanPartitions(logDir string) ([]*partition, error) {
	dirs, err := os.ReadDir(filepath.Join(logDir, "partitions"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var parts []*partition
	for _, d := range dirs {
		p := &partition{dir: filepath.Join(logDir, "partitions", d.Name()), open: map[int64]int16{}, ended: map[producer]bool{}}
		if err := p.scan(); err != nil {
			return nil, fmt.Errorf("scanning %s: %w", p.dir, err)
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func (p *partition) scan() error {
	files, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	var bases []int64
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name(), ".dat"); ok {
			if base, err := strconv.ParseInt(name, 10, 64); err == nil {
				bases = append(bases, base)
			}
		}
	}
	slices.SortFunc(bases, cmp.Compare[int64])
	for _, base := range bases {
		p.base = base
		if err := p.scanSegment(); err != nil {
			return err
		}
	}
	return nil
}

func (p *partition) path(ext string) string {
	return filepath.Join(p.dir, strconv.FormatInt(p.base, 10)+ext)
}

// scanSegment follows the batches of one file, cuts off a batch that is not
// whole, and adds index entries that are missing at the end.
func (p *partition) scanSegment() error {
	f, err := os.OpenFile(p.path(".dat"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	var (
		head      [batchHeadBytes]byte
		pos       int64
		batches   int64
		indexed   = sizeOf(p.path(".idx")) / indexEntryBytes
		reindexed []byte
	)
	for size-pos >= batchHeadBytes {
		if _, err := f.ReadAt(head[:], pos); err != nil {
			return err
		}
		batchBytes := 12 + int64(binary.BigEndian.Uint32(head[8:]))
		if batchBytes < batchHeadBytes || batchBytes > size-pos || pos+batchBytes == size && !verifies(f, pos, batchBytes) {
			break
		}
		p.see(&head)
		if batches++; batches > indexed {
			reindexed = append(reindexed, indexEntry(&head)...)
		}
		pos += batchBytes
	}
	if pos < size {
		if err := f.Truncate(pos); err != nil {
			return err
		}
	}
	if err := os.Truncate(p.path(".idx"), min(indexed, batches)*indexEntryBytes); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return appendFile(p.path(".idx"), reindexed)
}

// verifies checks the checksum of a segment's last batch, the only one that a
// kill can have left unfinished.
func verifies(f io.ReaderAt, pos, batchBytes int64) bool {
	raw := make([]byte, batchBytes)
	if _, err := f.ReadAt(raw, pos); err != nil {
		return false
	}
	return binary.BigEndian.Uint32(raw[17:]) == crc32.Checksum(raw[21:], castagnoli)
}

// see follows who has a transaction open.
func (p *partition) see(head *[batchHeadBytes]byte) {
	attrs := binary.BigEndian.Uint16(head[21:])
	from := producer{int64(binary.BigEndian.Uint64(head[43:])), int16(binary.BigEndian.Uint16(head[51:]))}
	p.leader = int32(binary.BigEndian.Uint32(head[12:]))
	p.end = int64(binary.BigEndian.Uint64(head[:])) + int64(binary.BigEndian.Uint32(head[23:])) + 1
	switch {
	case attrs&attrControl != 0:
		// Whether it committed or aborted need not be read: an intent exists
		// only for a commit, and after an abort there is nothing left to finish.
		p.ended[from] = true
		delete(p.open, from.id)
	case attrs&attrTransactional != 0:
		p.open[from.id] = from.epoch
	}
}

func indexEntry(head *[batchHeadBytes]byte) []byte {
	e := make([]byte, indexEntryBytes)
	e[0] = fileVersion
	binary.LittleEndian.PutUint32(e[2:], binary.BigEndian.Uint32(head[12:]))
	binary.LittleEndian.PutUint64(e[6:], binary.BigEndian.Uint64(head[35:]))
	if binary.BigEndian.Uint16(head[21:])&(attrControl|attrTransactional) == attrTransactional {
		e[14] = 1
	}
	e[1] = byte(crc32.Checksum(e[2:], castagnoli))
	return e
}

// appendMarker ends a producer's transaction in this partition: the control
// batch first, then its index entry, as kfake writes them.
func (p *partition) appendMarker(from producer, commit bool) error {
	key := kmsg.ControlRecordKey{Type: kmsg.ControlRecordKeyTypeAbort}
	if commit {
		key.Type = kmsg.ControlRecordKeyTypeCommit
	}
	var end kmsg.EndTxnMarker
	rec := kmsg.Record{Key: key.AppendTo(nil), Value: end.AppendTo(nil)}
	rec.Length = int32(len(rec.AppendTo(nil)) - 1) // without the length's own byte
	nowMS := time.Now().UnixMilli()
	b := kmsg.RecordBatch{
		FirstOffset: p.end, PartitionLeaderEpoch: p.leader, Magic: 2,
		Attributes: attrTransactional | attrControl, FirstTimestamp: nowMS, MaxTimestamp: nowMS,
		ProducerID: from.id, ProducerEpoch: from.epoch, FirstSequence: -1, NumRecords: 1, Records: rec.AppendTo(nil),
	}
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], castagnoli))
	if err := appendFile(p.path(".dat"), raw); err != nil {
		return err
	}
	p.see((*[batchHeadBytes]byte)(raw))
	return appendFile(p.path(".idx"), indexEntry((*[batchHeadBytes]byte)(raw)))
}
