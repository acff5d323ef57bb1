package dimjoin

import (
	"encoding/json"
	"fmt"
	"slices"

	mortise "github.com/mortise-dev/mortise"
)

// When a dimension is read.
const (
	AsOfArrival   = "arrival"    // when the impression comes in; the value is kept with it
	AsOfEmission  = "emission"   // when the instance is emitted: the latest row
	AsOfEventTime = "event_time" // the version that was valid at the impression's time
)

// What happens when a key has no row.
const (
	MissingNull       = "null"        // the fields are null
	MissingDefault    = "default"     // the fields are their types' zero values
	MissingDeadLetter = "dead_letter" // the impression goes to dead letters
	MissingWait       = "wait"        // the impression is held until the row is there
)

// Definition is one declared dimension.
type Definition struct {
	Name string
	Key  []string // main fields, in the order of the store's key
	// KeyTypes are the key fields' types, in their order, where they are known:
	// stores of typed columns check theirs against them, and text is read by them.
	KeyTypes []mortise.Type
	Store    Store
	// History says where the store keeps from when to when a row is valid; its zero
	// value, that the store has one row a key.
	History History
	AsOf    string
	Fields  mortise.Schema // as the store holds them
	Missing string
}

// Columns are the fields as an instance sees them: nullable where a missing row
// makes them null, be it that it was waited for in vain.
func (d *Definition) Columns() mortise.Schema {
	out := slices.Clone(d.Fields)
	for i := range out {
		out[i].Type.Nullable = out[i].Type.Nullable || d.Missing == MissingNull || d.Missing == MissingWait
	}
	return out
}

// Store says where a dimension's rows are: exactly one kind is set.
type Store struct {
	Kind  string   // file | pebble | redis | sql | hbase | ab
	Path  string   // of file and pebble
	Addrs []string // of redis: servers as host:port
	Redis Redis
	SQL   SQL
	HBase HBase
	AB    [2]*Store // of ab: two stores that are compared
}

// SQL names a table. DSN holds secrets and is never printed.
type SQL struct{ Driver, DSN, Table string }

// String keeps the DSN out of whatever prints a store.
func (s SQL) String() string {
	return fmt.Sprintf("{driver: %s, dsn: ***, table: %s}", s.Driver, s.Table)
}

// GoString is String: %#v does not show the DSN either.
func (s SQL) GoString() string { return s.String() }

// MarshalJSON writes the table without the DSN.
func (s SQL) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"driver": s.Driver, "dsn": "***", "table": s.Table})
}

// Redis says which of the servers' keys are the table's, and how they are reached.
// Zero fields take the leaf's defaults.
type Redis struct {
	Prefix   string // of the keys
	Layout   string // hash | packed
	Master   string // its name, where the addresses are sentinels'
	Cluster  bool   // the addresses are a cluster's, even if it is one address
	Username string
	Password string // never printed
	DB       int
	TLS      TLS
}

// TLS says whether and how connections are encrypted: by whose certificates a
// server is trusted, the system's where no file is named, and which is shown to it.
type TLS struct {
	Enabled           bool
	RootCAsFile       string
	CertFile, KeyFile string
	SkipCertVerify    bool
}

// String keeps the password out of whatever prints a store.
func (r Redis) String() string {
	return fmt.Sprintf("{prefix: %s, layout: %s, master: %s, cluster: %t, db: %d, tls: %t}", r.Prefix, r.Layout, r.Master, r.Cluster, r.DB, r.TLS.Enabled)
}

// GoString is String: %#v does not show the password either.
func (r Redis) GoString() string { return r.String() }

// MarshalJSON writes everything but the user and password.
func (r Redis) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"prefix": r.Prefix, "layout": r.Layout, "master": r.Master, "cluster": r.Cluster, "db": r.DB, "tls": r.TLS.Enabled})
}

// HBase names a table by its ZooKeeper quorum. Family is the column family of the
// fields; by default it is the leaf's.
type HBase struct{ ZK, Table, Family string }

// StoreKind is what is known of one kind of store.
type StoreKind struct {
	Name     string
	Keys     []string // that its block must have
	Versions bool     // it can keep a row's history, and so be read as of event time
}

// StoreKinds are the kinds of store, in the order of the documentation.
var StoreKinds = []StoreKind{
	{"file", []string{"path"}, true},
	{"pebble", []string{"path"}, true},
	{"redis", []string{"addrs"}, false},
	{"sql", []string{"driver", "dsn", "table"}, true},
	{"hbase", []string{"zk", "table"}, true},
	{"ab", []string{"a", "b"}, true},
}

// FindStoreKind finds a kind by its name.
func FindStoreKind(name string) (StoreKind, bool) {
	i := slices.IndexFunc(StoreKinds, func(k StoreKind) bool { return k.Name == name })
	if i < 0 {
		return StoreKind{}, false
	}
	return StoreKinds[i], true
}

// CheckAsOf reports why a store cannot be read as asked, or nil.
func CheckAsOf(store *Store, asOf string) error {
	if asOf != AsOfEventTime {
		return nil
	}
	if store.Kind == "ab" {
		for _, side := range store.AB {
			if side != nil {
				if err := CheckAsOf(side, asOf); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if kind, ok := FindStoreKind(store.Kind); ok && !kind.Versions {
		return fmt.Errorf("%s keeps only the latest row of a key, so it cannot be read as of event time; use as_of: %s or %s", store.Kind, AsOfArrival, AsOfEmission)
	}
	return nil
}

// CheckFields reports what is wrong with a dimension's fields, or nil.
func CheckFields(fields, main mortise.Schema, key []string) error {
	if len(fields) == 0 {
		return fmt.Errorf("a dimension needs at least one field")
	}
	for _, name := range key {
		if i := main.Index(name); i >= 0 && main[i].Type.Kind == mortise.List {
			return fmt.Errorf("the key field %s is a list; a key is text, a number or a bool", name)
		}
	}
	return nil
}
