package pebble

// Comparer is how Pebble is told to order keys.
var Comparer = comparer

// AppendRow appends the key of a row with its time.
func AppendRow(dst []byte, version uint32, key []byte, ms int64) []byte {
	return appendTime(appendRowKey(dst, version, key), ms)
}

// TimeOf reads the time of a row from its key.
var TimeOf = timeOf
