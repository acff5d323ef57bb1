package expression

import "testing"

// BenchmarkTrue is a condition over one row, by how the program is evaluated:
// without the engine where quick.go knows its form.
func BenchmarkTrue(b *testing.B) {
	for _, src := range []string{
		`position >= 1`,
		`dwell >= 5.0 && name == "Käse"`,
		`position in [1, 2, 3]`,
		`i >= 1 || is_top`,
		`position + 1 >= 2`,
		`upper(name) == "KÄSE"`,
	} {
		p, err := Compile(src, schema)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(src, func(b *testing.B) {
			e := bind(p, schema)
			b.ReportAllocs()
			for b.Loop() {
				if ok, err := e.True(row); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

// BenchmarkNumber is a value over one row.
func BenchmarkNumber(b *testing.B) {
	for _, src := range []string{`dwell`, `position == 0 ? 0.0 : dwell / position`} {
		p, err := Compile(src, schema)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(src, func(b *testing.B) {
			e := bind(p, schema)
			b.ReportAllocs()
			for b.Loop() {
				if _, ok, err := e.Number(row); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}
