package hystrix

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/afex/hystrix-go/hystrix"
)

// forgets is when a circuit knows nothing any more of what it was told.
const forgets = 12 * time.Second

// circuits are those of the process that nobody uses any more.
var circuits pool

type pool struct {
	mu    sync.Mutex
	spare []spare // the longest unused first
}

// made counts circuits, so that no two have one name.
var made atomic.Int64

type spare struct {
	circuit *hystrix.CircuitBreaker
	since   time.Time
}

// take returns a closed circuit that nobody else uses.
func (p *pool) take(name string, o Options) *hystrix.CircuitBreaker {
	p.mu.Lock()
	defer p.mu.Unlock()
	settings := hystrix.CommandConfig{RequestVolumeThreshold: o.MinRequests, ErrorPercentThreshold: o.FailedPercent, SleepWindow: int(o.Sleep / time.Millisecond)}
	if len(p.spare) > 0 && time.Since(p.spare[0].since) > forgets {
		circuit := p.spare[0].circuit
		p.spare = p.spare[1:]
		hystrix.ConfigureCommand(circuit.Name, settings)
		return circuit
	}
	unique := fmt.Sprintf("mortise dimension store %s #%d", name, made.Add(1))
	hystrix.ConfigureCommand(unique, settings)
	circuit, isNew, err := hystrix.GetCircuit(unique)
	if err != nil || !isNew {
		panic(fmt.Sprintf("the circuit %q cannot be made: %v", unique, err)) // nobody else makes such names, and GetCircuit has no error to return
	}
	return circuit
}

// put takes a circuit back, closed.
func (p *pool) put(circuit *hystrix.CircuitBreaker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if circuit.IsOpen() {
		_ = circuit.ReportEvent([]string{"success"}, time.Now(), 0) // closes it; the count may be left out
	}
	p.spare = append(p.spare, spare{circuit, time.Now()})
}
