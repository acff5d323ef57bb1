package clean

const (
	// maxLearned bounds how many names that nobody wants are remembered, and
	// maxLearnedBytes how long they may be; what is beyond is looked up each time.
	maxLearned      = 128
	maxLearnedBytes = 64
)

// name is one field name that a scanner knows.
type name struct {
	quoted []byte // as records spell it, with quotes and colon; nil if it needs escapes
	text   []byte
	slot   int32 // position in the wanted names; -1 for one that is skipped
	next   int32 // the name that followed it last time; 0 for none
}

// names finds fields by name. Records of one topic spell the same names in the
// same order, so each name remembers which one followed it, wanted or not: the
// usual case is one comparison, without looking for the end of the name. The
// rest goes through a small hash table. Name 0 stands before the first one.
type names struct {
	list    []name
	table   []int32 // open addressing; ids of list, 0 is free
	learned int
}

// newNamesAt gives each name a slot of the caller's.
func newNamesAt(wanted []string, slots []int32) names {
	size := 4 * maxLearned
	for size < 4*(len(wanted)+maxLearned) {
		size *= 2
	}
	n := names{list: make([]name, 1, len(wanted)+1), table: make([]int32, size)}
	for i, text := range wanted {
		n.add([]byte(text), slots[i])
	}
	return n
}

// find returns the id of a name, or -1, and expects it after prev from now on.
func (n *names) find(text []byte, prev int32) int32 {
	at := n.hash(text)
	id := n.table[at]
	for id != 0 && string(n.list[id].text) != string(text) {
		at = (at + 1) & (len(n.table) - 1)
		id = n.table[at]
	}
	if id == 0 {
		if n.learned == maxLearned || len(text) > maxLearnedBytes {
			return -1
		}
		n.learned++
		id = n.add(append([]byte(nil), text...), -1)
	}
	if n.list[id].quoted != nil {
		n.list[prev].next = id
	}
	return id
}

// add takes ownership of text.
func (n *names) add(text []byte, slot int32) int32 {
	id := int32(len(n.list))
	known := name{text: text, slot: slot}
	if plain(text) {
		known.quoted = append(append([]byte{'"'}, text...), '"', ':')
	}
	n.list = append(n.list, known)
	at := n.hash(text)
	for n.table[at] != 0 {
		at = (at + 1) & (len(n.table) - 1)
	}
	n.table[at] = id
	return id
}

// hash is FNV-1a: names are short, and few are looked up.
func (n *names) hash(text []byte) int {
	h := uint32(2166136261)
	for _, c := range text {
		h = (h ^ uint32(c)) * 16777619
	}
	return int(h) & (len(n.table) - 1)
}

// plain reports whether JSON spells text without escapes.
func plain(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
