package dimjoin

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// How what the cache does not hold is asked for.
//
// Of a table with history one answer often is the answer of all times of a batch.
// So a key is asked for at one time first, together with whichever other batches
// ask for it; what that leaves open is asked for at one time again, and then at
// every time that is left.
const (
	roundShared = iota
	roundAlone
	roundAll
	rounds
)

// resolve answers what is open, by the table or by what is left without it.
func (r *Reader) resolve(ctx context.Context, answers []Answer, b *batch, nowMS int64, t *tally) {
	timer := time.NewTimer(r.opts.Deadline)
	defer timer.Stop()
	left, inTime := b.open, true
	for round := 0; round < rounds && len(left) > 0 && inTime; round++ {
		for _, c := range r.ask(answers, left, round) {
			r.start(c)
		}
		inTime = wait(ctx, timer, left)
		n := 0
		for _, o := range left {
			if !r.settle(answers, b, &o, nowMS, t) {
				left[n] = o
				n++
			}
		}
		left = left[:n]
	}
	for _, o := range left {
		r.fromPast(&answers[o.answer], b.groups[o.group].entry, nowMS, errTimeout, t)
	}
}

// settle answers o if the round's answer is one of its time.
func (r *Reader) settle(answers []Answer, b *batch, o *open, nowMS int64, t *tally) bool {
	a, c := &answers[o.answer], o.found.call
	if err := c.outcome(); err != nil {
		r.fromPast(a, b.groups[o.group].entry, nowMS, err, t)
		return true
	}
	l := &c.lookups[o.found.index]
	if l.AsOfMS != a.AsOfMS && !l.answers(a.AsOfMS) {
		return false
	}
	r.fromTable(a, l, t)
	return true
}

// answers reports whether an answer is that of event time t as well.
func (l *Lookup) answers(t int64) bool {
	v := version{fromMS: l.FromMS, toMS: l.ToMS}
	return l.FromMS == 0 && l.ToMS == 0 || v.covers(t)
}

// ask finds or makes the calls in which every key that is left, or every time of it,
// is answered, and returns those that it made.
func (r *Reader) ask(answers []Answer, left []open, round int) (made []*call) {
	slices.SortFunc(left, func(a, b open) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(answers[b.answer].AsOfMS, answers[a.answer].AsOfMS))
	})
	sharing := round == roundShared
	if sharing {
		r.mu.Lock()
		defer r.mu.Unlock()
	}
	for i := range left {
		o := &left[i]
		a := &answers[o.answer]
		if i > 0 && left[i-1].group == o.group && (round != roundAll || answers[left[i-1].answer].AsOfMS == a.AsOfMS) {
			o.found = left[i-1].found
			continue
		}
		if sharing {
			if p, ok := r.asked[string(a.Key)]; ok {
				o.found = p
				r.count.shared.Add(1)
				continue
			}
		}
		if n := len(made); n == 0 || len(made[n-1].lookups) == r.opts.MaxBatch {
			made = append(made, &call{done: make(chan struct{}), sharing: sharing})
		}
		o.found = made[len(made)-1].add(a)
		if sharing {
			r.asked[o.found.call.keys[o.found.index]] = o.found
		}
	}
	return made
}

// refresh reads keys again beside what waits, if the store has nothing else to do.
func (r *Reader) refresh(answers []Answer, which []int) {
	select {
	case r.slots <- struct{}{}:
	default:
		return
	}
	c := &call{done: make(chan struct{}), holds: true, sharing: true}
	r.mu.Lock()
	for _, i := range which {
		a := &answers[i]
		if _, ok := r.asked[string(a.Key)]; !ok && len(c.lookups) < r.opts.MaxBatch {
			p := c.add(a)
			r.asked[c.keys[p.index]] = p
		}
	}
	r.mu.Unlock()
	if len(c.lookups) == 0 {
		<-r.slots
		return
	}
	r.count.refreshed.Add(int64(len(c.lookups)))
	r.start(c)
}

// wait waits until every call of left has ended. It reports false where the timer
// or ctx came first.
func wait(ctx context.Context, timer *time.Timer, left []open) bool {
	var last *call
	for i := range left {
		c := left[i].found.call
		if c == last {
			continue
		}
		last = c
		select {
		case <-c.done:
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}
