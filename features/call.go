package features

import (
	"strings"
	"unicode/utf8"
)

// call is `name` or `name(arg, …)`, taken apart but not understood.
type call struct {
	name part
	args []part
}

// splitCall finds the name and the top-level commas. Quotes and brackets inside
// an argument are respected; what an argument means is not looked at.
func splitCall(text string) (call, error) {
	whole := trimmed(text, 0, len(text))
	open := strings.IndexByte(text, '(')
	if open < 0 {
		if whole.text == "" {
			return call{}, whole.fault("the aggregate is empty")
		}
		return call{name: whole}, nil
	}
	out := call{name: trimmed(text, 0, open)}
	if !strings.HasSuffix(whole.text, ")") {
		return call{}, whole.fault("the call %s does not end with )", out.name.text)
	}
	end := strings.LastIndexByte(text, ')')
	start, depth := open+1, 0
	var quote byte
	for i := open + 1; i < end; i++ {
		c := text[i]
		switch {
		case quote != 0:
			if c == '\\' && quote != '`' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'' || c == '`':
			quote = c
		case strings.IndexByte("([{", c) >= 0:
			depth++
		case strings.IndexByte(")]}", c) >= 0:
			depth--
		case c == ',' && depth == 0:
			out.args = append(out.args, trimmed(text, start, i))
			start = i + 1
		}
	}
	if last := trimmed(text, start, end); last.text != "" || len(out.args) > 0 {
		out.args = append(out.args, last)
	}
	return out, nil
}

// trimmed is text[from:to] without the spaces around it.
func trimmed(text string, from, to int) part {
	inner := text[from:to]
	left := len(inner) - len(strings.TrimLeft(inner, " \t\n"))
	return part{strings.TrimSpace(inner), utf8.RuneCountInString(text[:from+left]) + 1}
}
