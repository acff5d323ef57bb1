package spec

import (
	"reflect"
	"strings"
	"testing"
)

// TestHostsInFlowLists writes broker addresses in all the ways that YAML has: a
// colon that no space follows is part of the text.
func TestHostsInFlowLists(t *testing.T) {
	want := []string{"kafka-1:9092", "127.0.0.1:9093", "c:1"}
	for _, text := range []string{
		"kafka: {seed_brokers: [kafka-1:9092, 127.0.0.1:9093, c:1]}",
		"kafka: {seed_brokers: [ \"kafka-1:9092\", '127.0.0.1:9093' , c:1 ], rack_id: x}",
		"kafka:\n  seed_brokers: [kafka-1:9092, 127.0.0.1:9093, c:1]",
		"kafka:\n  seed_brokers:\n  - kafka-1:9092\n  - 127.0.0.1:9093\n  - c:1",
	} {
		e, diags := Parse("f.yaml", []byte(minimal+"\n"+text+"\n"), LoadOptions{})
		if e == nil || !reflect.DeepEqual(e.Kafka.SeedBrokers, want) {
			t.Errorf("%s: got %+v, want %q\n%s", text, e, want, diags)
		}
	}
	for _, text := range []string{"kafka: {seed_brokers: [a: 1]}", "kafka: {seed_brokers: [{a: 1}]}", "kafka: {seed_brokers: [a:9092, b :1]}"} {
		if _, diags := Parse("f.yaml", []byte(minimal+"\n"+text+"\n"), LoadOptions{}); !strings.Contains(diags.String(), "block of keys") {
			t.Errorf("%s: a mapping passes for a text:\n%s", text, diags)
		}
	}
}
