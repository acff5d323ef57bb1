package serving

import (
	"context"
	"fmt"
	"sync"
	"time"

	mortise "github.com/mortise-dev/mortise"
)

// skew keeps some answers until they are final, to compare them with what the
// tiles say then: what a ranker was told against what training reads.
type skew struct {
	every int

	mu       sync.Mutex
	answered int
	kept     []keptAnswer
}

// keptAnswer is one entity of one answer.
type keptAnswer struct {
	exp    *served
	view   *view
	asOfMS int64
	env    mortise.Row // as it was answered
}

// maxKept bounds the answers that wait.
const maxKept = 10_000

func newSkew(every int) *skew { return &skew{every: every} }

// keep keeps one entity of every so many answers, if not all of it was final.
func (k *skew) keep(exp *served, v *view, envs []mortise.Row, asOfMS int64, _ *freshness) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.answered++; k.answered%k.every != 0 || len(k.kept) >= maxKept {
		return
	}
	k.kept = append(k.kept, keptAnswer{exp, v, asOfMS, envs[k.answered/k.every%len(envs)]})
}

// CheckSkew asks again for what was answered and is final by now, and tells the
// meter what differs. What is not final yet waits on.
func (s *Server) CheckSkew(ctx context.Context) error {
	s.skew.mu.Lock()
	kept := s.skew.kept
	s.skew.kept = nil
	s.skew.mu.Unlock()
	var waiting []keptAnswer
	for i := range kept {
		done, err := s.checkOne(ctx, &kept[i])
		if err != nil {
			return fmt.Errorf("reading features again, to compare them: %w", err)
		}
		if !done {
			waiting = append(waiting, kept[i])
		}
	}
	s.skew.mu.Lock()
	defer s.skew.mu.Unlock()
	s.skew.kept = append(waiting, s.skew.kept...)
	return nil
}

func (s *Server) checkOne(ctx context.Context, k *keptAnswer) (done bool, err error) {
	again := make(mortise.Row, len(k.env))
	copy(again, k.env[:len(k.view.fields)])
	fresh, err := s.read(ctx, k.view, []mortise.Row{again}, k.asOfMS, 0)
	if err != nil {
		return false, err
	}
	for i := range k.view.lookups {
		l := &k.view.lookups[i]
		g := &s.gens[l.gen].Set.Groups[l.group]
		if g.AsOf(k.asOfMS) > fresh.finalMS[l.gen][g.Source] {
			return false, nil
		}
	}
	k.view.compute([]mortise.Row{again})
	for i := range k.view.columns {
		c := &k.view.columns[i]
		s.opts.Meter.Skew(k.exp.spec.Name, c.def.Name, fmt.Sprint(plain(again[c.slot])) != fmt.Sprint(plain(k.env[c.slot])))
	}
	return true, nil
}

// WatchSkew calls CheckSkew every so often until ctx ends. A store that cannot be
// read now is asked again.
func (s *Server) WatchSkew(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.CheckSkew(ctx); err != nil && ctx.Err() == nil {
				s.opts.Log.Warn("feature skew is not known", "err", err)
			}
		}
	}
}
