package main

import (
	"context"
	"errors"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/dimensions"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/experiments/telemetry"
)

// pipeline is the way of the data, in the order in which it flows:
//
//	files → experiments → plan → brokers → topics → state → inputs → workers → summary
//
// Each worker then goes, in rounds: poll → clean → join → instance → produce → commit.
// What it commits is archived from there: rows' topic → Parquet.
func (c *console) pipeline(ctx context.Context, f *runFlags, args []string) (sum *summary, err error) {
	working := false
	defer func() {
		if err != nil && ctx.Err() != nil && !working { // stopped while it was starting: there is nothing to drain
			sum, err = &summary{Experiments: []experimentSummary{}}, nil
		}
	}()
	plan, err := c.mustLoad(&f.load, args) // experiment files → pipelines that share what they can
	if err != nil {
		return nil, err
	}
	rec, err := f.openInputs(ctx, plan)
	if err != nil {
		return nil, err
	}
	brokers, err := f.cluster.open(c, &plan.Pipelines[0].Experiments[0].Kafka)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, brokers.close()) }()
	if err := brokers.prepare(ctx, plan, f.cluster.partitions, rec != nil); err != nil {
		return nil, err
	}
	if err := brokers.useRegistry(ctx, c, plan); err != nil {
		return nil, err
	}
	if err := plan.RegisterRows(ctx); err != nil {
		return nil, err
	}
	if err := f.mustNotBeginAnew(ctx, brokers, plan); err != nil {
		return nil, err
	}
	if rec, err = rec.unpublished(ctx, brokers, f.republish); err != nil {
		return nil, err
	}
	states, err := openStates(c, f.stateDir(brokers))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, states.Close()) }()
	letters := newLetterFiles(plan)
	defer func() { err = errors.Join(err, letters.close()) }()

	published := make(chan struct{})
	crew, err := c.workers(ctx, f, plan, brokers, states, letters, rec.ends(published, f.untilEnd))
	if err != nil {
		return nil, err
	}
	complete := false
	defer func() { brokers.leaveLast(crew, complete) }()
	server, err := serve(f.http, crew)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	c.announce(brokers, server, plan)
	working = true
	stop := c.watch(crew, rec)
	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { // recorded files → topics
		defer c.tellMisfits(rec)
		return rec.publishAll(running, brokers, published)
	})
	g.Go(func() error { return crew.run(running) }) // topics → instances
	err = g.Wait()
	stop()
	if err != nil {
		return nil, err
	}
	complete = f.untilEnd && ctx.Err() == nil
	return c.summarize(context.WithoutCancel(ctx), f, crew, brokers, complete)
}

// crew is the workers of a run, one a pipeline.
type crew struct {
	plan        *experiments.Plan
	workers     []*experiments.Worker
	groups      []string
	transports  []*kafka.Transport
	checkpoints []*bucketCheckpoints // of the pipelines that have some
	admin       *kafka.Admin         // for what they ask about their groups
	conn        kafka.Connection
	features    *featuring
	dims        *dimensions.Set
	changes     *changeFeeds
	shuffles    []*shuffling // per worker
	archives    []*archiving // per worker
	once        sync.Once
}

// run runs the workers until all have ended, the shufflers for as long, and the
// archivers until what was committed is archived.
func (cr *crew) run(ctx context.Context) error {
	helpers, helping := errgroup.WithContext(ctx)
	untilWorked, stop := context.WithCancel(helping)
	defer stop()
	for _, s := range cr.shuffles {
		s.run(untilWorked, helpers)
	}
	cr.features.run(untilWorked, cr.conn, helpers)
	cr.changes.run(untilWorked, helpers)
	for _, a := range cr.archives {
		a.run(helping, helpers)
	}
	helpers.Go(func() error {
		defer stop()
		workers, working := errgroup.WithContext(helping)
		for i, w := range cr.workers {
			workers.Go(func() error {
				err := w.Run(working)
				if err == nil {
					cr.archives[i].workerEnded()
				}
				return err
			})
		}
		return workers.Wait()
	})
	return helpers.Wait()
}

func (cr *crew) close() {
	cr.once.Do(func() {
		_ = cr.features.close() // what is committed is there; before the groups are left, for their embedded broker ends with the last member
		for _, t := range cr.transports {
			_ = t.Close() // what matters is committed; this leaves the group
		}
		for _, b := range cr.checkpoints {
			_ = b.Close() // nothing is under way any more
		}
		for _, a := range cr.archives {
			_ = a.close() // what is published is published
		}
		_ = cr.changes.close() // what is committed is there
		_ = cr.dims.Close()    // so is what is in the tables
		if cr.admin != nil {
			cr.admin.Close()
		}
	})
}

func (cr *crew) statuses() []experiments.Status {
	var all []experiments.Status
	for i, w := range cr.workers {
		st := w.Status()
		st.Shuffles, st.Archives = cr.shuffles[i].statuses(), cr.archives[i].statuses()
		if i == 0 {
			st.Features, st.Dimensions = cr.features.statuses(), cr.dims.Status()
			st.Shuffles = append(st.Shuffles, cr.features.shuffleStatuses()...)
		}
		all = append(all, st)
	}
	return all
}

// workers makes a worker for every pipeline, each a member of its consumer group.
func (c *console) workers(ctx context.Context, f *runFlags, plan *experiments.Plan, cl *cluster, states *diskStates, letters *letterFiles, inputDone <-chan struct{}) (_ *crew, err error) {
	cr := &crew{plan: plan, conn: cl.Connection, features: &featuring{}}
	defer func() {
		if err != nil {
			cr.close()
		}
	}()
	id, err := workerID(f.stateDir(cl))
	if err != nil {
		return nil, err
	}
	if cr.admin, err = kafka.OpenAdmin(ctx, cl.Connection); err != nil {
		return nil, err
	}
	if cr.features, err = c.features(ctx, f.featureOptions(plan, cl, id), plan, cl, letters, inputDone); err != nil {
		return nil, err
	}
	if cr.dims, err = c.dimensions(ctx, plan, dimensions.Options{Keep: true}); err != nil {
		return nil, err
	}
	if cr.changes, err = c.changes(ctx, f, plan, cr.dims, cl, id, letters, inputDone); err != nil {
		return nil, err
	}
	for _, p := range plan.Pipelines {
		group := f.groupOf(plan, p)
		tasks, err := p.Tasks(cl.partitions)
		if err != nil {
			return nil, err
		}
		through, ways := p.Shuffled(group)
		sh, err := c.shuffle(ctx, f, cr, cl, ways, tasks, id, inputDone)
		if err != nil {
			return nil, err
		}
		through, rows := through.Archived(group)
		ar, err := c.archive(ctx, f, cr, cl, through, rows, group, tasks, id, sh.inputDone(inputDone, f.untilEnd))
		if err != nil {
			return nil, err
		}
		opts := kafka.Options{Group: group, Inputs: through.Inputs(), Outputs: through.Outputs(),
			ExactlyOnce: p.Experiments[0].Output.Delivery == "exactly_once", TransactionalID: group + "." + id,
			Warm: func() []int32 { return states.partitions(group) }}
		if cl.embedded != "" {
			opts.TransactionalIDSuffix = kafka.FreshSuffix()
		}
		wo := experiments.WorkerOptions{
			Partitions: int(tasks), UntilEnd: f.untilEnd, InputDone: ar.inputDone(), Log: c.logger(), Letters: letters.write,
			CommitEvery: f.commitEvery, CloseRows: f.closeRows, AcceptGap: f.acceptGap, Profile: f.report != "",
			Group: &kafka.GroupView{Admin: cr.admin, Group: group, Inputs: through.Inputs()},
		}
		if err := cl.parks(ctx, through, group, tasks, cr.admin, &opts, &wo); err != nil {
			return nil, err
		}
		t, err := cl.join(ctx, opts)
		if err != nil {
			return nil, err
		}
		cr.transports = append(cr.transports, t)
		if wo.Enrichment, err = cr.features.enrichment(ctx, p); err != nil {
			return nil, err
		}
		wo.Dimensions = cr.dims.For(p)
		checkpoints, every, err := c.checkpoints(ctx, f, p, states.db, group, id)
		if err != nil {
			return nil, err
		}
		if checkpoints != nil {
			cr.checkpoints = append(cr.checkpoints, checkpoints)
			wo.Checkpoints, wo.CheckpointEvery = checkpoints, every
		}
		w, err := experiments.NewWorker(through, t, states, group, wo)
		if err != nil {
			return nil, err
		}
		cr.workers, cr.groups, cr.shuffles = append(cr.workers, w), append(cr.groups, group), append(cr.shuffles, sh)
	}
	return cr, nil
}

// groupOf names a pipeline's consumer group, and with it its state.
func (f *runFlags) groupOf(plan *experiments.Plan, p *experiments.Pipeline) string {
	base := f.group
	if base == "" {
		base = p.Experiments[0].Kafka.ConsumerGroup
	}
	switch {
	case base == "":
		return "mortise." + p.Name()
	case len(plan.Pipelines) > 1:
		return base + "." + p.Name()
	}
	return base
}

// stateDir is where local state is kept.
func (f *runFlags) stateDir(cl *cluster) string {
	switch {
	case f.state != "":
		return f.state
	case cl.embedded != "":
		return filepath.Join(cl.embedded, "state")
	}
	return "mortise-state"
}

// endpoint is the HTTP server of a run; nil when there is none.
type endpoint struct{ server *telemetry.Server }

func serve(addr string, cr *crew) (*endpoint, error) {
	if addr == "" {
		return &endpoint{}, nil
	}
	s, err := telemetry.Serve(addr, cr.statuses)
	if err != nil {
		return nil, err
	}
	return &endpoint{s}, nil
}

// announce tells where the run can be reached: its HTTP server, and on a
// terminal how a client of the user's own reads along.
func (c *console) announce(cl *cluster, e *endpoint, plan *experiments.Plan) {
	if e.server != nil {
		c.say("metrics and status on http://%s", e.server.Addr())
	}
	if cl.embedded == "" || !isTerminal(c.err) {
		return
	}
	read := "-L"
	if _, outputs := planTopics(plan); len(outputs) > 0 {
		read = "-C -t " + outputs[0]
	}
	c.say("embedded broker in %s on %s; from another terminal: kcat -b %s %s", cl.embedded, cl.address(), cl.address(), read)
}

func (e *endpoint) close() error {
	if e.server == nil {
		return nil
	}
	return e.server.Close()
}
