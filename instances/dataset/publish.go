package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Publish publishes the rows as the part [from, to). A part may have no rows, but
// where its range is empty there is nothing to publish, and no part. When it returns nil they are
// all there, and the part is done for good. After a *TakenError or a
// *ChangedError nothing of them is. After any other error it is open what is: call
// Publish again with the same to, or let Next say. Its rows are kept until Publish
// succeeds or Abort.
func (w *PartWriter) Publish(ctx context.Context, to int64) (PartInfo, error) {
	if w.err != nil {
		return PartInfo{}, w.err
	}
	if err := w.dataset.checkNext(w.origin, w.from); err != nil {
		return PartInfo{}, err
	}
	switch {
	case to == w.from && w.rows == 0:
		w.err = errClosed
		return PartInfo{Origin: w.origin, Range: Range{w.from, to}}, w.free()
	case to <= w.from:
		return PartInfo{}, fmt.Errorf("dataset: part of %s from %d cannot end at %d", w.origin, w.from, to)
	case w.manifest != nil && w.manifest.To != to:
		return PartInfo{}, fmt.Errorf("dataset: part of %s from %d may be published up to %d already, and cannot end at %d: ask Next", w.origin, w.from, w.manifest.To, to)
	case w.manifest == nil:
		if err := w.encodeAll(ctx, to); err != nil {
			return PartInfo{}, err
		}
	}
	if err := w.begin(ctx); err != nil {
		return PartInfo{}, err
	}
	for ; w.there < len(w.manifest.Files); w.there++ {
		if err := w.put(ctx, w.there); err != nil {
			return PartInfo{}, err
		}
	}
	if err := w.dataset.create(ctx, doneKey(w.origin, w.from), w.manifest.encode()); err != nil && !errors.Is(err, fs.ErrExist) {
		return PartInfo{}, err
	}
	w.dataset.setNext(w.origin, to)
	info := w.manifest.info()
	w.err = errClosed
	return info, w.free()
}

// begin lays the intent down: from then on the part is these offsets, whoever
// publishes it.
func (w *PartWriter) begin(ctx context.Context) error {
	d := w.dataset
	key := intentKey(w.origin, w.from)
	err := d.create(ctx, key, w.manifest.encode())
	if err == nil || !errors.Is(err, fs.ErrExist) {
		return err
	}
	found, err := d.manifestAt(ctx, key, marker{origin: w.origin, from: w.from})
	if err != nil {
		return err
	}
	if found.To != w.manifest.To {
		d.forgetNext(w.origin)
		return &TakenError{Origin: w.origin, Range: Range{found.From, found.To}}
	}
	if what := w.manifest.rowsDiffer(found); what != "" {
		return &ChangedError{Place: d.bucket.String(), Origin: w.origin, Range: Range{found.From, found.To}, What: what}
	}
	return nil
}

// put puts one file, if it is not there yet.
func (w *PartWriter) put(ctx context.Context, i int) error {
	d, f := w.dataset, &w.manifest.Files[i]
	if err := d.markRows(ctx, slotOf(f.MinMS, d.spanMS)); err != nil {
		return err
	}
	err := d.bucket.Create(ctx, f.Key, w.encoded.section(w.files[i].off, w.files[i].size))
	if err == nil || !errors.Is(err, fs.ErrExist) {
		return err
	}
	// It is of an earlier try: by us, or by whoever began the part. Another version
	// of the encoder may have made it of the same rows.
	size := int64(-1)
	err = d.bucket.List(ctx, f.Key, func(key string, sizeBytes int64, _ time.Time) error {
		if key == f.Key {
			size = sizeBytes
		}
		return nil
	})
	if err != nil {
		return err
	}
	if size < 0 {
		return fmt.Errorf("%s in %s was there and is gone: something else deletes files there", f.Key, d.bucket)
	}
	if size != f.Bytes {
		f.Bytes, f.SHA256 = size, ""
	}
	return nil
}

// markRows notes that a folder gets rows, so that Incomplete finds it.
func (d *Dataset) markRows(ctx context.Context, slot int64) error {
	d.mu.Lock()
	marked := d.hasRows[slot]
	d.mu.Unlock()
	if marked {
		return nil
	}
	if err := d.create(ctx, foldersFolder+folderOf(slot, d.spanMS)+rowsName, nil); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hasRows[slot] = true
	return nil
}

// ChangedError says that a part that was begun has other rows now: the topic no
// longer holds them all, or the input is another.
type ChangedError struct {
	Place  string // without secrets
	Origin string
	Range
	What string
}

// Error says in what they differ, and what to do.
func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s: part %s-%d-%d was begun with other rows: %s; to publish what there is now, delete the part's files, if any, and then %s",
		e.Place, e.Origin, e.From, e.To, e.What, intentKey(e.Origin, e.From))
}

// TakenError says that another writer has fixed the part that begins at From as
// Range: ask Next, and go on from there.
type TakenError struct {
	Origin string
	Range
}

// Error says which part, and what to do.
func (e *TakenError) Error() string {
	return fmt.Sprintf("part %s-%d-%d is another writer's, who began at the same offset: ask where to go on", e.Origin, e.From, e.To)
}
