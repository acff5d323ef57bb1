package clean

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	mortise "github.com/mortise-dev/mortise"
)

// Func is a custom clean function: it is given a record as its source delivered
// it and returns the JSON object that the pipeline reads and keeps in its place,
// appended to dst, or rec.Value itself. It does not change or keep what rec
// refers to, and gives the same answer each time it sees a record, since a
// restart reads records again. Several goroutines call it at once.
//
// Returning Drop leaves the record out; any other error, and a panic, sends it
// to the dead letters.
type Func func(rec *mortise.Record, dst []byte) ([]byte, error)

// Drop is what a Func returns for a record that is to be left out.
var Drop = errors.New("the clean function drops the record")

var registry struct {
	sync.RWMutex
	funcs map[string]Func
}

// Register makes fn known to experiment files as `clean: name`. It is meant for
// init functions and panics, as they must fail loudly, if name is empty or
// taken, or fn is nil.
func Register(name string, fn Func) {
	registry.Lock()
	defer registry.Unlock()
	if name == "" || fn == nil {
		panic("clean: Register needs a name and a function")
	}
	if registry.funcs[name] != nil {
		panic("clean: function " + name + " is registered twice")
	}
	if registry.funcs == nil {
		registry.funcs = map[string]Func{}
	}
	registry.funcs[name] = fn
}

// Registered returns the names of all registered functions in order.
func Registered() []string {
	registry.RLock()
	defer registry.RUnlock()
	names := make([]string, 0, len(registry.funcs))
	for name := range registry.funcs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Lookup finds a registered function.
func Lookup(name string) (Func, bool) {
	registry.RLock()
	defer registry.RUnlock()
	fn, ok := registry.funcs[name]
	return fn, ok
}

// call runs the function on one record; buf is scratch for its result.
func (fn Func) call(rec *mortise.Record, buf []byte) (value []byte, fault *mortise.RecordError) {
	defer func() {
		if p := recover(); p != nil {
			value, fault = nil, &mortise.RecordError{Reason: mortise.ReasonCleanFailed, Detail: fmt.Sprintf("the clean function panicked: %v", p)}
		}
	}()
	value, err := fn(rec, buf)
	switch {
	case err == nil:
		return value, nil
	case errors.Is(err, Drop):
		return nil, &mortise.RecordError{Reason: mortise.ReasonCleanDropped, Detail: err.Error()}
	}
	return nil, &mortise.RecordError{Reason: mortise.ReasonCleanFailed, Detail: err.Error()}
}
