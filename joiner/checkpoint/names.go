package checkpoint

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The objects of a task:
//
//	<task>/checkpoints/<sequence>.<writer>     a manifest, written last
//	<task>/parts/<writer>.<upload>.<n>         bytes of segment files, one after another
//	<task>/pins/write.<writer>.<upload>        keeps the upload's parts until a manifest names them
//	<task>/pins/read.<random>.<checkpoint>     keeps what the checkpoint names while it is read
//
// A writer is one run of one process, so no object is ever written twice.
const (
	manifestFolder = "/checkpoints/"
	partFolder     = "/parts/"
	pinFolder      = "/pins/"
	writePin       = "write."
	readPin        = "read."
)

// escape makes any task name a folder's name: what is not plain becomes ~xx.
func escape(task string) string {
	var b strings.Builder
	for i := range len(task) {
		switch c := task[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "~%02x", c)
		}
	}
	return b.String()
}

// unescape is escape's inverse; false when escape made no such name.
func unescape(folder string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(folder); i++ {
		if folder[i] != '~' {
			b.WriteByte(folder[i])
			continue
		}
		if i+2 >= len(folder) {
			return "", false
		}
		c, err := strconv.ParseUint(folder[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(c))
		i += 2
	}
	return b.String(), escape(b.String()) == folder
}

// folder returns what the keys of the task's objects begin with, up to the slash.
func folder(task string) string { return escape(task) }

func manifestKey(task, name string) string { return folder(task) + manifestFolder + name }
func partKey(task, object string) string   { return folder(task) + partFolder + object }
func pinKey(task, pin string) string       { return folder(task) + pinFolder + pin }

// manifestName is such that names sort by age.
func manifestName(sequence uint64, writer string) string {
	return fmt.Sprintf("%012d.%s", sequence, writer)
}

var (
	namePattern   = regexp.MustCompile(`^([0-9]{12})\.[a-z0-9_]+\.[0-9a-f]+$`)
	objectPattern = regexp.MustCompile(`^([a-z0-9_]+\.[0-9a-f]+\.[0-9]+)\.[0-9]+$`)
)

// sequenceOf returns the sequence number of a checkpoint's name; false when it is
// no such name.
func sequenceOf(name string) (uint64, bool) {
	m := namePattern.FindStringSubmatch(name)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseUint(m[1], 10, 64)
	return n, err == nil
}

// uploadOf returns the upload that an object is of, empty when its name is of none.
func uploadOf(object string) string {
	m := objectPattern.FindStringSubmatch(object)
	if m == nil {
		return ""
	}
	return m[1]
}

// readBy returns the checkpoint that a reader's pin keeps; false for other pins.
func readBy(pin string) (string, bool) {
	rest, ok := strings.CutPrefix(pin, readPin)
	if !ok {
		return "", false
	}
	_, name, ok := strings.Cut(rest, ".")
	return name, ok
}

// plainName makes a name part of keys: of a-z, 0-9 and '_', at most 24 bytes.
func plainName(name string) string {
	b := []byte(strings.ToLower(name))
	for i, c := range b {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			b[i] = '_'
		}
	}
	if len(b) == 0 {
		return "_"
	}
	return string(b[:min(len(b), 24)])
}
