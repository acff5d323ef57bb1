package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/mortise-dev/mortise/joiner/disk"
)

// Saved is what a checkpoint took.
type Saved struct {
	Name       string
	Bytes      int64 // that were copied for it, in this call or one that failed before
	TotalBytes int64 // that it stands for
	Files      int
	Objects    int // that its bytes lie in
}

// upload is the making of one checkpoint. Its pin keeps what it has copied.
type upload struct {
	id     string
	copied int // objects begun
	mu     sync.Mutex
	parts  []copied
}

// copied is a part that reached the bucket and that no sure checkpoint names yet.
type copied struct {
	id          disk.FileID
	part        placed
	objectBytes int64
}

// errOvertaken says that what a checkpoint builds on was cleared away while it
// was being made: this process was away for longer than Options.PinFor, or another
// one saves the same task.
var errOvertaken = errors.New("what it builds on was cleared away meanwhile")

// Save copies what the bucket does not have of a capture, makes it a checkpoint,
// and clears away what is older than Keep. It closes the capture. The task's store
// may go on, or be closed. After an error there may or may not be a checkpoint;
// the next Save goes on with what was copied.
func (c *Checkpoints) Save(ctx context.Context, name string, capture *disk.Capture) (saved Saved, err error) {
	defer func() { err = errors.Join(err, capture.Close()) }()
	t := c.task(name)
	t.mu.Lock()
	defer t.mu.Unlock()
	saved, err = t.save(ctx, capture)
	if errors.Is(err, errOvertaken) {
		c.opts.Log.Warn("a checkpoint is made anew", "task", name, "err", err)
		saved, err = t.save(ctx, capture)
	}
	if err != nil {
		return Saved{}, fmt.Errorf("saving a checkpoint of task %q: %w", name, err)
	}
	return saved, nil
}

func (t *task) save(ctx context.Context, capture *disk.Capture) (Saved, error) {
	if err := t.load(ctx); err != nil {
		return Saved{}, err
	}
	if err := t.begin(ctx); err != nil {
		return Saved{}, err
	}
	p := newPlan(capture.Files, t.known())
	p.tidy(&t.c.opts)
	if err := t.copy(ctx, capture, p); err != nil {
		return Saved{}, err
	}
	t.last++
	m := t.manifest(capture, p)
	data, err := m.Encode()
	if err != nil {
		return Saved{}, err
	}
	if err := t.c.bucket.Put(ctx, manifestKey(t.name, m.Name), bytes.NewReader(data)); err != nil {
		return Saved{}, fmt.Errorf("writing checkpoint %s: %w", m.Name, err)
	}
	l, err := t.confirm(ctx, m)
	if err != nil {
		return Saved{}, err
	}
	if err := t.collect(ctx, l, l.manifests[m.Name]); err != nil {
		t.c.opts.Log.Warn("old checkpoints are not cleared away, or not all", "task", t.name, "err", err)
	}
	return Saved{Name: m.Name, Bytes: m.NewBytes(), TotalBytes: m.TotalBytes(), Files: len(m.Files), Objects: len(m.Objects)}, nil
}

// begin pins what is going to be copied, before it is.
func (t *task) begin(ctx context.Context) error {
	if t.upload != nil {
		return nil
	}
	t.uploads++
	u := &upload{id: fmt.Sprintf("%s.%d", t.c.writer, t.uploads)}
	if err := t.c.bucket.Put(ctx, pinKey(t.name, writePin+u.id), bytes.NewReader(nil)); err != nil {
		return fmt.Errorf("writing pin %s: %w", writePin+u.id, err)
	}
	t.upload = u
	return nil
}

func (t *task) known() *known {
	k := newKnown()
	if t.base != nil {
		k.addManifest(t.base)
	}
	for _, l := range t.upload.parts {
		k.add(l.id, l.part, l.objectBytes)
	}
	return k
}

// manifest describes the checkpoint whose parts are all in the bucket.
func (t *task) manifest(capture *disk.Capture, p *plan) *Manifest {
	m := &Manifest{
		Name: manifestName(t.last, t.c.writer), Task: t.name, Owner: t.c.opts.Owner, CreatedMS: t.c.opts.NowMS(), Upload: t.upload.id,
		Meta: capture.Meta, Commit: capture.Commit, NextFile: capture.NextFile, BucketMS: capture.BucketMS, CoarseMS: capture.CoarseMS,
		Objects: []Object{}, Files: make([]File, len(p.files)),
	}
	if t.base != nil {
		m.Base = t.base.Name
	}
	numbers := map[string]int{}
	for i, pieces := range p.files {
		f := &capture.Files[i]
		parts := make([]Part, len(pieces))
		for j, pc := range pieces {
			n, ok := numbers[pc.object]
			if !ok {
				n = len(m.Objects)
				numbers[pc.object] = n
				m.Objects = append(m.Objects, Object{pc.object, p.objects[pc.object]})
			}
			parts[j] = Part{n, pc.off, pc.bytes, hex64(pc.sum)}
		}
		m.Files[i] = File{hex64(f.ID.Opening), f.ID.Number, f.LengthBytes, f.AppendRows(nil), parts}
	}
	return m
}

// confirm makes sure that nothing that the checkpoint names can have been cleared
// away, now that whoever clears away from now on sees it: the pin and the
// checkpoint that it builds on are there still, and whoever clears away removes
// these first and then looks again.
func (t *task) confirm(ctx context.Context, m *Manifest) (*listing, error) {
	l, err := t.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("confirming checkpoint %s: %w", m.Name, err)
	}
	if why := l.doubt(m); why != "" {
		err := fmt.Errorf("%w: %s", errOvertaken, why)
		if del := t.c.bucket.Delete(ctx, manifestKey(t.name, m.Name)); del != nil {
			err = errors.Join(err, fmt.Errorf("withdrawing checkpoint %s: %w", m.Name, del))
		}
		t.loaded, t.base, t.upload, t.oldPin = false, nil, nil, ""
		return nil, err
	}
	if t.oldPin != "" {
		if err := t.c.bucket.Delete(ctx, pinKey(t.name, t.oldPin)); err != nil {
			t.c.opts.Log.Warn("a pin is left until it expires", "task", t.name, "pin", t.oldPin, "err", err)
		}
	}
	// The pin stays until the next checkpoint is sure: by it a process that starts
	// again knows that this one is.
	t.oldPin, t.upload = writePin+t.upload.id, nil
	t.setBase(m)
	return l, nil
}

func (t *task) setBase(m *Manifest) {
	t.refs[m.Name] = m.objectNames()
	base := *m
	base.Files = slices.Clone(m.Files)
	for i := range base.Files {
		base.Files[i].Rows = nil
	}
	t.base, t.loaded = &base, true
	if n, _ := sequenceOf(m.Name); n > t.last {
		t.last = n
	}
}

func (m *Manifest) objectNames() (names []string) {
	for _, o := range m.Objects {
		names = append(names, o.Name)
	}
	return names
}
