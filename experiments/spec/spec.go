// Package spec is the experiment file: loading, validating, compiling. Its
// Experiment is what every other part of the program reads; nothing else looks
// at YAML.
//
// A file goes through it in this order:
//
//	yaml.go      text → tree of nodes that know where they stand
//	override.go  --set values replace parts of the tree
//	environ.go   ${NAME} is replaced in texts
//	shape.go     every key, type and spelling against the table in keys*.go
//	build*.go    meaning: what refers to what, compiled into an Experiment
//
// Every stage reports all that it finds and goes on with what is whole, so that
// one run of `mortise lint` shows every fault, each once.
package spec

import (
	"encoding/json"
	"fmt"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/internal/expression"
)

// Experiment is one checked experiment file.
type Experiment struct {
	Path       string
	Name       string
	Version    int
	Hash       string // hex, over the file's meaning: comments, order of keys and spelling of durations do not change it
	Kafka      Kafka
	Sources    []Source // in file order
	Join       Join
	Features   []features.Definition // in file order
	Dimensions []Dimension           // in file order

	FeatureStore FeatureStore
	Instance     Instance
	Output       Output
	Checkpoint   Checkpoint
}

// Kafka is how brokers are reached, under the usual names of Kafka tools.
type Kafka struct {
	SeedBrokers   []string
	TLS           TLS
	SASL          SASL
	RackID        string
	InstanceID    string
	ConsumerGroup string
	StartOffset   string // earliest | latest
	FetchMaxBytes int64

	SchemaRegistry SchemaRegistry
}

// SchemaRegistry is how the schema registry is reached. Secrets are never printed.
type SchemaRegistry struct {
	URLs               []string
	Username, Password string
	Token              string // bearer
	TLS                TLS
}

// String keeps the secrets out of whatever prints a configuration.
func (r SchemaRegistry) String() string {
	return fmt.Sprintf("{url: %v, username: %s, password: %s, token: %s}", r.URLs, r.Username, hidden(r.Password), hidden(r.Token))
}

// GoString is String: %#v does not show secrets either.
func (r SchemaRegistry) GoString() string { return r.String() }

// MarshalJSON writes the settings without their secrets.
func (r SchemaRegistry) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"url": r.URLs, "username": r.Username, "password": hidden(r.Password), "token": hidden(r.Token)})
}

// TLS mirrors the usual tls block.
type TLS struct {
	Enabled                        bool
	RootCAsFile, CertFile, KeyFile string
	SkipCertVerify                 bool
}

// SASL mirrors the usual sasl block. Secrets are never printed.
type SASL struct {
	Mechanism          string // PLAIN | SCRAM-SHA-256 | SCRAM-SHA-512 | OAUTHBEARER
	Username, Password string
	Token              string // OAUTHBEARER
}

// String keeps the secrets out of whatever prints a configuration.
func (s SASL) String() string {
	return fmt.Sprintf("{mechanism: %s, username: %s, password: %s, token: %s}", s.Mechanism, s.Username, hidden(s.Password), hidden(s.Token))
}

// GoString is String: %#v does not show secrets either.
func (s SASL) GoString() string { return s.String() }

// MarshalJSON writes the settings without their secrets.
func (s SASL) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"mechanism": s.Mechanism, "username": s.Username, "password": hidden(s.Password), "token": hidden(s.Token)})
}

// hidden says whether a secret is set.
func hidden(secret string) string {
	if secret == "" {
		return ""
	}
	return "***"
}

// Source is one stream of records.
type Source struct {
	Name           string
	Topic          string
	Format         string // json | avro | protobuf
	SchemaFile     string // of avro and protobuf records without a schema id
	SchemaText     string // what it holds
	Message        string // of a Protobuf SchemaFile; empty for its only one
	TimeField      string
	TimeUnit       string // s | ms | us | ns | rfc3339
	OutOfOrderness time.Duration
	IdleAfter      time.Duration
	MaxAhead       time.Duration       // of the wall clock
	Fields         mortise.Schema      // declared, in file order
	From           map[string][]string // where a field lies, when it is not under its name at the top
	Where          *expression.Program
	Derive         []Derived
	Clean          string   // name of a registered clean function; empty for none
	Repartition    bool     // shuffled by partition_by on its way to the join
	PartitionBy    []string // what the topic is keyed by where that is not the join's partition_by; nil otherwise
}

// Row is the source's whole schema: declared fields, then derived ones.
func (s *Source) Row() mortise.Schema {
	row := append(mortise.Schema{}, s.Fields...)
	for _, d := range s.Derive {
		row = append(row, mortise.Field{Name: d.Name, Type: d.Program.Type()})
	}
	return row
}

// Derived is one computed field.
type Derived struct {
	Name    string
	Program *expression.Program
}

// Join says what is held, for how long, and what attaches to it.
type Join struct {
	Main        string
	Key         []string
	PartitionBy []string
	Dedup       bool
	Delay       time.Duration
	Late        string  // emit | dead_letter | drop
	Partitioner string  // murmur2 | any
	Partitions  int     // of shuffled topics; 0: as many as the others have, or the main stream's topic
	Labels      []Label // in file order
}

// Label is one label or context stream: a match is t-Before <= label time < t+Within.
type Label struct {
	Name           string
	Source         string
	Within, Before time.Duration
	Where, Value   *expression.Program // over the label source's row; nil: every match, value 1
	On             []Pair
}

// Pair is one equality of a label's `on`, main field against label field.
type Pair struct{ Main, Label string }

// Instance is the row that is emitted.
type Instance struct {
	Select []Column
	Sample Sample
	Emit   string // at_close | early_positive | immediate_negative
}

// Column is one selected column.
type Column struct {
	Name string // in the instance: dim.field becomes dim_field
	From string // main field, feature, or dim.field
	Type mortise.Type
}

// Sample is deterministic negative sampling; Negatives 1 keeps all.
type Sample struct {
	Negatives float64 // the share that is kept, in (0, 1]
	By        string  // the main field whose value is hashed; empty for the join key
}

// Output says where instances and dead letters go.
type Output struct {
	Topic      string
	Format     string // json | avro | protobuf | tfexample
	SchemaID   string // prefix | header | none
	Subject    string // of the schema registry
	Register   bool   // the schema, when a run starts
	Parquet    bool
	ParquetOut ParquetOut // meaningful when Parquet
	DeadLetter DeadLetter
	Delivery   string // at_least_once | exactly_once
}

// NamesSchema reports whether the topic's records carry the id of their schema.
func (o *Output) NamesSchema() bool {
	return o.Topic != "" && (o.Format == "avro" || o.Format == "protobuf") && o.SchemaID != "none"
}

// ParquetOut is a Parquet dataset.
type ParquetOut struct {
	Path          string
	RollSizeBytes int64
	RollEvery     time.Duration
	Partition     []string // of dt, hour
}

// Checkpoint says where and how often the state is copied. Without a path it is not.
type Checkpoint struct {
	Path  string // a directory, or a URL of an object store
	Every time.Duration
	Keep  int
}

// DeadLetter is a topic or a file.
type DeadLetter struct{ Topic, File string }
