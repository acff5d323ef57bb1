package recorded

import (
	"os"
	"path/filepath"
	"testing"
)

// writeIn writes a file in folders that it makes.
func writeIn(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o777); err != nil {
		t.Fatal(err)
	}
	return write(t, dir, name, data)
}

func TestFoldersGiveFields(t *testing.T) {
	dir := t.TempDir()
	o := Options{Fields: fields(t, "id:string dt:timestamp hour:int market:string?")}
	a := writeIn(t, dir, "dt=2019-11-24/hour=07/market=a%2Fb/a.jsonl", []byte(`{"id":"x"}`+"\n"+` {"hour":8,"id":"{\"dt\":1}"} `+"\n{ }\nno object\n{\"a\":{\"hour\":1},\"b\":\"hour\"}\n"))
	b := writeIn(t, dir, "dt=2019-11-24/hour=__HIVE_DEFAULT_PARTITION__/market=/b.csv", []byte("id\ny\nz,1\n"))
	c := writeIn(t, dir, "other=1/dt=x/dt=2019-11-25/hour=3/c.csv", []byte("hour,id\n4,y\n"))
	got, err := rowsOf(t, o, a, b, c)
	wantLines(t, got, err,
		`a.jsonl:1 {"id":"x","dt":1574553600000,"hour":7,"market":"a/b"}`,
		`a.jsonl:2  {"hour":8,"id":"{\"dt\":1}","dt":1574553600000,"market":"a/b"}`,
		`a.jsonl:3 { "dt":1574553600000,"hour":7,"market":"a/b"}`,
		`a.jsonl:4 no object`,
		`a.jsonl:5 {"a":{"hour":1},"b":"hour","dt":1574553600000,"hour":7,"market":"a/b"}`,
		`b.csv:2 {"id":"y","dt":1574553600000,"hour":null,"market":""}`,
		`b.csv:3 ["z","1"]`,
		`c.csv:2 {"id":"y","hour":4,"dt":1574640000000}`)
	// Undeclared, they are nothing but folders.
	got, err = rowsOf(t, Options{}, a)
	wantLines(t, got[:1], err, `a.jsonl:1 {"id":"x"}`)
}
