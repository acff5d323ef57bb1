package parquet

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
)

// Metadata says in every file where its rows come from. In the file these are
// key-value metadata, all text:
//
//	mortise.experiment  the experiment's name
//	mortise.version     its version, decimal
//	mortise.config      the hash of its configuration
//	mortise.origin      the topic's partition, or the backfill's split, that the rows are of
//	mortise.offsets     its offsets from and to, as "from-to": from inclusive, to exclusive
//	mortise.labels      the labels' names, as a JSON array
//	mortise.columns     the columns and their declared types, as a JSON array of "name type"
type Metadata struct {
	Experiment string
	Version    int
	Config     string
	Origin     string
	From, To   int64
}

const (
	keyExperiment = "mortise.experiment"
	keyVersion    = "mortise.version"
	keyConfig     = "mortise.config"
	keyOrigin     = "mortise.origin"
	keyOffsets    = "mortise.offsets"
	keyLabels     = "mortise.labels"
	keyColumns    = "mortise.columns"
)

// set writes the metadata into a file that is being written.
func (m *Metadata) set(w *parquet.GenericWriter[any], c *instances.Columns) {
	w.SetKeyValueMetadata(keyExperiment, m.Experiment)
	w.SetKeyValueMetadata(keyVersion, strconv.Itoa(m.Version))
	w.SetKeyValueMetadata(keyConfig, m.Config)
	w.SetKeyValueMetadata(keyOrigin, m.Origin)
	w.SetKeyValueMetadata(keyOffsets, fmt.Sprintf("%d-%d", m.From, m.To))
	w.SetKeyValueMetadata(keyLabels, array(c.Labels()))
	w.SetKeyValueMetadata(keyColumns, declare(c.Schema()))
}

func declare(s mortise.Schema) string {
	decls := make([]string, len(s))
	for i, f := range s {
		decls[i] = f.Name + " " + f.Type.String()
	}
	return array(decls)
}

func array(texts []string) string {
	data, _ := json.Marshal(append([]string{}, texts...)) // text cannot fail
	return string(data)
}

// readMetadata reads what a file says; what another program has written says
// nothing, or less.
func readMetadata(f *parquet.File) (m Metadata) {
	get := func(key string) string {
		value, _ := f.Lookup(key)
		return value
	}
	m.Experiment, m.Config, m.Origin = get(keyExperiment), get(keyConfig), get(keyOrigin)
	m.Version, _ = strconv.Atoi(get(keyVersion))
	from, to, _ := strings.Cut(get(keyOffsets), "-")
	m.From, _ = strconv.ParseInt(from, 10, 64)
	m.To, _ = strconv.ParseInt(to, 10, 64)
	return m
}
