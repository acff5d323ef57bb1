package spec

import (
	"strings"

	"github.com/mortise-dev/mortise/dimjoin"
)

// buildDimensions checks every dimension, and says that they cannot be looked up
// yet.
func (l *loader) buildDimensions(root *node, main *sourceNode) {
	n := root.get("dimensions")
	l.faultyParts = l.faultyParts || n == nil && root.has("dimensions")
	if n == nil || len(n.entries) == 0 {
		return
	}
	for i := range n.entries {
		e := &n.entries[i]
		if e.value.bad || e.value.kind != mapNode {
			continue
		}
		l.nameTaken(e, main, "the dimension")
		if def, ok := l.dimension(e, main); ok {
			l.exp.Dimensions = append(l.exp.Dimensions, def)
		}
	}
	l.faultyParts = l.faultyParts || len(l.exp.Dimensions) != len(n.entries)
	l.fail(root.find("dimensions").at, NotBuilt, "dimensions are checked, but this version cannot look them up yet").Help = "remove the block to run"
}

func (l *loader) dimension(e *entry, main *sourceNode) (dimjoin.Definition, bool) {
	n := e.value
	def := dimjoin.Definition{
		Name:    e.key,
		Key:     n.get("key").strings(),
		AsOf:    n.get("as_of").string(dimjoin.AsOfArrival),
		Missing: n.get("missing").string(dimjoin.MissingNull),
	}
	if n.whole("key") && l.keyFields(n.get("key"), main, "the key of the dimension `"+e.key+"`") {
		for _, name := range def.Key {
			fields := main.source.Fields
			def.KeyTypes = append(def.KeyTypes, fields[fields.Index(name)].Type)
		}
	}
	var whole bool
	def.Fields, whole = l.fields(n.get("fields"), "declare the fields that instances read")
	if store := n.get("store"); store != nil && store.kind == mapNode {
		def.Store = l.store(store, false)
		if err := dimjoin.CheckAsOf(&def.Store, def.AsOf); err != nil {
			l.fail(n.get("as_of").at, BadDimension, "%s", err)
		}
	}
	return def, whole
}

// store reads one kind of store; nested says that it is a side of an ab.
func (l *loader) store(n *node, nested bool) dimjoin.Store {
	var kinds []*entry
	for i := range n.entries {
		if _, ok := dimjoin.FindStoreKind(n.entries[i].key); ok {
			kinds = append(kinds, &n.entries[i])
		}
	}
	if len(kinds) != 1 {
		if len(n.entries) == len(kinds) { // otherwise the unknown key is reported
			l.fail(n.at, BadDimension, "a store is exactly one of %s; this has %d of them", strings.Join(storeBlock.names(), ", "), len(kinds))
		}
		return dimjoin.Store{}
	}
	kind := kinds[0].key
	out := dimjoin.Store{Kind: kind}
	b := n.get(kind)
	if b == nil {
		return out
	}
	switch kind {
	case "file", "pebble":
		out.Path = b.get("path").string("")
	case "redis":
		out.Addrs = b.get("addrs").strings()
		for _, a := range b.get("addrs").texts() {
			l.hostPort(a, "addrs")
		}
	case "sql":
		out.SQL = dimjoin.SQL{Driver: b.get("driver").string(""), DSN: b.get("dsn").string(""), Table: b.get("table").string("")}
	case "hbase":
		out.HBase = dimjoin.HBase{ZK: b.get("zk").string(""), Table: b.get("table").string("")}
	case "ab":
		if nested {
			l.fail(kinds[0].at, BadDimension, "an ab store cannot hold another one")
			return out
		}
		out.AB = l.sides(b)
	}
	return out
}

// sides reads the two stores of an ab.
func (l *loader) sides(n *node) (out [2]*dimjoin.Store) {
	for i, name := range []string{"a", "b"} {
		if side := n.get(name); side != nil {
			store := l.store(side, true)
			out[i] = &store
		}
	}
	return out
}
