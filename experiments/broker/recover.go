package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// kfake's files beside the partitions.
const (
	pidsLog    = "pids.log"
	groupsLog  = "groups.log"
	topicsJSON = "topics.json"
)

// recoverLog makes every transaction whole in a log whose owner was killed,
// before kfake opens it. kfake alone would leave three gaps:
//
//   - A commit that was being carried out stays half done: some partitions show
//     its records, others do not, and offsets are missing.
//   - A transaction that was open counts as aborted, but no abort marker is
//     written, so that read_committed clients drop whatever the same producer
//     commits afterwards.
//   - A batch whose index entry was not written loses that it belongs to a
//     transaction, and shows although nobody committed it.
//
// Here a commit that had begun is finished from its intent, every other open
// transaction gets its abort marker and its producer a new epoch, which fences
// the one that left it open. All steps can be repeated, so a kill in between
// does no harm. After a clean close there is nothing to do.
func recoverLog(dir, logDir string, log *slog.Logger) error {
	in, err := readIntent(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	parts, err := scanPartitions(logDir)
	if err != nil {
		return fmt.Errorf("recovering after a kill: %w", err)
	}
	if in != nil && in.begun(logDir, parts) {
		if err := in.finish(logDir, parts); err != nil {
			return fmt.Errorf("finishing a transaction that was being committed: %w", err)
		}
		log.Warn("embedded broker: finished a transaction that was being committed when the last owner was killed")
	}
	n, err := abortOpen(logDir, parts)
	if err != nil {
		return fmt.Errorf("aborting transactions left open: %w", err)
	}
	if n > 0 {
		log.Warn("embedded broker: aborted transactions that the last owner left open", "count", n)
	}
	return nil
}

// begun reports whether kfake had written anything of the commit, and not all.
func (in *intent) begun(logDir string, parts []*partition) bool {
	if sizeOf(filepath.Join(logDir, pidsLog)) != in.PIDsBytes {
		return false // the note that it ended is the last thing written
	}
	if sizeOf(filepath.Join(logDir, groupsLog)) != in.GroupsBytes {
		return true
	}
	for _, p := range parts {
		if p.ended[producer{in.ProducerID, in.Epoch}] {
			return true
		}
	}
	return false
}

// finish writes what is missing, in kfake's own order, the note of the end last.
func (in *intent) finish(logDir string, parts []*partition) error {
	for _, p := range parts {
		if epoch, open := p.open[in.ProducerID]; open && epoch == in.Epoch {
			if err := p.appendMarker(producer{in.ProducerID, in.Epoch}, true); err != nil {
				return err
			}
		}
	}
	if err := in.commitOffsets(logDir); err != nil {
		return err
	}
	commit := true
	return appendEntry(filepath.Join(logDir, pidsLog), pidEntry{Type: "endtx", PID: in.ProducerID, Epoch: in.Epoch, Commit: &commit})
}

func (in *intent) commitOffsets(logDir string) error {
	names, err := topicNames(logDir)
	if err != nil {
		return err
	}
	nowMS := time.Now().UnixMilli()
	for _, o := range in.Offsets {
		topic := o.Topic
		if topic == "" {
			topic = names[o.TopicID]
		}
		if topic == "" {
			continue // deleted since: there is nothing to have an offset in
		}
		err := appendEntry(filepath.Join(logDir, groupsLog), groupEntry{Type: "commit", Group: o.Group, Topic: topic,
			Partition: o.Partition, Offset: o.Offset, Epoch: o.Epoch, Metadata: o.Metadata, LastCommitMS: &nowMS})
		if err != nil {
			return err
		}
	}
	return nil
}

// abortOpen ends every transaction that is still open and returns how many
// producers had one. A producer is fenced before its markers are written, so
// that a second try, after a kill here, finds the same transactions open.
func abortOpen(logDir string, parts []*partition) (int, error) {
	left := map[int64]int16{}
	for _, p := range parts {
		for pid, epoch := range p.open {
			left[pid] = max(left[pid], epoch)
		}
	}
	for pid, epoch := range left {
		if err := appendEntry(filepath.Join(logDir, pidsLog), pidEntry{Type: "timeout", PID: pid, Epoch: epoch + 1}); err != nil {
			return 0, err
		}
	}
	for _, p := range parts {
		for pid, epoch := range p.open {
			if err := p.appendMarker(producer{pid, epoch}, false); err != nil {
				return 0, err
			}
		}
	}
	return len(left), nil
}

// topicNames reads the names of topics by ID.
func topicNames(logDir string) (map[[16]byte]string, error) {
	raw, err := os.ReadFile(filepath.Join(logDir, topicsJSON))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var file struct {
		Topics []struct {
			Name string `json:"name"`
			ID   []byte `json:"id"` // base64 of 16 bytes
		} `json:"topics"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("reading %s: %w", topicsJSON, err)
	}
	names := make(map[[16]byte]string, len(file.Topics))
	for _, t := range file.Topics {
		if len(t.ID) != 16 {
			return nil, fmt.Errorf("reading %s: topic %s has an ID of %d bytes, want 16", topicsJSON, t.Name, len(t.ID))
		}
		names[[16]byte(t.ID)] = t.Name
	}
	return names, nil
}
