package spec

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
		}
	}
	if kept != "" && j.Partitions != 0 {
		l.fail(n.get("partitions").at, Conflict, "the source `%s` is not shuffled, so its topic says how many tasks there are", kept).Help = "leave partitions out, or shuffle every source: repartition: true"
	}
	if kept != "" && shuffled != "" && j.Partitioner != "murmur2" {
		l.fail(n.get("partitioner").at, Conflict, "the source `%s` is shuffled, with murmur2, and `%s` is not, so they would lie apart", shuffled, kept).Help = "shuffle every source: repartition: true; or partition the others with murmur2"
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
