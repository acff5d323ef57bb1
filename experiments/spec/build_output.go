package spec

import "time"

const (
	defaultRollBytes = 128 * 1000 * 1000
	defaultRollEvery = 10 * time.Minute
)

func (l *loader) output(n *node) {
	if n == nil {
		return
	}
	o := &l.exp.Output
	o.Delivery = n.get("delivery").string("exactly_once")
	l.waiting(n)
	if !n.has("topic") && !n.has("parquet") {
		l.fail(n.at, MissingKey, "output needs `topic` or `parquet`: instances go nowhere").Help = "add topic: {name: instances." + l.exp.Name + "}"
	}
	l.outputTopic(n.get("topic"))
	l.deadLetters(n.get("dead_letters"))
	if n.has("parquet") {
		l.parquet(n.get("parquet"))
	}
}

func (l *loader) outputTopic(n *node) {
	if n == nil {
		return
	}
	o := &l.exp.Output
	o.Topic = n.get("name").string("")
	l.outputFormat(n)
	for _, s := range l.exp.Sources {
		if o.Topic != "" && s.Topic == o.Topic {
			l.fail(n.get("name").at, Conflict, "the instances would go into the topic of the source `%s`", s.Name).Help = "give them a topic of their own"
		}
	}
}

// deadLetters settles where they go: by default a topic of the experiment's own.
func (l *loader) deadLetters(n *node) {
	d := &l.exp.Output.DeadLetter
	switch {
	case n == nil:
		d.Topic = "dead-letters." + l.exp.Name
		return
	case n.has("topic") && n.has("file"):
		l.fail(n.find("file").at, Conflict, "dead_letters is a topic or a file, not both").Help = "remove one of them"
		return
	case !n.has("topic") && !n.has("file"):
		l.fail(n.at, MissingKey, "dead_letters needs `topic` or `file`").Help = "leave it out for the topic dead-letters." + l.exp.Name
		return
	}
	d.Topic, d.File = n.get("topic").string(""), n.get("file").string("")
	if d.Topic == "" {
		return
	}
	if d.Topic == l.exp.Output.Topic {
		l.fail(n.get("topic").at, Conflict, "dead letters would go among the instances").Help = "give them a topic of their own"
	}
	for _, s := range l.exp.Sources {
		if s.Topic == d.Topic {
			l.fail(n.get("topic").at, Conflict, "dead letters would go into the topic of the source `%s`, and be read again", s.Name).Help = "give them a topic of their own"
		}
	}
	for i := range l.exp.Dimensions {
		if c := l.exp.Dimensions[i].Changes; c != nil && c.Topic == d.Topic {
			l.fail(n.get("topic").at, Conflict, "dead letters would go into the changes of `%s`, and be read again", l.exp.Dimensions[i].Name).Help = "give them a topic of their own"
		}
	}
}

func (l *loader) parquet(n *node) {
	if n == nil {
		return
	}
	o := &l.exp.Output
	o.Parquet = true
	o.ParquetOut = ParquetOut{
		RollSizeBytes: n.get("roll").get("size").size(defaultRollBytes),
		RollEvery:     n.get("roll").get("every").duration(defaultRollEvery),
		Partition:     []string{"dt", "hour"},
	}
	if p := n.get("path"); p != nil {
		o.ParquetOut.Path = l.folder(p)
	}
	p := n.get("partition")
	if p == nil {
		return
	}
	o.ParquetOut.Partition = append([]string{}, p.strings()...) // an empty list says: no folders
	seen := map[string]bool{}
	for _, item := range p.texts() {
		if seen[item.text] {
			l.fail(item.at, Conflict, "partition has %s twice", item.quoted())
		}
		seen[item.text] = true
	}
	if len(p.items) > 0 && p.items[0].text == "hour" {
		l.fail(p.items[0].at, Conflict, "partition by hour alone would mix days").Help = "write [dt, hour] or [dt]"
	}
}
