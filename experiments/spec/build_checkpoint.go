package spec

import "time"

const (
	defaultCheckpointEvery = time.Minute
	defaultCheckpointKeep  = 3
	maxCheckpointKeep      = 1000
)

// checkpoint settles where copies of the state go.
func (l *loader) checkpoint(n *node) Checkpoint {
	c := Checkpoint{
		Every: n.get("every").duration(defaultCheckpointEvery),
		Keep:  int(n.get("keep").int(defaultCheckpointKeep)),
	}
	if p := n.get("path"); p != nil {
		c.Path = l.folder(p)
		if out := &l.exp.Output; out.Parquet && Overlap(c.Path, out.ParquetOut.Path) {
			l.fail(p.at, Conflict, "checkpoints would lie among the Parquet files of output.parquet").Help = "give them a folder of their own"
		}
	}
	if c.Keep > maxCheckpointKeep {
		l.fail(n.get("keep").at, BadValue, "keep is at most %d", maxCheckpointKeep)
	}
	return c
}
