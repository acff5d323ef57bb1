package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// history is a fixed course of appends, drops and commits of one task, and what
// its logs hold as of each commit. Commits are numbered from 1 by their meta.
type history struct {
	want [][joiner.NumLogs][]joiner.Entry // by commit; 0 is the empty store
}

const commits = 6

var historyOptions = joiner.StoreOptions{BucketMS: 100, BlockBytes: 200, BufferBytes: 1 << 10}

// run runs the history until the first error. It calls done after each commit.
func (h *history) run(s *disk.Store, done func(commit int)) error {
	r := rand.New(rand.NewPCG(1, 1))
	h.want = append(h.want[:0], [joiner.NumLogs][]joiner.Entry{})
	var now [joiner.NumLogs][]joiner.Entry
	for commit := 1; commit <= commits; commit++ {
		for kind := range now {
			log := s.Log(joiner.LogKind(kind))
			for i := range 12 {
				e := joiner.Entry{
					TimeMS: int64(commit)*60 + r.Int64N(150), Offset: int64(100*commit + i), Source: uint16(kind), Accept: 1,
					Key: []byte("key"), Value: bytes.Repeat(strconv.AppendInt(nil, r.Int64N(10_000), 10), r.IntN(10)),
				}
				if _, err := log.Append(&e); err != nil {
					return err
				}
				now[kind] = append(now[kind], e)
			}
			dropMS := int64(commit-2) * 60
			if err := log.DropBefore(dropMS); err != nil {
				return err
			}
			now[kind] = slices.DeleteFunc(slices.Clone(now[kind]), func(e joiner.Entry) bool { return e.TimeMS/100 < dropMS/100 })
		}
		h.want = append(h.want, now)
		if err := s.Commit(strconv.AppendInt(nil, int64(commit), 10)); err != nil {
			return err
		}
		done(commit)
	}
	return nil
}

// check opens what is on fs, returns the commit that it is at, and an error if
// it is not exactly that commit.
func (h *history) check(fs vfs.FS) (commit int, err error) {
	db, err := disk.OpenDB("/state", disk.Options{FS: fs})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return h.checkStore(db)
}

func (h *history) checkStore(db *disk.DB) (commit int, err error) {
	s, err := db.OpenStore(task, historyOptions)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if s.Meta() != nil {
		if commit, err = strconv.Atoi(string(s.Meta())); err != nil || commit >= len(h.want) {
			return 0, fmt.Errorf("meta %q of no commit", s.Meta())
		}
	}
	for kind := range h.want[commit] {
		if err := checkLog(s.Log(joiner.LogKind(kind)), h.want[commit][kind]); err != nil {
			return commit, fmt.Errorf("commit %d, log %d: %w", commit, kind, err)
		}
	}
	return commit, nil
}

// checkLog reads the whole log in each way, and expects the entries.
func checkLog(log joiner.Log, entries []joiner.Entry) error {
	want := slices.Clone(entries)
	slices.SortStableFunc(want, func(a, b joiner.Entry) int { return int(a.TimeMS/100 - b.TimeMS/100) })
	var refs []joiner.Ref
	err := log.Each(math.MinInt64, func(ref joiner.Ref, e *joiner.Entry) error {
		if len(refs) == len(want) || !same(e, &want[len(refs)]) {
			return fmt.Errorf("entry %d of %d is %+v", len(refs), len(want), e)
		}
		refs = append(refs, ref)
		return nil
	})
	if err != nil {
		return err
	}
	if len(refs) != len(want) {
		return fmt.Errorf("%d entries instead of %d", len(refs), len(want))
	}
	var e joiner.Entry
	for i, ref := range refs {
		if err := log.Read(ref, &e); err != nil {
			return err
		}
		if !same(&e, &want[i]) {
			return fmt.Errorf("at %+v is %+v", ref, e)
		}
	}
	slices.SortStableFunc(want, func(a, b joiner.Entry) int {
		if a.Position().Less(b.Position()) {
			return -1
		}
		return 1
	})
	for i := range want {
		ok, err := log.Next(math.MaxInt64, &e)
		if err != nil {
			return err
		}
		if !ok || !same(&e, &want[i]) {
			return fmt.Errorf("the %dth by time is %v %+v", i, ok, e)
		}
	}
	return nil
}

func same(a, b *joiner.Entry) bool {
	return a.Position() == b.Position() && a.Source == b.Source && a.Flags == b.Flags && a.Accept == b.Accept &&
		bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
}
