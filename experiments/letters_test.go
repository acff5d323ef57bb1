package experiments

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

// tightTransport takes records of at most limit bytes.
type tightTransport struct {
	Transport
	limit int
	got   []string
}

func (t *tightTransport) Produce(o *Output) error {
	if len(o.Value) > t.limit {
		return ErrTooLarge
	}
	t.got = append(t.got, string(o.Value))
	return nil
}

func (t *tightTransport) Commit(context.Context, map[TopicPartition]CommittedOffset) error {
	return nil
}

// A dead letter that the topic does not take whole keeps its place and as much
// of the record as fits.
func TestLettersShrinkToFit(t *testing.T) {
	tr := &tightTransport{limit: 2000}
	w := &Worker{transport: tr}
	w.opts.EnsureDefaults()
	enc := &letterEncoder{topic: "dead"}
	dl := &mortise.DeadLetter{Source: "imps", Topic: "feed", Partition: 3, Offset: 77, Reason: mortise.ReasonBadJSON, Raw: []byte(strings.Repeat("x", 100_000))}
	if err := w.produceShrinking(enc, dl, enc.encode(dl)); err != nil {
		t.Fatal(err)
	}
	var got letterJSON
	if err := json.Unmarshal([]byte(tr.got[0]), &got); err != nil {
		t.Fatal(err)
	}
	if got.Offset != 77 || got.RawBytes != 100_000 || got.Raw == nil || len(*got.Raw) < 400 {
		t.Errorf("got %+v", got)
	}
	tr.limit = 10
	if err := w.produceShrinking(enc, dl, enc.encode(dl)); err == nil {
		t.Error("a topic that takes nothing took a letter")
	}
}
