package traffic

import "strconv"

// orphanBit marks the id numbers of impressions that do not exist.
const orphanBit = 1 << 63

// idNumber is unique among the records of one stream.
func (e *entry) idNumber() uint64 {
	n := e.request<<8 | uint64(e.position)<<3 | uint64(e.ordinal)
	if e.faults&Orphan != 0 {
		n |= orphanBit
	}
	return n
}

// ownID is the number of the record's own id, which thus looks unlike the ids
// that it refers to. Requests stay below 2^48, so there is room above them.
func (e *entry) ownID() uint64 { return e.idNumber() | uint64(e.kind+1)<<56 }

// writer appends one record's fields to a line.
type writer struct {
	g     *Generator
	line  []byte
	odd   int  // index into oddities of the request's ids; -1 for plain ones
	ascii bool // text beyond ASCII as \u escapes
}

// render writes e's line. It depends on e's request, position, time and kind
// only, so that a duplicate is byte for byte the same.
func (g *Generator) render(e *entry) {
	w := writer{g: g, line: g.line[:0], ascii: e.kind != kind(Impressions), odd: -1}
	if odd := g.draw(forOdd, e.request); odd.hits(g.chances.oddID) {
		w.odd = int(odd.below(int64(len(oddities))))
	}
	switch Stream(e.kind) {
	case Impressions:
		w.impression(e)
	case Clicks:
		w.click(e)
	case Orders:
		w.order(e)
	case Queries:
		w.query(e)
	}
	if e.faults&Junk != 0 {
		w.spoil(e)
	}
	g.line = w.line
}

func (w *writer) impression(e *entry) {
	w.id(`{"impression_id":"i`, e.idNumber())
	w.id(`,"request_id":"r`, e.idNumber()&^0xff)
	w.int(`,"ts":`, e.timeMS)
	user := w.g.userOf(e.request)
	w.segment(user)
	w.item(e.item)
	w.int(`,"position":`, int64(e.position))
	w.fixed(`,"propensity":`, uint64(e.nano), 9)
	w.int(`,"user_id":"u-`, int64(user))
	w.line = append(w.line, '"')
	if size := w.g.opts.PayloadBytes; size > 0 {
		r := w.g.draw(forRender, e.ownID())
		w.line = w.g.payload.pad(w.line, &r, size)
	}
	w.line = append(w.line, '}')
}

func (w *writer) click(e *entry) {
	r := w.g.draw(forRender, e.ownID())
	w.id(`{"click_id":"c`, e.ownID())
	w.id(`,"impression_id":"i`, e.idNumber()&^7)
	w.id(`,"request_id":"r`, e.idNumber()&^0xff)
	w.int(`,"ts":`, e.timeMS)
	w.item(e.item)
	w.segment(w.g.userOf(e.request))
	// Seconds on the item's page: squared, so that a quarter stays under 5 s.
	u := r.below(283)
	w.fixed(`,"dwell":`, uint64(u*u/100), 1)
	w.line = append(w.line, '}')
}

func (w *writer) order(e *entry) {
	r := w.g.draw(forRender, e.ownID())
	w.id(`{"order_id":"o`, e.ownID())
	w.id(`,"impression_id":"i`, e.idNumber()&^7)
	w.id(`,"request_id":"r`, e.idNumber()&^0xff)
	w.int(`,"ts":`, e.timeMS)
	w.item(e.item)
	w.segment(w.g.userOf(e.request))
	w.fixed(`,"amount":`, uint64(1+w.g.price.sample(&r)), 2)
	w.line = append(w.line, '}')
}

func (w *writer) query(e *entry) {
	r := w.g.draw(forRender, e.ownID())
	w.id(`{"query_id":"q`, e.ownID())
	w.id(`,"request_id":"r`, e.idNumber())
	w.int(`,"ts":`, e.timeMS)
	w.segment(w.g.userOf(e.request))
	w.line = append(w.line, `,"query":"`...)
	for i := range 1 + r.below(3) {
		if i > 0 {
			w.line = append(w.line, ' ')
		}
		w.word(&words[r.below(int64(len(words)))])
	}
	w.line = append(w.line, `"}`...)
}

func (g *Generator) userOf(request uint64) uint32 {
	r := g.draw(forUser, request)
	return g.users.sample(&r)
}

func (w *writer) segment(user uint32) {
	r := w.g.draw(forUser, uint64(user)|orphanBit)
	w.int(`,"user_segment":"seg-`, int64(w.g.segments.sample(&r)))
	w.line = append(w.line, '"')
}

func (w *writer) item(item uint32) {
	w.line = append(w.line, `,"item_id":"item-`...)
	if odd := w.g.draw(forOdd, uint64(item)|orphanBit); odd.hits(w.g.chances.oddID) {
		w.word(&oddities[odd.below(int64(len(oddities)))])
	}
	w.int("", int64(item))
	w.line = append(w.line, '"')
}

func (w *writer) int(name string, n int64) {
	w.line = strconv.AppendInt(append(w.line, name...), n, 10)
}

// fixed appends n / 10^decimals.
func (w *writer) fixed(name string, n uint64, decimals int) {
	var digits [24]byte
	i := len(digits)
	for d := 0; d <= decimals || n > 0; d++ {
		if d == decimals {
			i--
			digits[i] = '.'
		}
		i--
		digits[i] = byte('0' + n%10)
		n /= 10
	}
	w.line = append(append(w.line, name...), digits[i:]...)
}

const hexDigits = "0123456789abcdef"

// id appends the name, the request's oddity if it has one, and 16 hexadecimal
// digits that look random and are unique: mix is a bijection.
func (w *writer) id(name string, number uint64) {
	w.line = append(w.line, name...)
	if w.odd >= 0 {
		w.word(&oddities[w.odd])
	}
	x := mix(w.g.seed + number*golden)
	var digits [17]byte
	for i := range 16 {
		digits[i] = hexDigits[x>>(60-4*i)&15]
	}
	digits[16] = '"'
	w.line = append(w.line, digits[:]...)
}

func (w *writer) word(t *text) {
	if w.ascii {
		w.line = append(w.line, t.ascii...)
	} else {
		w.line = append(w.line, t.utf8...)
	}
}
