package recorded

import (
	"bytes"
	"io"
)

// lines reads JSON lines. Their bytes are passed on as they are, but for the
// fields that the file's folders give.
type lines struct {
	*text
	folders folders
	out     []byte
}

// Next implements RowReader. Every error but io.EOF is a *ReadError.
func (l *lines) Next() (Line, error) {
	for {
		at := l.offset
		if at >= l.end {
			return Line{}, io.EOF
		}
		data, err := l.line()
		if err != nil {
			return Line{}, err
		}
		if data = withoutEnd(data); isBlank(data) {
			continue
		}
		if len(l.folders) > 0 {
			data = l.complete(data)
		}
		return Line{Data: data, File: l.name, Number: max(l.number, 0), Position: at}, nil
	}
}

// complete adds the fields of the file's folders that the line does not have.
// What is no object stays as it is.
func (l *lines) complete(line []byte) []byte {
	body := bytes.TrimRight(line, blanks)
	if len(body) < 2 || body[len(body)-1] != '}' {
		return line
	}
	body = body[:len(body)-1]
	l.out = append(l.out[:0], body...)
	empty := len(bytes.Trim(body, blanks+"{")) == 0
	for i := range l.folders {
		f := &l.folders[i]
		// What follows the first quote is rarer than that, and so found faster.
		if quoted := f.member.quoted(); bytes.Contains(line, quoted[1:]) && hasMember(line, quoted) {
			continue
		}
		if !empty {
			l.out = append(l.out, ',')
		}
		l.out, empty = append(l.out, f.json...), false
	}
	return append(l.out, '}')
}

// hasMember reports whether an object has a member of the name, given in quotes.
func hasMember(object, name []byte) bool {
	depth := 0
	for i := 0; i < len(object); i++ {
		switch object[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			end := i + 1
			for end < len(object) && object[end] != '"' {
				if object[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(object) {
				return false
			}
			if depth == 1 && bytes.Equal(object[i:end+1], name) && bytes.HasPrefix(bytes.TrimLeft(object[end+1:], blanks), []byte{':'}) {
				return true
			}
			i = end
		}
	}
	return false
}
