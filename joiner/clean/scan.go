package clean

import "fmt"

// tokenKind says what a JSON value is; its flags say what reading it must mind.
type tokenKind uint8

const (
	absent tokenKind = iota
	tokenNull
	tokenTrue
	tokenFalse
	tokenNumber
	tokenString
	tokenArray
	tokenObject

	kindMask    tokenKind = 0x0f
	flagInteger tokenKind = 0x10 // a number without fraction and exponent
	flagEscaped tokenKind = 0x20 // a string with escapes
	flagHigh    tokenKind = 0x40 // a string that may hold bytes above 0x7f
)

// token is where a wanted field's value lies in the record; a string's span
// leaves the quotes out.
type token struct {
	start, end int
	kind       tokenKind
}

// scanner finds the wanted top-level fields of a JSON object. One goroutine
// uses it.
type scanner struct {
	names  names
	wanted int      // how many names are looked for at the top
	tokens []token  // by position in the wanted paths, and of objects that they lead through
	within []within // what is looked for inside
	copies [][2]int // tokens that several paths lead to
	key    []byte   // scratch for names with escapes
	stack  [maxDepth/64 + 1]uint64

	data   []byte
	failAt int
	fault  string
}

func newScanner(wanted []string) *scanner {
	paths := make([][]string, len(wanted))
	for i := range wanted {
		paths[i] = wanted[i : i+1]
	}
	return newPathScanner(paths)
}

// scan fills tokens from data. It stops at the last wanted field, unless whole
// asks for the whole record to be validated. It reports whether data is valid as
// far as it went; syntax then says what is wrong.
func (s *scanner) scan(data []byte, whole bool) bool {
	if !s.scanTop(data, whole) {
		return false
	}
	if s.within != nil || s.copies != nil {
		s.descend()
	}
	return true
}

func (s *scanner) scanTop(data []byte, whole bool) bool {
	s.data = data
	clear(s.tokens)
	left := s.wanted
	i := s.space(0)
	if i >= len(data) || data[i] != '{' {
		return s.failObject(i)
	}
	if i = s.space(i + 1); i < len(data) && data[i] == '}' {
		return s.finish(i+1, whole)
	}
	prev := int32(0)
	for left > 0 || whole {
		var id int32
		if id, i = s.name(i, prev); i < 0 {
			return false
		}
		var kind tokenKind
		start := i
		if i, kind = s.value(i); i < 0 {
			return false
		}
		if id > 0 {
			prev = id
			if slot := s.names.list[id].slot; slot >= 0 && s.tokens[slot].kind == absent {
				s.store(slot, start, i, kind)
				left--
			}
		}
		if i = s.space(i); i < len(data) && data[i] == ',' {
			i = s.space(i + 1)
			continue
		}
		if i < len(data) && data[i] == '}' {
			return s.finish(i+1, whole)
		}
		s.fail(i, "expected , or } after a value")
		return false
	}
	return true
}

func (s *scanner) store(slot int32, start, end int, kind tokenKind) {
	if kind&kindMask == tokenString {
		start, end = start+1, end-1
	}
	s.tokens[slot] = token{start, end, kind}
}

// name reads a name and its colon at i and returns the name's id, or -1 for one
// that is neither wanted nor known, and where its value starts.
func (s *scanner) name(i int, prev int32) (int32, int) {
	data := s.data
	id := s.names.list[prev].next
	if q := s.names.list[id].quoted; id > 0 && len(data)-i >= len(q) && string(data[i:i+len(q)]) == string(q) {
		return id, s.space(i + len(q))
	}
	return s.lookUp(i, prev)
}

// lookUp finds the id of a name that is not the one expected after prev.
func (s *scanner) lookUp(i int, prev int32) (int32, int) {
	if i >= len(s.data) || s.data[i] != '"' {
		return 0, s.fail(i, "expected a name in quotes")
	}
	end, kind := s.str(i)
	if end < 0 {
		return 0, -1
	}
	name := s.data[i+1 : end-1]
	if kind&flagEscaped != 0 {
		s.key = appendUnescaped(s.key[:0], name)
		name = s.key
	}
	if end = s.space(end); end >= len(s.data) || s.data[end] != ':' {
		return 0, s.fail(end, "expected : after a name")
	}
	return s.names.find(name, prev), s.space(end + 1)
}

func (s *scanner) finish(i int, whole bool) bool {
	if !whole {
		return true
	}
	if i = s.space(i); i < len(s.data) {
		s.fail(i, "expected nothing after the object")
		return false
	}
	return true
}

func (s *scanner) space(i int) int {
	if i < len(s.data) && s.data[i] > ' ' {
		return i
	}
	return s.skipSpace(i)
}

func (s *scanner) skipSpace(i int) int {
	for i < len(s.data) {
		switch s.data[i] {
		case ' ', '\t', '\n', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

// fail notes the first fault and returns -1, the position of a failed reading.
func (s *scanner) fail(at int, fault string) int {
	s.failAt, s.fault = at, fault
	return -1
}

func (s *scanner) failObject(i int) bool {
	switch {
	case i >= len(s.data):
		s.fail(i, "expected a JSON object, the record is empty")
	case len(s.data)-i >= 3 && string(s.data[i:i+3]) == "\xef\xbb\xbf":
		s.fail(i, "expected a JSON object, the record starts with a byte order mark")
	default:
		s.fail(i, "expected a JSON object")
	}
	return false
}

// syntax describes what scan stopped at.
func (s *scanner) syntax() string {
	if s.failAt >= len(s.data) {
		return fmt.Sprintf("at byte %d of %d: %s, the record ends here", s.failAt, len(s.data), s.fault)
	}
	return fmt.Sprintf("at byte %d of %d: %s, found %q", s.failAt, len(s.data), s.fault, excerpt(s.data[s.failAt:]))
}

// excerpt cuts raw bytes to what fits an error message.
func excerpt(raw []byte) string {
	const most = 40
	if len(raw) > most {
		return string(raw[:most]) + "…"
	}
	return string(raw)
}
