package experiments

import (
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/ab"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/joiner"
)

// Status is what a worker is doing, as of its last round.
type Status struct {
	Pipeline    string             `json:"pipeline"`
	Group       string             `json:"group"`
	Experiments []ExperimentStatus `json:"experiments"`
	Tasks       []TaskStatus       `json:"tasks"`
	Rounds      int64              `json:"rounds"`
	Opening     int                `json:"opening"`    // tasks whose state is being opened or restored
	Rebuilding  int                `json:"rebuilding"` // tasks that are still rebuilding their state
	Aborts      int64              `json:"aborts"`     // how often what was not committed was thrown away
	Commits     Durations          `json:"commits"`
	Checkpoints *CheckpointStatus  `json:"checkpoints,omitempty"`
	Shuffles    []ShuffleStatus    `json:"shuffles,omitempty"`    // of the pipeline's topics, in this process
	Archives    []ArchiveStatus    `json:"archives,omitempty"`    // of the pipeline's experiments, in this process
	Parking     *ParkingStatus     `json:"parking,omitempty"`     // nil where no row may wait
	Corrections *ParkingStatus     `json:"corrections,omitempty"` // rows that may be corrected; nil where none may
	Features    []FeatureStatus    `json:"features,omitempty"`    // of all pipelines, in this process; with the first
	Dimensions  []DimensionStatus  `json:"dimensions,omitempty"`  // of all pipelines, in this process; with the first
	// Others are the accounts of the group's other tasks, by experiment, once it has
	// come to the end.
	Others []mortise.Ledger `json:"-"`
}

// ParkingStats is what became of rows that waited for dimensions beyond the close
// of their impression, or to be corrected, in this process.
type ParkingStats struct {
	Found   int64     `json:"found"`   // written with all that they waited for
	InVain  int64     `json:"in_vain"` // written without, when their time was over
	Refused int64     `json:"refused"` // written without, before it was: too many waited
	Waited  Durations `json:"waited"`  // of those that found it
}

func (s *ParkingStats) add(o *ParkingStats) {
	s.Found, s.InVain, s.Refused = s.Found+o.Found, s.InVain+o.InVain, s.Refused+o.Refused
	s.Waited.Add(&o.Waited)
}

// ParkingStatus is the rows of a worker that wait.
type ParkingStatus struct {
	ParkingStats
	Topic string `json:"topic"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"` // of memory
	// OldestMS is since when the one waits that has waited longest, ms UTC; 0 where
	// none waits.
	OldestMS int64 `json:"oldest_ms,omitempty"`
}

// FeatureStatus is how far the features of one source are in one process.
type FeatureStatus struct {
	Generation  int      `json:"generation"`
	Source      string   `json:"source"` // its name
	Topic       string   `json:"topic"`
	Features    []string `json:"features"`     // their names
	WatermarkMS int64    `json:"watermark_ms"` // tiles before it are final; 0 when nothing is
	LagRecords  int64    `json:"lag_records"`
	Unreadable  int64    `json:"unreadable"` // records that features could not use
	// CompleteFromMS is, by feature, the least time as of which its window lies within
	// what is kept; features that are complete for all time are left out.
	CompleteFromMS map[string]int64     `json:"complete_from_ms,omitempty"`
	Writer         features.WriterStats `json:"writer"`
}

// DimensionStatus is how one dimension is read in one process.
type DimensionStatus struct {
	ID          string        `json:"id"`
	Name        string        `json:"name"`        // as the first experiment calls it
	Experiments []string      `json:"experiments"` // whose rows have it
	Store       string        `json:"store"`       // its kind
	AsOf        string        `json:"as_of"`
	Stats       dimjoin.Stats `json:"stats"`
	Clusters    *ab.Stats     `json:"clusters,omitempty"` // of an ab store
	Changes     *ChangeStatus `json:"changes,omitempty"`  // where a change stream keeps the table
}

// ChangeStatus is how far a change stream is in its table, as of its last commit, and
// what has become of its changes in this process.
type ChangeStatus struct {
	Topic      string `json:"topic"`
	LagRecords int64  `json:"lag_records"`
	FinalMS    int64  `json:"final_ms"`   // rows of event times before it find every change; 0 before any
	Changes    int64  `json:"changes"`    // read
	Unchanged  int64  `json:"unchanged"`  // that changed nothing
	Late       int64  `json:"late"`       // older than what is remembered of their key
	Unreadable int64  `json:"unreadable"` // records that went to dead letters
}

// ArchiveStatus is what archiving an experiment's rows as Parquet is doing in one
// worker, as of its last round. Counts are of this process.
type ArchiveStatus struct {
	Experiment string             `json:"experiment"`
	Path       string             `json:"path"` // of the dataset, without secrets
	Topic      string             `json:"topic"`
	Group      string             `json:"group"`
	Rows       int64              `json:"rows"`      // published
	Bytes      int64              `json:"bytes"`     // of their files
	Parts      int64              `json:"parts"`     // published; a part is a file in each hour that it has rows of
	Completed  int64              `json:"completed"` // folders that were given _SUCCESS
	Foreign    int64              `json:"foreign"`   // records of the topic that are no rows of the experiment
	Missing    int64              `json:"missing"`   // offsets that the topic no longer held, passed over with --accept-gap
	Failures   int64              `json:"failures"`  // of the dataset's store or the local disk
	Publishes  Durations          `json:"publishes"`
	Partitions []ArchivePartition `json:"partitions"` // that this worker archives
}

// ArchivePartition is how far one partition of the rows' topic is archived.
type ArchivePartition struct {
	Partition int32         `json:"partition"`
	Archived  int64         `json:"archived"`   // the dataset has all rows before this offset
	End       int64         `json:"end"`        // the partition's end as last seen
	Waiting   time.Duration `json:"waiting_ns"` // how long the oldest of what lies between has been there
	OpenRows  int64         `json:"open_rows"`
	OpenBytes int64         `json:"open_bytes"`
	MaxTimeMS int64         `json:"max_time_ms"` // greatest event time published; joiner.NoTimeMS before any
}

// ShuffleStatus is what a shuffle is doing in one worker, as of its last round.
type ShuffleStatus struct {
	Source     string         `json:"source"`
	Group      string         `json:"group"`
	Origin     string         `json:"origin"` // the topic that is shuffled
	Topic      string         `json:"topic"`  // the internal one
	Records    int64          `json:"records"`
	Unreadable int64          `json:"unreadable"` // of them, without a partition_by
	Left       int64          `json:"left"`       // of them, that nothing behind the shuffle needs and that were not sent on
	SentBytes  int64          `json:"sent_bytes"` // keys and values of those that were
	Lost       int64          `json:"lost"`       // that the topic no longer held
	Commits    int64          `json:"commits"`
	Origins    []OriginStatus `json:"origins"` // the partitions that this worker reads
}

// OriginStatus is how far one partition of a shuffled topic has been read.
type OriginStatus struct {
	Partition int32 `json:"partition"`
	Next      int64 `json:"next"`
	High      int64 `json:"high"`
	MaxTimeMS int64 `json:"max_time_ms"` // joiner.NoTimeMS before any event
	Idle      bool  `json:"idle"`
}

// ExperimentStatus is one experiment's account over the worker's tasks.
type ExperimentStatus struct {
	Name   string         `json:"name"`
	Ledger mortise.Ledger `json:"ledger"`
}

// TaskStatus is where one task stands.
type TaskStatus struct {
	Partition   int32         `json:"partition"`
	WatermarkMS int64         `json:"watermark_ms"` // joiner.NoTimeMS when nothing is known
	Holding     string        `json:"holding"`      // the input that holds the watermark back; empty when none does
	Inputs      []InputStatus `json:"inputs"`
	Pending     int64         `json:"pending"`
	StateBytes  int64         `json:"state_bytes"`
	StateFiles  int           `json:"state_files"`
	// CheckpointMS is when the state was last copied, ms UTC; 0 when this worker
	// has not.
	CheckpointMS int64    `json:"checkpoint_ms,omitempty"`
	Takeover     Takeover `json:"takeover"`
}

// InputStatus is how far one input of a task has been read.
type InputStatus struct {
	Topic     string `json:"topic"`
	Next      int64  `json:"next"`
	High      int64  `json:"high"` // the topic's end as last seen
	MaxTimeMS int64  `json:"max_time_ms"`
	Idle      bool   `json:"idle"`
}

// Status returns a copy of what the worker did last. Safe for concurrent use.
func (w *Worker) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.status
	s.Experiments = append([]ExperimentStatus(nil), s.Experiments...)
	s.Tasks = append([]TaskStatus(nil), s.Tasks...)
	return s
}

// observe renews the status after a round.
func (w *Worker) observe(nowMS int64) {
	s := Status{Pipeline: w.pipeline.Name(), Group: w.name, Commits: w.commits,
		Opening: len(w.opening), Aborts: w.aborts}
	for exp, e := range w.pipeline.Experiments {
		es := ExperimentStatus{Name: e.Name}
		for _, r := range w.runners {
			l := r.task.Ledger(exp)
			es.Ledger.Add(&l)
		}
		s.Experiments = append(s.Experiments, es)
	}
	for _, r := range w.runners {
		if r.rebuild != nil {
			s.Rebuilding++
		}
		s.Tasks = append(s.Tasks, r.status(nowMS))
	}
	w.mu.Lock()
	s.Rounds = w.status.Rounds + 1
	if w.opts.Checkpoints != nil {
		c := w.checkpoints
		s.Checkpoints = &c
	}
	s.Parking = w.parkingStatus(w.patience.Every > 0, w.waited, func(r *runner) *parking { return r.parked })
	s.Corrections = w.parkingStatus(w.amends.Every > 0, w.amended, func(r *runner) *parking { return r.amends })
	w.status = s
	w.mu.Unlock()
}

func (r *runner) status(nowMS int64) TaskStatus {
	t := TaskStatus{Partition: r.partition, WatermarkMS: r.clock.Current(), CheckpointMS: r.checkpointMS, Takeover: r.takeover.Takeover}
	if in := r.clock.Holding(nowMS); in >= 0 {
		t.Holding = r.pipeline.Sources[in].Topic
	}
	for in := range r.pipeline.Sources {
		t.Inputs = append(t.Inputs, InputStatus{Topic: r.pipeline.Sources[in].Topic, Next: r.next[in], High: r.high[in], MaxTimeMS: r.clock.MaxTimeMS(in), Idle: r.clock.Idle(in, nowMS)})
	}
	for kind := joiner.LogKind(0); kind < joiner.NumLogs; kind++ {
		ls := r.store.Log(kind).Stats()
		t.StateBytes += ls.Bytes
		t.StateFiles += ls.Files
		if kind == joiner.Impressions {
			t.Pending = ls.Entries
		}
	}
	return t
}
