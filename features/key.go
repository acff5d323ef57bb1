package features

import (
	"crypto/sha256"
	"encoding/binary"

	mortise "github.com/mortise-dev/mortise"
)

// Key is where a chunk lies. Keys order by shard, group, level and time before
// they order by entity, so that what expires is one range.
type Key struct {
	Shard  uint16 // whose tiles they are: a shard is written by one task
	Group  uint16 // its number in the store
	Level  uint8
	Chunk  int32  // the chunk's time, in chunks of the level since 1970
	Entity []byte // as EntityKey makes it
}

// KeyPrefixBytes is how much of an appended key stands before the entity.
const KeyPrefixBytes = 9

// Append appends the key so that keys order by their bytes.
func (k *Key) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, k.Shard)
	dst = binary.BigEndian.AppendUint16(dst, k.Group)
	dst = append(dst, k.Level)
	dst = binary.BigEndian.AppendUint32(dst, uint32(k.Chunk)^1<<31)
	return append(dst, k.Entity...)
}

// maxEntityBytes bounds the keys of entities in a store.
const maxEntityBytes = 256

// EntityKey appends the entity's key: the values' canonical forms joined by `|`,
// and where that is longer than 256 bytes its first 224 and the SHA-256 of all of
// it. It is false where a value is null, for which there are no tiles.
func EntityKey(dst []byte, values ...mortise.Value) ([]byte, bool) {
	if dst == nil {
		dst = []byte{} // an empty text is an entity
	}
	start := len(dst)
	for i, v := range values {
		if i > 0 {
			dst = append(dst, '|')
		}
		if v.Kind == mortise.Float {
			v = mortise.FloatValue(v.Float() + 0) // -0 is 0
		}
		var ok bool
		if dst, ok = v.AppendKey(dst); !ok {
			return dst[:start], false
		}
	}
	if key := dst[start:]; len(key) > maxEntityBytes {
		sum := sha256.Sum256(key)
		dst = append(dst[:start+maxEntityBytes-len(sum)], sum[:]...)
	}
	return dst, true
}

// IsWholeKey reports whether an entity's key is surely all of the entity, and not the
// beginning of a long one and a hash.
func IsWholeKey(entity []byte) bool { return len(entity) < maxEntityBytes }
