package parquet

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	mortise "github.com/mortise-dev/mortise"
)

// scan reads one column's values, row group after row group.
type scan struct {
	stored
	kind   mortise.Kind // of the values
	groups []parquet.RowGroup
	pages  parquet.Pages // of the first of groups
	page   parquet.Page
	reader parquet.ValueReader
	buffer [256]parquet.Value
	next   int // in buffer
	filled int
	text   []byte          // of the rows that were returned last
	list   []mortise.Value // theirs, too
}

// value is the next value, which stays until the one after it is asked for.
func (s *scan) value() (*parquet.Value, error) {
	if s.next == s.filled {
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
	s.next++
	return &s.buffer[s.next-1], nil
}

// peek reports whether the next value goes on with the row that was begun.
func (s *scan) peek() (bool, error) {
	if s.next == s.filled {
		if err := s.fill(); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return false, err
		}
	}
	return s.buffer[s.next].RepetitionLevel() > 0, nil
}

// fill reads values into the buffer, io.EOF after the last row group's.
func (s *scan) fill() error {
	s.next, s.filled = 0, 0
	for s.filled == 0 {
		if s.reader == nil {
			if err := s.turn(); err != nil {
				return err
			}
		}
		n, err := s.reader.ReadValues(s.buffer[:])
		if s.filled = n; err != nil {
			if !errors.Is(err, io.EOF) {
				return err
			}
			if n == 0 {
				s.drop()
			}
		}
	}
	return nil
}

func (s *scan) drop() {
	parquet.Release(s.page)
	s.page, s.reader = nil, nil
}

// turn goes to the next page.
func (s *scan) turn() error {
	for len(s.groups) > 0 {
		if s.pages == nil {
			s.pages = s.groups[0].ColumnChunks()[s.leaf].Pages()
		}
		page, err := s.pages.ReadPage()
		if err == nil {
			s.page, s.reader = page, page.Values()
			return nil
		}
		if !errors.Is(err, io.EOF) {
			return err
		}
		if err := s.close(); err != nil {
			return err
		}
		s.groups = s.groups[1:]
	}
	return io.EOF
}

func (s *scan) close() error {
	if s.page != nil {
		s.drop()
	}
	if s.pages == nil {
		return nil
	}
	err := s.pages.Close()
	s.pages = nil
	return err
}

// scalar reads a column that is no list.
func (s *scan) scalar() (mortise.Value, error) {
	v, err := s.value()
	if err != nil {
		return mortise.Value{}, err
	}
	if v.DefinitionLevel() < s.level {
		return mortise.NullValue(), nil
	}
	return s.convert(v), nil
}

// row reads a column's value of one row, whatever it is.
func (s *scan) row() (mortise.Value, error) {
	if s.Type.Kind != mortise.List {
		return s.scalar()
	}
	v, err := s.value()
	if err != nil {
		return mortise.Value{}, err
	}
	if v.RepetitionLevel() != 0 {
		return mortise.Value{}, fmt.Errorf("a list goes on where a row begins: %w", parquet.ErrCorrupted)
	}
	start := len(s.list)
	switch level := v.DefinitionLevel(); {
	case level < s.level && level != s.hole && level == 0 && s.nullable:
		return mortise.NullValue(), nil
	case level < s.level && level != s.hole:
		return mortise.ListValue(s.list[start:start:start]), nil
	}
	for {
		if v.DefinitionLevel() == s.level {
			s.list = append(s.list, s.convert(v))
		} else {
			s.list = append(s.list, mortise.NullValue())
		}
		more, err := s.peek()
		if err != nil {
			return mortise.Value{}, err
		}
		if !more {
			return mortise.ListValue(s.list[start:len(s.list):len(s.list)]), nil
		}
		if v, err = s.value(); err != nil {
			return mortise.Value{}, err
		}
	}
}

func (s *scan) convert(v *parquet.Value) mortise.Value {
	switch s.kind {
	case mortise.String:
		start := len(s.text)
		s.text = append(s.text, v.ByteArray()...)
		return mortise.TextValue(s.text[start:len(s.text):len(s.text)])
	case mortise.Bool:
		return mortise.BoolValue(v.Boolean())
	case mortise.Float:
		if v.Kind() == parquet.Float {
			return mortise.FloatValue(float64(v.Float()))
		}
		return mortise.FloatValue(v.Double())
	case mortise.Timestamp:
		return mortise.TimestampValue(floorDiv(v.Int64(), s.perMS))
	}
	if v.Kind() == parquet.Int32 {
		return mortise.IntValue(int64(v.Int32()))
	}
	return mortise.IntValue(v.Int64())
}

func floorDiv(n, by int64) int64 {
	q := n / by
	if n%by < 0 {
		q--
	}
	return q
}
