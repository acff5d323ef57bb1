package report

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances/profile"
)

// Experiment is what one experiment's rows came to.
type Experiment struct {
	Name    string          `json:"name"`
	Version int             `json:"version"`
	Config  string          `json:"config"`
	DelayMS int64           `json:"delay_ms"` // how long impressions were held
	Facts   []Fact          `json:"facts"`    // where the output is, how large, how long it took
	Notes   []string        `json:"notes,omitempty"`
	Ledger  *mortise.Ledger `json:"ledger"`
	// Profile is of the rows that were written. It may be of fewer than the ledger
	// counts, when an earlier run wrote the others; Notes say so.
	Profile *profile.Summary `json:"profile"`
}

// Fact is one line about the output, in words.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Report is a page.
type Report struct {
	Title       string       `json:"title"`
	Subtitle    string       `json:"subtitle"`
	Experiments []Experiment `json:"experiments"`
}

//go:embed page.html
var files embed.FS

var page = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"whole": whole, "percent": percent, "time": clock, "duration": duration, "number": number,
}).ParseFS(files, "page.html"))

// Write writes the page. The error is w's.
func Write(w io.Writer, r *Report) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing the report's numbers: %w", err)
	}
	v := view{Report: r, Data: template.JS(data), Classes: []int{0, 1, 2, 3, 4}} // json.Marshal escapes <, > and &
	for i := range r.Experiments {
		v.Sections = append(v.Sections, newSection(&r.Experiments[i], i))
	}
	if err := page.Execute(w, v); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// view is what the page's template sees.
type view struct {
	*Report
	Data     template.JS
	Sections []section
	Classes  []int
}
