package experiments

import (
	"fmt"

	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/joiner/clean/schema"
)

// Printer writes the values of records as JSON, for people to read: those that
// name their schema by what the registry has under it, those of an experiment's
// topics that name none by what the experiment says. One goroutine uses it.
type Printer struct {
	named *schema.Printer                                    // nil without a registry
	plain map[string]func(dst, value []byte) ([]byte, error) // by topic
	buf   []byte
}

// NewPrinter makes a printer; r and plan may be nil.
func NewPrinter(r Registry, plan *Plan) (*Printer, error) {
	p := &Printer{plain: map[string]func(dst, value []byte) ([]byte, error){}}
	if r != nil {
		p.named = schema.NewPrinter(r)
	}
	if plan == nil {
		return p, nil
	}
	for _, pipe := range plan.Pipelines {
		for i, e := range pipe.Experiments {
			for k := range e.Sources {
				s := &e.Sources[k]
				if s.Format == "json" || s.SchemaFile == "" {
					continue
				}
				write, err := schema.NewPlainPrinter(s.Format, s.SchemaText, s.Message)
				if err != nil {
					return nil, fmt.Errorf("%s: source %s: %w", e.Path, s.Name, err)
				}
				p.plain[s.Topic] = write
			}
			if e.Output.Topic == "" || e.Output.Format == "json" || e.Output.NamesSchema() {
				continue
			}
			d, err := NewRowDecoder(e, pipe.columns[i], nil)
			if err != nil {
				return nil, err
			}
			p.plain[e.Output.Topic] = rowPrinter(d, instances.NewJSONEncoder(pipe.columns[i]))
		}
	}
	return p, nil
}

func rowPrinter(d instances.Decoder, e instances.Encoder) func(dst, value []byte) ([]byte, error) {
	var row instances.Instance
	return func(dst, value []byte) ([]byte, error) {
		if err := d.Decode(value, &row); err != nil {
			return dst, err
		}
		return e.Append(dst, &row), nil
	}
}

// Print returns a record's value as JSON, valid until the next call; false for a
// value that is to be shown as it is.
func (p *Printer) Print(topic string, headers []Header, value []byte) (line []byte, ok bool, err error) {
	if write := p.plain[topic]; write != nil {
		p.buf, err = write(p.buf[:0], value)
		return p.buf, true, err
	}
	if p.named == nil {
		return nil, false, nil
	}
	return p.named.Print(headers, value)
}
