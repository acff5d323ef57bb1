package traffic

// Summary says what a generator has made. Junk is counted as such only,
// whatever else the record was.
type Summary struct {
	Options     Options       `json:"options"`
	Impressions StreamSummary `json:"impressions"`
	Clicks      StreamSummary `json:"clicks"`
	Orders      StreamSummary `json:"orders"`
	Queries     StreamSummary `json:"queries"`
}

// StreamSummary counts one stream's lines. Lines includes all that follow.
type StreamSummary struct {
	Lines      int64 `json:"lines"`
	Bytes      int64 `json:"bytes"` // uncompressed, newlines included
	Duplicates int64 `json:"duplicates"`
	Late       int64 `json:"late"`
	Orphans    int64 `json:"orphans"`
	Junk       int64 `json:"junk"`
	FirstMS    int64 `json:"first_ms"` // least and greatest event time, 0 when there are no lines
	LastMS     int64 `json:"last_ms"`
}

// Stream returns one stream's part.
func (s *Summary) Stream(stream Stream) *StreamSummary {
	switch stream {
	case Clicks:
		return &s.Clicks
	case Orders:
		return &s.Orders
	case Queries:
		return &s.Queries
	default:
		return &s.Impressions
	}
}

// Lines sums up all streams.
func (s *Summary) Lines() (n int64) {
	for stream := range NumStreams {
		n += s.Stream(stream).Lines
	}
	return n
}

func (s *Summary) count(e *Event) {
	t := s.Stream(e.Stream)
	if t.Lines == 0 || e.TimeMS < t.FirstMS {
		t.FirstMS = e.TimeMS
	}
	t.LastMS = max(t.LastMS, e.TimeMS)
	t.Lines++
	t.Bytes += int64(len(e.Line)) + 1
	if e.Faults&Junk != 0 {
		t.Junk++
		return
	}
	t.Duplicates += int64(e.Faults & Duplicate)
	t.Late += int64(e.Faults & Late / Late)
	t.Orphans += int64(e.Faults & Orphan / Orphan)
}
