package experiments

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// letterEncoder writes one experiment's dead letters.
type letterEncoder struct{ topic string }

func newLetterEncoder(e *spec.Experiment) *letterEncoder {
	return &letterEncoder{topic: e.Output.DeadLetter.Topic}
}

// letterJSON is a dead letter as written: raw where the record is text, else
// raw_base64.
type letterJSON struct {
	Experiment string  `json:"experiment"`
	Source     string  `json:"source"`
	Topic      string  `json:"topic"`
	Partition  int32   `json:"partition"`
	Offset     int64   `json:"offset"`
	Reason     string  `json:"reason"`
	Error      string  `json:"error"`
	Raw        *string `json:"raw,omitempty"`
	RawBase64  string  `json:"raw_base64,omitempty"`
	RawBytes   int     `json:"raw_bytes,omitempty"` // how long the record is, where only its beginning fits
}

func (enc *letterEncoder) encode(dl *mortise.DeadLetter) []byte {
	return enc.encodeCut(dl, len(dl.Raw))
}

// encodeCut writes the letter with the first keep bytes of the raw record.
func (enc *letterEncoder) encodeCut(dl *mortise.DeadLetter, keep int) []byte {
	l := letterJSON{Experiment: dl.Experiment, Source: dl.Source, Topic: dl.Topic, Partition: dl.Partition, Offset: dl.Offset, Reason: dl.Reason.String(), Error: dl.Detail}
	if keep < len(dl.Raw) {
		l.RawBytes = len(dl.Raw)
	}
	if raw := string(dl.Raw[:keep]); utf8.ValidString(raw) {
		l.Raw = &raw
	} else {
		l.RawBase64 = base64.StdEncoding.EncodeToString(dl.Raw[:keep])
	}
	b, err := json.Marshal(&l)
	if err != nil {
		return []byte(strconv.Quote(err.Error())) // strings and numbers always marshal
	}
	return b
}

// EncodeLetter writes a dead letter as a worker does: one JSON object.
func EncodeLetter(dl *mortise.DeadLetter) []byte {
	return (&letterEncoder{}).encode(dl)
}

func (enc *letterEncoder) headers(dl *mortise.DeadLetter) []Header {
	return []Header{
		{Key: ExperimentHeader, Value: []byte(dl.Experiment)},
		{Key: "mortise-source", Value: []byte(dl.Source)},
		{Key: "mortise-reason", Value: []byte(dl.Reason.String())},
	}
}

// Headers of every instance: which experiment made it, in which version, and the
// hash of its file.
const (
	ExperimentHeader = "mortise-experiment"
	VersionHeader    = "mortise-version"
	ConfigHeader     = "mortise-config"
)

// recordHeaders are the headers of every instance of an experiment.
func recordHeaders(e *spec.Experiment) []Header {
	return []Header{
		{Key: ExperimentHeader, Value: []byte(e.Name)},
		{Key: VersionHeader, Value: []byte(strconv.Itoa(e.Version))},
		{Key: ConfigHeader, Value: []byte(e.Hash)},
	}
}
