package experiments

import (
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/profile"
)

// How a worker learns what its rows are like. A task collects for itself, without
// locks; what it has collected is the worker's once it is committed, and forgotten
// with the rows when it is not.

// NewProfile makes an empty profile of an experiment's rows.
func (p *Pipeline) NewProfile(exp int) *profile.Profile {
	e := p.Experiments[exp]
	outcomes := make([]bool, len(e.Join.Labels))
	for i := range e.Join.Labels {
		outcomes[i] = e.Join.Labels[i].Within > 0
	}
	return profile.New(p.columns[exp], outcomes)
}

// profiled has a task's rows profiled.
func (o *outbox) profiled(p *Pipeline) {
	o.profile = make([]*profile.Profile, len(p.Experiments))
	o.newProfile = p.NewProfile
}

// observe adds a row to its experiment's profile.
func (o *outbox) observe(exp int, in *instances.Instance) {
	if o.profile[exp] == nil {
		o.profile[exp] = o.newProfile(exp)
	}
	o.profile[exp].Add(in)
}

// keepProfile takes over what a task has collected up to a commit.
func (w *Worker) keepProfile(r *runner) {
	for exp, p := range r.out.profile {
		if p == nil {
			continue
		}
		w.mu.Lock()
		if w.profiles == nil {
			w.profiles = make([]*profile.Profile, len(w.pipeline.Experiments))
		}
		if w.profiles[exp] == nil {
			w.profiles[exp] = w.pipeline.NewProfile(exp)
		}
		w.profiles[exp].Merge(p)
		w.mu.Unlock()
		r.out.profile[exp] = nil
	}
}

// Profile sums up the rows of an experiment that this worker has committed; nil
// without WorkerOptions.Profile. A commit whose outcome is not known, as when a
// broker fails in it, is not in it. It may be called from any goroutine.
func (w *Worker) Profile(exp int) *profile.Summary {
	if !w.opts.Profile {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.profiles) == 0 || w.profiles[exp] == nil {
		return w.pipeline.NewProfile(exp).Summary()
	}
	return w.profiles[exp].Summary()
}
