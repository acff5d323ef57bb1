package serving

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	mortise "github.com/mortise-dev/mortise"
)

// Request is the body of POST /v1/features, in JSON or CBOR.
type Request struct {
	Experiment string           `json:"experiment,omitempty"` // may be left out where one is served
	Features   []string         `json:"features,omitempty"`   // in the order of the answer; all where it is left out
	Entities   []map[string]any `json:"entities"`             // main fields by name: those that the features are per, and that computed ones read
	AsOfMS     *int64           `json:"as_of,omitempty"`      // ms UTC; now where it is left out
	TimeoutMS  int64            `json:"timeout_ms,omitempty"` // at most 30,000; 1,000 where it is left out
}

// Encode writes the request as a client sends it, and says what Content-Type it has.
func (r *Request) Encode(asCBOR bool) (kind string, body []byte, err error) {
	if asCBOR {
		body, err = cbor.Marshal(r)
		return typeCBOR, body, err
	}
	body, err = json.Marshal(r)
	return typeJSON, body, err
}

// Bounds of a request.
const (
	maxBodyBytes   = 16 << 20
	maxEntities    = 10_000
	maxFeatures    = 1000
	defaultTimeout = time.Second
	maxTimeout     = 30 * time.Second
)

const (
	typeJSON = "application/json"
	typeCBOR = "application/cbor"
	typeForm = "application/x-www-form-urlencoded" // what curl -d says of any body
)

// fault is an answer that is not the features.
type fault struct {
	status int
	title  string
	detail string
}

// Error is the detail.
func (f *fault) Error() string { return f.detail }

func badRequest(format string, args ...any) error {
	return &fault{http.StatusBadRequest, "the request cannot be answered", fmt.Sprintf(format, args...)}
}

// readRequest reads a request's body by its content type.
func readRequest(w http.ResponseWriter, r *http.Request) (*Request, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == typeForm || r.Header.Get("Content-Type") == "" {
		kind, err = typeJSON, nil
	}
	if err != nil || kind != typeJSON && kind != typeCBOR {
		return nil, &fault{http.StatusUnsupportedMediaType, "unknown content type", fmt.Sprintf("the body is %q; send %s or %s", r.Header.Get("Content-Type"), typeJSON, typeCBOR)}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if err != nil {
		return nil, &fault{http.StatusRequestEntityTooLarge, "the body cannot be read", fmt.Sprintf("%v; ask for fewer entities at once", err)}
	}
	req := &Request{}
	if kind == typeCBOR {
		err = decodeCBOR.Unmarshal(body, req)
	} else {
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		d.DisallowUnknownFields()
		if err = d.Decode(req); err == nil && d.More() {
			err = fmt.Errorf("something follows the object")
		}
	}
	if err != nil {
		return nil, badRequest("the body is not a request: %v", err)
	}
	if err := req.validate(); err != nil {
		return nil, err
	}
	return req, nil
}

var decodeCBOR = func() cbor.DecMode {
	m, err := cbor.DecOptions{ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, MaxArrayElements: 1 << 20, DefaultMapType: nil}.DecMode()
	if err != nil {
		panic(err) // options that are fixed
	}
	return m
}()

func (r *Request) validate() error {
	switch {
	case len(r.Entities) == 0:
		return badRequest("entities is empty: name at least one")
	case len(r.Entities) > maxEntities:
		return badRequest("%d entities; at most %d can be asked for at once", len(r.Entities), maxEntities)
	case len(r.Features) > maxFeatures:
		return badRequest("%d features; at most %d can be asked for at once", len(r.Features), maxFeatures)
	case r.TimeoutMS < 0 || r.TimeoutMS > maxTimeout.Milliseconds():
		return badRequest("timeout_ms is %d; it is at most %d", r.TimeoutMS, maxTimeout.Milliseconds())
	}
	return nil
}

func (r *Request) timeout() time.Duration {
	if r.TimeoutMS == 0 {
		return defaultTimeout
	}
	return time.Duration(r.TimeoutMS) * time.Millisecond
}

// fill puts an entity's fields into an env. A field that it does not name is null;
// one that the experiment does not know is an error.
func (v *view) fill(s *served, at int, entity map[string]any, env mortise.Row) error {
	known := 0
	for i, f := range v.fields {
		raw, ok := entity[f.Name]
		if !ok || raw == nil {
			env[i] = mortise.NullValue()
			if ok {
				known++
			}
			continue
		}
		known++
		value, ok := valueOf(raw, f.Type.Kind)
		if !ok {
			return badRequest("entity %d: %s is %v; it is declared as %s", at, f.Name, raw, f.Type)
		}
		env[i] = value
	}
	if known == len(entity) {
		return nil
	}
	for name := range entity {
		if s.main.Index(name) < 0 {
			names := s.main.Names()
			slices.Sort(names)
			return badRequest("entity %d: %q is no field of the main source; it has %s", at, name, strings.Join(names, ", "))
		}
	}
	return nil // fields that these features do not read
}

// valueOf is a decoded value as one of a kind.
func valueOf(raw any, kind mortise.Kind) (mortise.Value, bool) {
	switch v := raw.(type) {
	case string:
		return mortise.StringValue(v), kind == mortise.String
	case bool:
		return mortise.BoolValue(v), kind == mortise.Bool
	case json.Number:
		if kind == mortise.Float {
			f, err := v.Float64()
			return mortise.FloatValue(f), err == nil
		}
		n, err := v.Int64()
		return whole(n, kind), err == nil && isWhole(kind)
	case uint64:
		if v > math.MaxInt64 {
			return mortise.Value{}, false
		}
		return number(int64(v), kind)
	case int64:
		return number(v, kind)
	case float64:
		return mortise.FloatValue(v), kind == mortise.Float
	}
	return mortise.Value{}, false
}

func number(v int64, kind mortise.Kind) (mortise.Value, bool) {
	if kind == mortise.Float {
		return mortise.FloatValue(float64(v)), true
	}
	return whole(v, kind), isWhole(kind)
}

func isWhole(kind mortise.Kind) bool { return kind == mortise.Int || kind == mortise.Timestamp }

func whole(v int64, kind mortise.Kind) mortise.Value {
	if kind == mortise.Timestamp {
		return mortise.TimestampValue(v)
	}
	return mortise.IntValue(v)
}
