package spec

import (
	"slices"
	"strings"
	"time"
)

const (
	defaultCheckpointEvery = time.Minute
	defaultCheckpointKeep  = 3
	maxCheckpointKeep      = 1000
)

// checkpointSchemes are the object stores that a path can name.
var checkpointSchemes = []string{"s3", "gs", "azblob", "file"}

// checkpoint settles where copies of the state go.
func (l *loader) checkpoint(n *node) Checkpoint {
	c := Checkpoint{
		Path:  n.get("path").string(""),
		Every: n.get("every").duration(defaultCheckpointEvery),
		Keep:  int(n.get("keep").int(defaultCheckpointKeep)),
	}
	if c.Keep > maxCheckpointKeep {
		l.fail(n.get("keep").at, BadValue, "keep is at most %d", maxCheckpointKeep)
	}
	scheme, rest, isURL := strings.Cut(c.Path, "://")
	switch {
	case !isURL:
	case !slices.Contains(checkpointSchemes, scheme):
		l.fail(n.get("path").at, BadValue, "path takes a directory or a URL of %s, not of `%s`", strings.Join(checkpointSchemes, ", "), scheme).Help = didYouMean(scheme, checkpointSchemes)
	case scheme == "file" && !strings.HasPrefix(rest, "/"):
		l.fail(n.get("path").at, BadValue, "a file URL is file:///some/path").Help = "or write the path alone"
	case scheme != "file" && strings.HasPrefix(rest, "/") || strings.HasPrefix(rest, "?") || rest == "":
		l.fail(n.get("path").at, BadValue, "path names no bucket").Help = "write " + scheme + "://bucket/prefix"
	}
	return c
}
