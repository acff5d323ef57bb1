package broker

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// intentFile exists from opening the log to closing it in order. Finding it on
// opening therefore means that the last owner was killed.
const intentFile = "commit.intent"

// intent is what kfake is about to do for one commit. kfake writes a marker to
// each partition, then each committed offset, and then notes in pids.log that
// the transaction ended; a kill in between would leave half a commit. With the
// intent on file before the first of these writes, recoverLog can write the rest.
type intent struct {
	ProducerID int64          `json:"producer_id"`
	Epoch      int16          `json:"epoch"`
	Offsets    []stagedOffset `json:"offsets,omitempty"`
	// Sizes of kfake's own logs when the commit began: if groups.log has
	// another size, offsets were being written; if pids.log has, it is done.
	PIDsBytes   int64 `json:"pids_bytes"`
	GroupsBytes int64 `json:"groups_bytes"`
}

// stagedOffset is one offset that waits for its transaction's commit.
type stagedOffset struct {
	Group     string   `json:"group"`
	Topic     string   `json:"topic,omitempty"` // empty when the client named it by ID
	TopicID   [16]byte `json:"topic_id,omitzero"`
	Partition int32    `json:"partition"`
	Offset    int64    `json:"offset"`
	Epoch     int32    `json:"epoch"`
	Metadata  *string  `json:"metadata,omitempty"`
}

// staged is what one producer has put into its open transaction.
type staged struct {
	epoch   int16
	offsets []stagedOffset
}

// intentLog holds one intent, overwritten in place: kfake handles requests one
// after another, so only one commit can be under way.
type intentLog struct {
	logDir string
	file   *os.File
	staged map[int64]staged // by producer id; used on kfake's loop only
	log    *slog.Logger
}

func openIntentLog(dir, logDir string, log *slog.Logger) (*intentLog, error) {
	f, err := os.Create(filepath.Join(dir, intentFile))
	if err != nil {
		return nil, fmt.Errorf("creating the broker's commit log: %w", err)
	}
	return &intentLog{logDir: logDir, file: f, staged: map[int64]staged{}, log: log}, nil
}

// watch observes the two requests that matter. It answers neither.
func (l *intentLog) watch(c *kfake.Cluster) {
	c.ControlKey(int16(kmsg.TxnOffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		l.stage(req.(*kmsg.TxnOffsetCommitRequest))
		return nil, nil, false
	})
	c.ControlKey(int16(kmsg.EndTxn), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if err := l.end(req.(*kmsg.EndTxnRequest)); err != nil {
			// Without its intent a commit must not begin: the client's
			// connection is closed, and it asks again.
			l.log.Error("embedded broker: a transaction could not be committed", "error", err)
			return nil, err, true
		}
		return nil, nil, false
	})
}

func (l *intentLog) stage(req *kmsg.TxnOffsetCommitRequest) {
	s := l.staged[req.ProducerID]
	if s.epoch != req.ProducerEpoch {
		s = staged{epoch: req.ProducerEpoch}
	}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			s.offsets = append(s.offsets, stagedOffset{Group: req.Group, Topic: t.Topic, TopicID: t.TopicID,
				Partition: p.Partition, Offset: p.Offset, Epoch: p.LeaderEpoch, Metadata: p.Metadata})
		}
	}
	l.staged[req.ProducerID] = s
}

func (l *intentLog) end(req *kmsg.EndTxnRequest) error {
	s := l.staged[req.ProducerID]
	if !req.Commit {
		delete(l.staged, req.ProducerID)
		return nil
	}
	in := intent{ProducerID: req.ProducerID, Epoch: req.ProducerEpoch,
		PIDsBytes: sizeOf(filepath.Join(l.logDir, pidsLog)), GroupsBytes: sizeOf(filepath.Join(l.logDir, groupsLog))}
	if s.epoch == req.ProducerEpoch {
		in.Offsets = s.offsets
	}
	if err := l.write(&in); err != nil {
		return err
	}
	delete(l.staged, req.ProducerID)
	return nil
}

// write puts in at the head of the file in one write: length, checksum, JSON.
// What an earlier, longer intent left behind it is not read.
func (l *intentLog) write(in *intent) error {
	text, err := json.Marshal(in)
	if err != nil {
		return err
	}
	framed := binary.LittleEndian.AppendUint32(nil, uint32(len(text)))
	framed = binary.LittleEndian.AppendUint32(framed, crc32.Checksum(text, castagnoli))
	if _, err := l.file.WriteAt(append(framed, text...), 0); err != nil {
		return fmt.Errorf("writing %s: %w", l.file.Name(), err)
	}
	return nil
}

// readIntent returns the last intent; nil when there is none, or when it does
// not verify, which means that its commit had not begun. The error wraps
// os.ErrNotExist when the log was closed in order.
func readIntent(dir string) (*intent, error) {
	raw, err := os.ReadFile(filepath.Join(dir, intentFile))
	if err != nil {
		return nil, err
	}
	if len(raw) < 8 {
		return nil, nil
	}
	n := int(binary.LittleEndian.Uint32(raw))
	if n > len(raw)-8 || crc32.Checksum(raw[8:8+n], castagnoli) != binary.LittleEndian.Uint32(raw[4:]) {
		return nil, nil
	}
	in := new(intent)
	if err := json.Unmarshal(raw[8:8+n], in); err != nil {
		return nil, fmt.Errorf("reading %s: %w", intentFile, err)
	}
	return in, nil
}

// close removes the file: the log was closed in order.
func (l *intentLog) close() error {
	if l == nil {
		return nil
	}
	return errors.Join(l.file.Close(), removeIfThere(l.file.Name()))
}

func sizeOf(path string) int64 {
	if info, err := os.Stat(path); err == nil {
		return info.Size()
	}
	return 0
}
