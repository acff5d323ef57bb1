package mortise

import (
	"bytes"
	"testing"
)

func TestSchemaIDFraming(t *testing.T) {
	guid, ok := SchemaGUID("2d51477a-8eaa-8a8d-b0a6-a102a0e75476")
	if !ok {
		t.Fatal("a GUID is not read")
	}
	for _, c := range []struct {
		id    SchemaID
		bytes string
		text  string
	}{
		{SchemaNumber(7), "\x00\x00\x00\x00\x07", "7"},
		{SchemaNumber(1<<32 - 1), "\x00\xff\xff\xff\xff", "4294967295"},
		{guid, "\x01\x2d\x51\x47\x7a\x8e\xaa\x8a\x8d\xb0\xa6\xa1\x02\xa0\xe7\x54\x76", "2d51477a-8eaa-8a8d-b0a6-a102a0e75476"},
	} {
		framed := c.id.Append(nil)
		if string(framed) != c.bytes || c.id.String() != c.text {
			t.Errorf("%s: %x", c.id, framed)
		}
		id, rest, ok := CutSchemaID(append(framed, "rest"...))
		if !ok || id != c.id || string(rest) != "rest" {
			t.Errorf("%s: cut %s, %q, %v", c.id, id, rest, ok)
		}
		for n := range framed {
			if _, rest, ok := CutSchemaID(framed[:n]); ok || !bytes.Equal(rest, framed[:n]) {
				t.Errorf("%s cut at %d passes", c.id, n)
			}
		}
	}
	for _, text := range []string{"", "x", "2d51477a-8eaa-8a8d-b0a6-a102a0e7547", "2d51477a-8eaa-8a8d-b0a6-a102a0e7547g"} {
		if _, ok := SchemaGUID(text); ok {
			t.Errorf("%q is taken for a GUID", text)
		}
	}
	if _, _, ok := CutSchemaID([]byte(`{"json":true}`)); ok {
		t.Error("JSON is taken for a framed value")
	}
}
