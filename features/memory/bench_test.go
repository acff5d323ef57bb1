package memory_test

import (
	"testing"

	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/featurestest"
	"github.com/mortise-dev/mortise/features/memory"
)

func BenchmarkWrite(b *testing.B) {
	featurestest.BenchmarkWrite(b, func(testing.TB) features.Store { return memory.New() })
}

func BenchmarkRead(b *testing.B) {
	featurestest.BenchmarkRead(b, func(testing.TB) features.Store { return memory.New() })
}
