package spec

import (
	"slices"
	"strings"
)

// repartition settles which sources are shuffled on their way to the join, and
// checks what that leaves open. main may be nil.
func (l *loader) repartition(n *node, main *sourceNode) {
	j := &l.exp.Join
	j.Partitions = int(n.get("partitions").int(0))
	var kept, shuffled string // a source of either kind
	for _, info := range l.joined(main) {
		s := info.source
		if s.Repartition = s.Repartition || n.get("repartition").bool(false); s.Repartition {
			shuffled = s.Name
		} else {
			kept = s.Name
			l.oneKey(info, main)
		}
	}
	l.onePlacement(n)
	if kept != "" && j.Partitions != 0 {
		l.fail(n.get("partitions").at, Conflict, "the source `%s` is not shuffled, so its topic says how many tasks there are", kept).Help = "leave partitions out, or shuffle every source: repartition: true"
	}
	if kept != "" && shuffled != "" && j.Partitioner != "murmur2" {
		l.fail(n.get("partitioner").at, Conflict, "the source `%s` is shuffled, with murmur2, and `%s` is not, so they would lie apart", shuffled, kept).Help = "shuffle every source: repartition: true; or partition the others with murmur2"
	}
}

// oneKey checks that a source that the join reads as it is does not say to be keyed
// by anything else than the join needs.
func (l *loader) oneKey(info, main *sourceNode) {
	s := info.source
	if len(s.PartitionBy) == 0 {
		return
	}
	need := l.exp.Join.PartitionBy
	if info != main {
		need = nil
		for _, label := range l.exp.Join.Labels {
			if label.Source != s.Name || need != nil {
				continue
			}
			for _, by := range l.exp.Join.PartitionBy {
				for _, pair := range label.On {
					if pair.Main == by {
						need = append(need, pair.Label)
					}
				}
			}
		}
	}
	if !slices.Equal(s.PartitionBy, need) {
		l.fail(info.keyedAt, Conflict, "the topic of `%s` is keyed by %s, and the join needs it keyed by %s", s.Name, strings.Join(s.PartitionBy, ", "), strings.Join(need, ", ")).
			Help = "have it shuffled: repartition: true; or leave partition_by out here, if it is keyed as the join says"
	}
}

// onePlacement checks that labels of one source, or of one topic as it is, find
// partition_by in the same of its fields: it can be partitioned by one of them only.
func (l *loader) onePlacement(n *node) {
	j := &l.exp.Join
	type placed struct{ label, by string }
	seen := map[string]placed{} // by topic, or by source where that is shuffled
	for _, label := range j.Labels {
		by := ""
		for _, main := range j.PartitionBy {
			for _, pair := range label.On {
				if pair.Main == main {
					by += " `" + pair.Label + "`"
				}
			}
		}
		info := l.sources[label.Source]
		if info == nil {
			continue
		}
		at := "topic " + info.source.Topic
		if info.source.Repartition {
			at = "source " + label.Source
		}
		first, ok := seen[at]
		if !ok {
			seen[at] = placed{label.Name, by}
			continue
		}
		if e := n.get("labels").find(label.Name); by != first.by && by != "" && first.by != "" && e != nil {
			l.fail(e.at, BadKey, "the label `%s` finds partition_by in%s of the source `%s`, and `%s` in%s: its topic can be partitioned by one of them only",
				label.Name, by, label.Source, first.label, first.by).Help = "declare the topic as two sources and shuffle one of them: repartition: true"
		}
	}
}

// joined lists the sources that the join reads, each once.
func (l *loader) joined(main *sourceNode) (all []*sourceNode) {
	if main != nil {
		all = append(all, main)
	}
	seen := map[string]bool{}
	for _, label := range l.exp.Join.Labels {
		if info := l.sources[label.Source]; info != nil && info != main && !seen[label.Source] {
			seen[label.Source] = true
			all = append(all, info)
		}
	}
	return all
}
