package main

import (
	"context"
	"fmt"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/instances/compare"
)

// readTopic reads the committed records of a topic, up to where it ends now.
func (o *operand) readTopic(ctx context.Context, cl *cluster, add func(compare.Row) error) error {
	r := compare.NewJSONReader()
	var versions versionNames
	return kafka.Tail(ctx, cl.Connection, o.topic, true, func(m *kafka.Message) error {
		if m.Value == nil || m.Offset < o.fromOff || m.Offset >= o.toOff || experiments.IsClocks(m.Headers) {
			return nil
		}
		line, err := o.shown.json(m)
		if err != nil {
			return err
		}
		row, err := r.Read(line, versions.of(m.Headers))
		if err == nil {
			err = add(row)
		}
		if err != nil {
			return fmt.Errorf("partition %d, offset %d: %w", m.Partition, m.Offset, err)
		}
		return nil
	})
}

// versionNames names what wrote a row: the experiment's version and the hash of
// its configuration. The same name is the same string, as records of one follow
// one another.
type versionNames struct{ version, config, name string }

func (v *versionNames) of(headers []experiments.Header) string {
	var version, config []byte
	for _, h := range headers {
		switch h.Key {
		case "mortise-version":
			version = h.Value
		case "mortise-config":
			config = h.Value
		}
	}
	if string(version) != v.version || string(config) != v.config {
		v.version, v.config = string(version), string(config)
		v.name = versionName(v.version, v.config)
	}
	return v.name
}

func versionName(version, config string) string {
	switch {
	case version == "":
		return ""
	case config == "":
		return "v" + version
	}
	return "v" + version + " " + config
}
