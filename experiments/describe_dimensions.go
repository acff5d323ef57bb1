package experiments

import (
	"fmt"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// DimensionDescription is one table that rows of a pipeline look up, each once.
type DimensionDescription struct {
	Name        string   `json:"name"`        // as the first experiment calls it
	Experiments []string `json:"experiments"` // that share its lookups
	Key         []string `json:"key"`
	Store       string   `json:"store"`
	AsOf        string   `json:"as_of"`
	Fields      []string `json:"fields"` // with their types
	Missing     string   `json:"missing"`
	Wait        string   `json:"wait,omitempty"`    // how long rows wait for it beyond the close of their impression; empty where none do
	Correct     string   `json:"correct,omitempty"` // how long rows that were written without it are corrected
	Cache       string   `json:"cache"`             // empty where there is none
	Timeout     string   `json:"timeout"`
}

func (p *Pipeline) describeDimensions() (all []DimensionDescription) {
	for i := range p.Dimensions {
		d := p.Dimensions[i].Definition
		one := DimensionDescription{Name: d.Name, Key: d.Key, Store: storeText(&d.Store), AsOf: d.AsOf, Missing: d.Missing, Timeout: mortise.FormatDuration(d.Read.Timeout)}
		for exp, e := range p.Experiments {
			for _, used := range p.dimensionAt[exp] {
				if used == i {
					one.Experiments = append(one.Experiments, e.Name)
				}
			}
		}
		for _, f := range d.Fields {
			one.Fields = append(one.Fields, f.Name+" "+f.Type.String())
		}
		if r := &d.Read; r.CacheBytes > 0 && r.TTL > 0 {
			one.Cache = fmt.Sprintf("%d MB for %s, stale for %s more", r.CacheBytes/1_000_000, mortise.FormatDuration(r.TTL), mortise.FormatDuration(r.StaleFor))
		}
		if w := &d.Wait; w.For > 0 {
			one.Wait = fmt.Sprintf("rows without it wait for %s, and it is read again every %s; at most %d rows, %d MB a worker",
				mortise.FormatDuration(w.For), mortise.FormatDuration(w.Every), w.Rows, w.Bytes/1_000_000)
		}
		if c := &d.Correct; c.For > 0 {
			one.Correct = fmt.Sprintf("rows written without it are corrected for %s, and it is read again every %s; at most %d rows, %d MB a worker",
				mortise.FormatDuration(c.For), mortise.FormatDuration(c.Every), c.Rows, c.Bytes/1_000_000)
		}
		all = append(all, one)
	}
	return all
}

// storeText says where a store is, without its secrets.
func storeText(s *dimjoin.Store) string {
	switch s.Kind {
	case "redis":
		return fmt.Sprintf("redis %v, prefix %s, %s", s.Addrs, s.Redis.Prefix, s.Redis.Layout)
	case "sql":
		return fmt.Sprintf("sql (%s), table %s", s.SQL.Driver, s.SQL.Table)
	case "hbase":
		return fmt.Sprintf("hbase %s, table %s", s.HBase.ZK, s.HBase.Table)
	case "ab":
		return fmt.Sprintf("ab: a %s, b %s", storeText(s.AB[0]), storeText(s.AB[1]))
	}
	return s.Kind + " " + s.Path
}
