package changes

import (
	"bytes"
	"encoding/json"
)

// What is scanned here is known to be valid JSON.

// members calls fn for each member of an object, in order.
func members(object []byte, fn func(name, value []byte)) {
	for i := space(object, 1); object[i] != '}'; {
		end := value(object, i)
		name := unquote(object[i:end])
		i = space(object, space(object, end)+1) // over the colon
		end = value(object, i)
		fn(name, object[i:end])
		if i = space(object, end); object[i] == ',' {
			i = space(object, i+1)
		}
	}
}

// elements calls fn for each element of an array, in order.
func elements(array []byte, fn func(value []byte)) {
	for i := space(array, 1); array[i] != ']'; {
		end := value(array, i)
		fn(array[i:end])
		if i = space(array, end); array[i] == ',' {
			i = space(array, i+1)
		}
	}
}

func space(data []byte, i int) int {
	for data[i] == ' ' || data[i] == '\t' || data[i] == '\n' || data[i] == '\r' {
		i++
	}
	return i
}

// value returns the end of the value that begins at i.
func value(data []byte, i int) int {
	for depth := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			for i++; data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // behind a number, true, false or null
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ':', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// unquote returns the content of a string: its own bytes where there are no escapes.
func unquote(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1 : len(raw)-1]
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return nil // not reached: it is valid
	}
	return []byte(s)
}

func isNull(raw []byte) bool   { return len(raw) == 0 || raw[0] == 'n' }
func isString(raw []byte) bool { return len(raw) > 0 && raw[0] == '"' }
func isObject(raw []byte) bool { return len(raw) > 0 && raw[0] == '{' }
func isArray(raw []byte) bool  { return len(raw) > 0 && raw[0] == '[' }
func isNumber(raw []byte) bool {
	return len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9')
}

// textOf is a string's content, and empty for anything else.
func textOf(raw []byte) string {
	if !isString(raw) {
		return ""
	}
	return string(unquote(raw))
}
