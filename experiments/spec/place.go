package spec

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// placeSchemes are the object stores that a path can name.
var placeSchemes = []string{"s3", "gs", "azblob", "file"}

// folder checks a path that is a directory or the URL of an object store, and
// returns it.
func (l *loader) folder(n *node) string {
	place := n.string("")
	scheme, rest, isURL := strings.Cut(place, "://")
	switch {
	case !isURL:
	case !slices.Contains(placeSchemes, scheme):
		l.fail(n.at, BadValue, "path takes a directory or a URL of %s, not of `%s`", strings.Join(placeSchemes, ", "), scheme).Help = didYouMean(scheme, placeSchemes)
	case scheme == "file" && !strings.HasPrefix(rest, "/"):
		l.fail(n.at, BadValue, "a file URL is file:///some/path").Help = "or write the path alone"
	case scheme != "file" && strings.HasPrefix(rest, "/") || strings.HasPrefix(rest, "?") || rest == "":
		l.fail(n.at, BadValue, "path names no bucket").Help = "write " + scheme + "://bucket/prefix"
	}
	return place
}

// Overlap reports whether two places, directories or URLs of object stores, are
// the same or one lies in the other.
func Overlap(a, b string) bool {
	a, b = canonicalPlace(a), canonicalPlace(b)
	return a != "" && b != "" && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a))
}

// canonicalPlace is a place in one spelling, with a slash at its end.
func canonicalPlace(place string) string {
	if place == "" {
		return ""
	}
	scheme, rest, isURL := strings.Cut(place, "://")
	if isURL && scheme != "file" {
		rest, _, _ = strings.Cut(rest, "?")
		return scheme + "://" + strings.TrimSuffix(path.Clean(rest), "/") + "/"
	}
	if isURL {
		place = rest
	}
	abs, err := filepath.Abs(place)
	if err != nil {
		abs = filepath.Clean(place) // without a working directory, as it is written
	}
	return strings.TrimSuffix(filepath.ToSlash(abs), "/") + "/"
}
