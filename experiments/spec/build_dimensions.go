package spec

import (
	"slices"
	"strings"

	"github.com/mortise-dev/mortise/dimjoin"
)

// buildDimensions checks every dimension.
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
}

func (l *loader) dimension(e *entry, main *sourceNode) (Dimension, bool) {
	n := e.value
	def := Dimension{Definition: dimjoin.Definition{
		Name:    e.key,
		Key:     n.get("key").strings(),
		AsOf:    n.get("as_of").string(dimjoin.AsOfArrival),
		Missing: n.get("missing").string(dimjoin.MissingNull),
	}}
	l.patience(n, &def)
	if n.whole("key") && l.keyFields(n.get("key"), main, "the key of the dimension `"+e.key+"`") {
		for _, name := range def.Key {
			fields := main.source.Fields
			def.KeyTypes = append(def.KeyTypes, fields[fields.Index(name)].Type)
		}
	}
	var whole bool
	def.Fields, whole = l.fields(n.get("fields"), "declare the fields that instances read")
	if store := n.get("store"); store != nil && store.kind == mapNode {
		def.Store, def.storeAt = l.store(store, &def.Definition, false), storePlace(store)
		if err := dimjoin.CheckAsOf(&def.Store, def.AsOf); err != nil {
			l.fail(n.get("as_of").at, BadDimension, "%s", err)
		}
	}
	def.Changes = l.changes(n, &def.Definition)
	def.History = l.history(n, &def.Definition)
	def.Read = l.dimensionRead(n, def.Store.Kind == "file" || def.Store.Kind == "pebble")
	return def, whole
}

// history settles where the versions of a row are told apart. A dimension that is
// read as of event time has some, under the usual names where it says none; so has
// one that a change stream keeps in pebble.
func (l *loader) history(n *node, def *dimjoin.Definition) dimjoin.History {
	h := n.get("history")
	wanted := def.AsOf == dimjoin.AsOfEventTime || n.has("changes") && def.Store.Kind == "pebble"
	if h == nil && (n.has("history") || !wanted) {
		return dimjoin.History{}
	}
	out := dimjoin.History{From: h.get("from").string(dimjoin.DefaultFrom), To: h.get("to").string(dimjoin.DefaultTo), Unit: h.get("unit").string(dimjoin.DefaultUnit)}
	if err := out.Check(); err != nil && h != nil {
		l.fail(h.at, BadDimension, "%s", err)
	}
	return out
}

// store reads one kind of store; nested says that it is a side of an ab.
func (l *loader) store(n *node, def *dimjoin.Definition, nested bool) dimjoin.Store {
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
		out.Addrs, out.Redis = b.get("addrs").strings(), l.redis(b, def)
	case "sql":
		out.SQL = dimjoin.SQL{Driver: b.get("driver").string(""), DSN: b.get("dsn").string(""), Table: b.get("table").string("")}
		if driver := b.get("driver"); driver != nil && !slices.Contains(sqlDrivers, driver.text) {
			l.fail(driver.at, BadValue, "driver is one of %s, not %s", strings.Join(sqlDrivers, ", "), driver.quoted()).Help = nearestHelp(driver.text, sqlDrivers)
		}
	case "hbase":
		out.HBase = dimjoin.HBase{ZK: b.get("zk").string(""), Table: b.get("table").string(""), Family: b.get("family").string("d")}
	case "ab":
		if nested {
			l.fail(kinds[0].at, BadDimension, "an ab store cannot hold another one")
			return out
		}
		out.AB = l.sides(b, def)
	}
	return out
}

// storePlace is where a store says what it is: its path, or else its kind.
func storePlace(n *node) place {
	if path := n.get("file").get("path"); path != nil {
		return path.at
	}
	return n.at
}

var sqlDrivers = []string{"postgres", "mysql"}

// redis reads how rows lie in Redis, and how it is reached.
func (l *loader) redis(n *node, def *dimjoin.Definition) dimjoin.Redis {
	for _, a := range n.get("addrs").texts() {
		l.hostPort(a, "addrs")
	}
	r := dimjoin.Redis{Master: n.get("master").string(""), Cluster: n.get("cluster").bool(false), Username: n.get("username").string(""),
		Password: n.get("password").string(""), DB: int(n.get("db").int(0)), Prefix: n.get("prefix").string(def.Name),
		Layout: n.get("layout").string("hash"), TLS: l.redisTLS(n.get("tls"))}
	cluster := r.Cluster || len(n.get("addrs").texts()) > 1 && r.Master == ""
	if cluster && r.DB != 0 {
		l.fail(n.get("db").at, Conflict, "a Redis cluster has one database, 0").Help = "remove it"
	}
	return r
}

// redisTLS reads whether connections are encrypted, or how.
func (l *loader) redisTLS(n *node) dimjoin.TLS {
	if n != nil && n.kind == mapNode {
		return dimjoin.TLS(l.tls(n))
	}
	return dimjoin.TLS{Enabled: n.bool(false)}
}

// sides reads the two stores of an ab.
func (l *loader) sides(n *node, def *dimjoin.Definition) (out [2]*dimjoin.Store) {
	for i, name := range []string{"a", "b"} {
		if side := n.get(name); side != nil {
			store := l.store(side, def, true)
			out[i] = &store
		}
	}
	return out
}
