package archive_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/archive"
	"github.com/mortise-dev/mortise/instances/dataset"
	"github.com/mortise-dev/mortise/internal/objectstore"
)

// story is an archiver over one partition, whose polls a test tells one by one:
// each may bring records, and takes some time.
type story struct {
	log
	t       *testing.T
	now     time.Time
	polls   []poll
	stop    context.CancelFunc
	bucket  *moody
	dataset *dataset.Dataset
	a       *archive.Archiver

	starts    []int64
	gap       *experiments.Gap
	committed []experiments.CommittedOffset
}

// poll is what one brings, and what is looked at after the round before it.
type poll struct {
	rows  int           // of the log, from where it stands
	takes time.Duration // before it
	look  func()        // before it
}

// moody is a bucket that fails when it is told to.
type moody struct {
	dataset.Bucket
	down bool
}

var errDown = errors.New("the store is down")

func (m *moody) Create(ctx context.Context, key string, body io.Reader) error {
	if m.down {
		return errDown
	}
	return m.Bucket.Create(ctx, key, body)
}

func newStory(t *testing.T, edit func(*archive.Options)) *story {
	t.Helper()
	s := &story{log: *newLog(t, 1, 1000), t: t, now: time.Unix(1_800_000_000, 0), bucket: &moody{}}
	b, err := objectstore.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.bucket.Bucket = b
	t.Cleanup(func() { _ = b.Close() })
	s.dataset, err = dataset.Open(t.Context(), s.bucket, dataset.Options{Columns: s.way.Columns, Experiment: "bench", Version: 1, Config: "0123456789abcdef", TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	o := archive.Options{Archive: s.way, Dataset: s.dataset, Join: s, Now: func() time.Time { return s.now }}
	if edit != nil {
		edit(&o)
	}
	if s.a, err = archive.New(s, o); err != nil {
		t.Fatal(err)
	}
	s.next = make([]int64, 1)
	return s
}

// run tells the polls and returns what Run does. After the last one it is asked to end.
func (s *story) run(polls ...poll) error {
	ctx, stop := context.WithCancel(s.t.Context())
	defer stop()
	s.polls, s.stop = polls, stop
	return s.a.Run(ctx)
}

func (s *story) Poll(ctx context.Context, _ int, _ time.Duration) ([]experiments.Fetched, error) {
	if len(s.polls) == 0 {
		s.stop()
		return nil, ctx.Err()
	}
	p := s.polls[0]
	s.polls = s.polls[1:]
	s.now = s.now.Add(p.takes)
	if p.look != nil {
		p.look()
	}
	from := s.next[0]
	s.next[0] += int64(p.rows)
	return []experiments.Fetched{{TopicPartition: experiments.TopicPartition{Topic: rowsTopic}, Records: s.records[0][from:s.next[0]], Next: s.next[0], HighWatermark: 1000}}, nil
}

func (s *story) Start(at map[experiments.TopicPartition]int64) error {
	for tp, from := range at {
		s.starts = append(s.starts, from)
		if s.gap != nil && (from < s.gap.First || s.gap.Recreate) {
			s.gap.TopicPartition, s.gap.Need = tp, from
			return &experiments.GapError{Gaps: []experiments.Gap{*s.gap}}
		}
	}
	return s.log.Start(at)
}

func (s *story) Commit(_ context.Context, at map[experiments.TopicPartition]experiments.CommittedOffset) error {
	for _, c := range at {
		s.committed = append(s.committed, c)
	}
	return nil
}

func (s *story) Abort(context.Context) error {
	s.told = false
	return nil
}

// parts lists the published parts: from-to:rows.
func (s *story) parts() string {
	s.t.Helper()
	var all []string
	err := s.dataset.Parts(s.t.Context(), func(p dataset.PartInfo, done bool) error {
		text := fmt.Sprintf("%d-%d:%d", p.From, p.To, p.Rows)
		if !done {
			text += "?"
		}
		all = append(all, text)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func (s *story) expect(want string) func() {
	return func() {
		s.t.Helper()
		if got := s.parts(); got != want {
			s.t.Errorf("parts %q, want %q", got, want)
		}
	}
}

func TestPartsRollByAge(t *testing.T) {
	s := newStory(t, nil)
	err := s.run(
		poll{rows: 3},
		poll{takes: 9 * time.Minute, rows: 2},
		poll{takes: 59 * time.Second, look: s.expect("")}, // counted from the part's first row
		poll{takes: time.Second},
		poll{rows: 4, look: s.expect("0-5:5")},
		poll{takes: 10*time.Minute - 1, look: s.expect("0-5:5")},
		poll{takes: 1, rows: 1},
		poll{look: s.expect("0-5:5 5-10:5")},
		poll{takes: time.Hour, look: s.expect("0-5:5 5-10:5")}, // nothing is no part
	)
	s.expect("0-5:5 5-10:5")()
	if err != nil {
		t.Error(err)
	}
}

func TestPartsRollBySize(t *testing.T) {
	s := newStory(t, nil)
	s.way.Experiment.Output.ParquetOut.RollSizeBytes = 4000
	var polls []poll
	for range 100 {
		polls = append(polls, poll{rows: 10})
	}
	if err := s.run(polls...); err != nil {
		t.Fatal(err)
	}
	next, n := int64(0), 0
	err := s.dataset.Parts(t.Context(), func(p dataset.PartInfo, done bool) error {
		if p.From != next || p.Rows != p.To-p.From || !done {
			t.Errorf("part %+v follows on %d", p, next)
		}
		if p.To < 1000 && (p.Bytes < 2000 || p.Bytes > 16_000) {
			t.Errorf("part of %d bytes, wanted about 4000", p.Bytes)
		}
		next, n = p.To, n+1
		return nil
	})
	if err != nil || next != 1000 || n < 3 {
		t.Errorf("%d parts up to %d, %v", n, next, err)
	}
}

// What has been read when a run is asked to end is published, and the group is told.
func TestStoppingPublishes(t *testing.T) {
	s := newStory(t, nil)
	if err := s.run(poll{rows: 7}); err != nil {
		t.Fatal(err)
	}
	s.expect("0-7:7")()
	last := s.committed[len(s.committed)-1]
	if maxMS, err := archive.ParseMetadata(last.Metadata); last.Next != 7 || err != nil || maxMS != startMS+6*7 {
		t.Errorf("committed %+v: %d, %v", last, maxMS, err)
	}
	st := s.a.Status()
	if st.Rows != 7 || st.Parts != 1 || st.Bytes == 0 || st.Publishes.Count() != 1 || st.Partitions[0].Archived != 7 || st.Partitions[0].End != 1000 {
		t.Errorf("%+v", st)
	}
}

// A store that is away is waited for, longer each time, with what was read kept.
func TestStoreIsWaitedFor(t *testing.T) {
	s := newStory(t, nil)
	err := s.run(
		poll{rows: 5, look: func() { s.bucket.down = true }},
		poll{takes: 10 * time.Minute},                    // fails
		poll{takes: 999 * time.Millisecond, rows: 3},     // what comes meanwhile is not taken
		poll{takes: time.Millisecond},                    // fails again
		poll{takes: 2 * time.Second},                     // and again
		poll{look: func() { s.bucket.down = false }},     // it is back
		poll{takes: 3 * time.Second, look: s.expect("")}, // which is found out in its time
		poll{takes: time.Second},
		poll{look: s.expect("0-5:5"), rows: 2},
	)
	if err != nil {
		t.Fatal(err)
	}
	s.expect("0-5:5 5-7:2")()
	if st := s.a.Status(); st.Failures != 3 || st.Rows != 7 {
		t.Errorf("%+v", st)
	}
	if fmt.Sprint(s.starts) != "[-2 5]" {
		t.Errorf("reading began at %v", s.starts)
	}
}

// Once the join has ended there is a limit to that.
func TestStoreIsGivenUpAtTheEnd(t *testing.T) {
	ended := make(chan struct{})
	close(ended)
	s := newStory(t, func(o *archive.Options) { o.Ended, o.Patience = ended, time.Minute })
	s.bucket.down = true
	polls := []poll{{rows: 1000}}
	for range 200 {
		polls = append(polls, poll{takes: time.Second})
	}
	if err := s.run(polls...); !errors.Is(err, errDown) || !strings.Contains(err.Error(), "rows[0]") || !strings.Contains(err.Error(), "the same command goes on") {
		t.Errorf("got %v", err)
	}
	if waited := s.now.Sub(time.Unix(1_800_000_000, 0)); waited < time.Minute || waited > 2*time.Minute {
		t.Errorf("gave up after %s", waited)
	}
}

func TestRowsThatDoNotFit(t *testing.T) {
	s := newStory(t, nil)
	s.records[0][4].Value = []byte(strings.Replace(string(s.records[0][4].Value), `"position":4`, `"position":"four"`, 1))
	err := s.run(poll{rows: 9})
	if err == nil {
		t.Fatal("a row with text for a number is archived")
	}
	for _, text := range []string{"rows[0]@4", "column position: want a value of type int", "version 1", "config 0123456789abcdef", "output.parquet.path"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q is not in: %v", text, err)
		}
	}
}

func TestGap(t *testing.T) {
	begin := func(accept bool, gap experiments.Gap) (*story, error) {
		s := newStory(t, func(o *archive.Options) { o.AcceptGap = accept })
		if err := s.run(poll{rows: 5}); err != nil {
			t.Fatal(err)
		}
		s.told, s.gap = false, &gap
		err := s.run(poll{rows: 3})
		return s, err
	}
	s, err := begin(false, experiments.Gap{First: 20, FirstMS: startMS})
	var found *archive.GapError
	if !errors.As(err, &found) || !strings.Contains(err.Error(), "rows[0] from offset 5 to 20, the first left being of 2023-11-14T22:13:20Z") || !strings.Contains(err.Error(), "--accept-gap") {
		t.Errorf("got %v", err)
	}
	s.expect("0-5:5")()
	s, err = begin(true, experiments.Gap{First: 20})
	if err != nil {
		t.Fatal(err)
	}
	s.expect("0-5:5 5-23:3")()
	if st := s.a.Status(); st.Missing != 15 {
		t.Errorf("%d offsets are missing, want 15", st.Missing)
	}
	if _, err = begin(true, experiments.Gap{Recreate: true}); !errors.As(err, &found) || !strings.Contains(err.Error(), "made anew") {
		t.Errorf("got %v", err)
	}
}

// Before anything is archived, what retention has removed is nobody's loss; after
// an archiver has begun there, it is.
func TestWhereAnEmptyDatasetBegins(t *testing.T) {
	s := newStory(t, nil)
	if err := s.run(poll{}); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(s.starts) != "[-2]" || len(s.committed) != 1 || s.committed[0].Next != 0 {
		t.Errorf("began at %v, committed %+v", s.starts, s.committed)
	}
	s.told, s.began, s.starts = false, &s.committed[0], nil
	s.gap = &experiments.Gap{First: 20}
	if err := s.run(poll{rows: 1}); !errors.As(err, new(*archive.GapError)) || fmt.Sprint(s.starts) != "[0]" {
		t.Errorf("began at %v: %v", s.starts, err)
	}
	// A group that has published somewhere else says nothing of this dataset.
	s.told, s.gap, s.starts = false, nil, nil
	s.began = &experiments.CommittedOffset{Next: 500, Metadata: "mortise-parquet1:1700000000000"}
	if err := s.run(poll{rows: 1}); err != nil || fmt.Sprint(s.starts) != "[-2]" {
		t.Errorf("began at %v: %v", s.starts, err)
	}
	s.expect("0-1:1")()
	// Another program's group is not touched.
	s.told, s.began = false, &experiments.CommittedOffset{Next: 5, Metadata: "mortise1:AAAA"}
	if err := s.run(poll{rows: 1}); err == nil || !strings.Contains(err.Error(), "another program uses this consumer group") {
		t.Errorf("got %v", err)
	}
}
