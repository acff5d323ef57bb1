package recorded

import (
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// nullFolder is what Hive and Spark call the folder of null.
const nullFolder = "__HIVE_DEFAULT_PARTITION__"

// folder is a field that a file has from a folder that it lies in, such as
// dt=2019-11-24.
type folder struct {
	member Member
	json   []byte // name and value
}

type folders []folder

// foldersOf finds the fields in a file's path, of those in members. The
// innermost folder of a name counts.
func foldersOf(name string, members []Member) (found folders) {
	for _, part := range strings.Split(path.Dir(filepath.ToSlash(name)), "/") {
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			continue
		}
		key, value = unescapeFolder(key), unescapeFolder(value)
		for i := range members {
			m := &members[i]
			if !m.isTop() || m.Path[0] != key {
				continue
			}
			f := folder{member: *m, json: slices.Clone(m.name)}
			if value == nullFolder {
				f.json = append(f.json, "null"...)
			} else {
				f.json = m.AppendText(f.json, []byte(value), true)
			}
			if at := found.index(key); at >= 0 {
				found[at] = f
			} else {
				found = append(found, f)
			}
		}
	}
	return found
}

// unescapeFolder undoes Hive's escapes, such as %3A for a colon.
func unescapeFolder(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// index returns the position of the named field, or -1.
func (f folders) index(name string) int {
	for i := range f {
		if f[i].member.Path[0] == name {
			return i
		}
	}
	return -1
}

// json returns the fields as members of an object.
func (f folders) json() (all []byte) {
	for i := range f {
		if i > 0 {
			all = append(all, ',')
		}
		all = append(all, f[i].json...)
	}
	return all
}
