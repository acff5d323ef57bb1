package joiner

import "fmt"

// restore rebuilds what lies in memory from the store: it reads packs, in large
// blocks one after the other, and neither labels nor impressions.
func (t *Task) restore(meta []byte) error {
	s, err := ParseSnapshot(meta)
	if err != nil {
		return fmt.Errorf("reading the state's manifest: %w", err)
	}
	if len(s.Offsets) != len(t.opts.Sources) || len(s.Ledgers) != len(t.ledgers) {
		return fmt.Errorf("state of %d sources and %d experiments, expected %d and %d: %w", len(s.Offsets), len(s.Ledgers), len(t.opts.Sources), len(t.ledgers), ErrOtherVersion)
	}
	t.watermarkMS, t.maxMainMS, t.cursor = s.WatermarkMS, s.MaxMainMS, s.Cursor
	copy(t.ledgers, s.Ledgers)
	if err := t.restoreIndex(); err != nil {
		return fmt.Errorf("reading back the index of labels: %w", err)
	}
	if err := t.restoreSeen(); err != nil {
		return fmt.Errorf("reading back the keys of kept impressions: %w", err)
	}
	return t.impressions.Seek(t.cursor)
}

func (t *Task) restoreIndex() error {
	var states []*Entry // applied when the impressions are linked
	err := t.packs.index.Each(NoTimeMS, func(_ Ref, e *Entry) error {
		switch kind := packKind(e.Flags); kind {
		case packLabels:
			return t.labels.load(e.Key, e.TimeMS, t.packs.spanMS, e.Value)
		case packFates:
			return t.labels.apply(e.Key, e.Value)
		case packPending:
			if t.pending == nil {
				return nil
			}
			return t.pending.load(e.TimeMS, e.Value, t.cursor)
		case packRows:
			states = append(states, &Entry{TimeMS: e.TimeMS, Value: append([]byte(nil), e.Value...)})
			return nil
		default:
			return badRows(kind, "unknown")
		}
	})
	if err != nil {
		return err
	}
	t.labels.linkAll()
	if t.pending == nil {
		return nil
	}
	t.pending.linkAll()
	for _, e := range states {
		if err := t.pending.apply(e.TimeMS, e.Value); err != nil {
			return err
		}
	}
	return nil
}

func (t *Task) restoreSeen() error {
	if t.cursor.TimeMS == NoTimeMS {
		return nil // nothing has been closed
	}
	sinceMS := t.cursor.TimeMS - t.opts.DelayMS
	l := seenLoader{into: t.seen}
	err := t.packs.seen.Each(sinceMS, func(_ Ref, e *Entry) error {
		if packKind(e.Flags) != packKept {
			return badRows(packKind(e.Flags), "unknown")
		}
		return l.load(e.TimeMS, e.Value, sinceMS)
	})
	if err != nil {
		return err
	}
	l.finish()
	return nil
}
