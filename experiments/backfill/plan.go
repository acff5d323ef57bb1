package backfill

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/mortise-dev/mortise/experiments/backfill/extsort"
)

const (
	// splitBytes is how much one split is to hold, of records as they are read.
	splitBytes = 1 << 30
	// smallSplitBytes is the least for which another split is worth its files, as
	// long as there are few.
	smallSplitBytes = 32 << 20
	fewSplits       = 8
)

// Splits is how many splits so many bytes of input are divided into, unless the
// caller says otherwise: whatever the machine, so that every shard comes to the
// same.
func Splits(inputBytes int64) int {
	return int(min(max(min(inputBytes/smallSplitBytes, fewSplits), inputBytes/splitBytes, 1), extsort.MaxSplits))
}

// cutBytes is the size of the pieces that inputs are cut into, for several
// workers to read.
func cutBytes(inputBytes int64) int64 { return min(max(inputBytes/64, 8<<20), 256<<20) }

// request is what is to be backfilled: two runs of equal requests write the same
// dataset.
type request struct {
	Experiment string      `json:"experiment"`
	Version    int         `json:"version"`
	Config     string      `json:"config"`
	FromMS     *int64      `json:"from_ms,omitempty"`
	ToMS       *int64      `json:"to_ms,omitempty"`
	Splits     int         `json:"splits,omitempty"` // as asked for
	Inputs     []laneInput `json:"inputs"`
}

type laneInput struct {
	Sources []string `json:"sources"`
	Data    []string `json:"data"`
}

// fingerprint identifies the request.
func (r *request) fingerprint() string {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // texts and numbers always marshal
	}
	sum := sha256.Sum256(text)
	return fmt.Sprintf("%x", sum[:12])
}

// plan is a request once somebody has begun with it. It lies in the dataset's
// folder, where every shard, and every run that goes on with it, finds it.
type plan struct {
	request
	// Count is how many splits there are.
	Count int `json:"split_count"`
	// Bounds says, per source that is read from a topic, up to where.
	Bounds map[string]json.RawMessage `json:"bounds,omitempty"`
	// NowMS is when it was begun: the wall clock by which events from the future are
	// told, the same for all that work on it.
	NowMS int64 `json:"now_ms"`
}

const planKey = ownFolder + "plan.json"

// ownFolder is where what is the backfill's own lies in a dataset's folder.
const ownFolder = "_mortise/backfill/"

// layDown writes the plan, or reads the one that another has written.
func layDown(ctx context.Context, b Bucket, p *plan) (*plan, error) {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, err
	}
	err = b.Create(ctx, planKey, bytes.NewReader(text))
	if err == nil {
		return p, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readPlan(ctx, b, &p.request)
}

func readPlan(ctx context.Context, b Bucket, r *request) (*plan, error) {
	p := &plan{}
	if err := readJSON(ctx, b, planKey, p); err != nil {
		return nil, err
	}
	if p.fingerprint() != r.fingerprint() {
		return nil, &OtherPlanError{Where: b.String(), There: p.request, Asked: *r}
	}
	return p, nil
}

func readJSON(ctx context.Context, b Bucket, key string, into any) (err error) {
	body, err := b.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	text, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("reading %s in %s: %w", key, b, err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("reading %s in %s: %w: it is not what a backfill writes", key, b, err)
	}
	return nil
}
