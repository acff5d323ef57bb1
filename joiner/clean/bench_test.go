package clean

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

// benchFields are what an experiment declares of the benchmark's records.
const benchFields = "impression_id:string ts:int user_segment:string item_id:string position:int propensity:float?" +
	" shown:bool campaign:string? seen_at:timestamp? tags:[string]?"

// benchRecord makes a record of about 1 KB, its declared fields in front of the
// others or behind them.
func benchRecord(rnd *rand.Rand, front bool) []byte {
	declared := fmt.Sprintf(`"impression_id":"bts-women-%d","ts":%d,"user_segment":"%x","item_id":"women-%d","position":%d,"propensity":%.6f,`+
		`"shown":true,"campaign":"women","seen_at":%d,"tags":["new","autumn sale"]`, rnd.Intn(1e6), 1574553663979+rnd.Intn(1e6), rnd.Int63(), rnd.Intn(80),
		rnd.Intn(3)+1, rnd.Float64(), 1574553663979+rnd.Intn(1e6))
	var rest strings.Builder
	for i := 0; rest.Len() < 1024-len(declared)-40; i++ {
		switch i % 4 {
		case 0:
			fmt.Fprintf(&rest, `"device_attribute_%d":"%x",`, i, rnd.Int63())
		case 1:
			fmt.Fprintf(&rest, `"score_%d":%.6f,`, i, rnd.NormFloat64())
		case 2:
			fmt.Fprintf(&rest, `"count_%d":%d,`, i, rnd.Intn(1e6))
		case 3:
			fmt.Fprintf(&rest, `"context_%d":{"page":"/feed/%d","slot":[1,%d]},`, i, rnd.Intn(1000), rnd.Intn(10))
		}
	}
	body := rest.String()
	if front {
		return []byte("{" + declared + "," + body[:len(body)-1] + "}")
	}
	return []byte("{" + body + declared + "}")
}

func benchRecords(front bool) (records [][]byte, bytes int64) {
	rnd := rand.New(rand.NewSource(1))
	for range 64 {
		records = append(records, benchRecord(rnd, front))
		bytes += int64(len(records[len(records)-1]))
	}
	return records, bytes / 64
}

func BenchmarkIntake(b *testing.B) {
	for _, c := range []struct {
		name   string
		front  bool
		strict bool
		where  string
	}{
		{"front", true, false, ""}, {"back", false, false, ""}, {"front/where", true, false, "position >= 1"}, {"front/strict", true, true, ""},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := newSource(b, Options{Experiments: []Experiment{experiment(b, benchFields, c.where)}, Keys: [][]string{{"impression_id"}},
				PartitionBy: []string{"impression_id"}, IntakeKeys: true, Strict: c.strict})
			r := s.NewReader()
			records, size := benchRecords(c.front)
			var ev Event
			var rec mortise.Record
			b.SetBytes(size)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				rec.Value = records[i&63]
				if err := r.Intake(&rec, &ev); err != nil || ev.Accept != 1 {
					b.Fatal(ev.Accept, err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct {
		name   string
		front  bool
		derive []string
	}{
		{"front", true, nil}, {"back", false, nil}, {"front/derive", true, []string{"is_top = position == 1"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := newSource(b, Options{Experiments: []Experiment{experiment(b, benchFields, "", c.derive...)}}).NewReader()
			records, size := benchRecords(c.front)
			b.SetBytes(size)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, bad, err := r.Decode(records[i&63]); err != nil || bad != 0 {
					b.Fatal(bad, err)
				}
			}
		})
	}
}

// Intake and Decode are on the path of every event.
func TestReadersDoNotAllocate(t *testing.T) {
	s := newSource(t, Options{Experiments: []Experiment{experiment(t, benchFields, "position >= 1", "is_top = position == 1")},
		Keys: [][]string{{"impression_id"}, {"user_segment", "item_id"}}, PartitionBy: []string{"impression_id"}, IntakeKeys: true, Strict: true})
	r := s.NewReader()
	records, _ := benchRecords(false)
	records = append(records, []byte(`{"impression_id":"a|\u00e9","ts":1574553663979,"user_segment":"s\n","item_id":"\\","position":1,"shown":true}`))
	var ev Event
	var rec mortise.Record
	run := func() {
		for i := range records {
			rec.Value = records[i]
			if err := r.Intake(&rec, &ev); err != nil || ev.Accept != 1 {
				t.Fatal(ev.Accept, err)
			}
			if _, bad, err := r.Decode(ev.Value); err != nil || bad != 0 {
				t.Fatal(bad, err)
			}
		}
	}
	run() // buffers grow, names are learned
	if allocs := testing.AllocsPerRun(10, run); allocs != 0 {
		t.Errorf("%v allocations for %d records", allocs, len(records))
	}
}
