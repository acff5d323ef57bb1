package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka"
)

func newTail(c *console) *cobra.Command {
	var cl clusterFlags
	var load loadFlags
	var experiment string
	var untilEnd, meta bool
	var limit int64
	cmd := &cobra.Command{
		Use: "tail TOPIC", Short: "Print a topic's committed records, one JSON a line", Args: exactly(1, "a topic"),
		Long: `Print the committed records of any topic, one JSON a line: the record's value,
or with --meta an object with its partition, offset, timestamp, key and headers
around it. Avro and Protobuf values are printed as JSON by what the schema registry
has under their schema's id; with --experiment so are those without an id, and
tf.train.Examples. Another value that is not JSON is printed as a JSON string.
Of an internal topic, through which another is shuffled, --meta also prints the
markers that lie between the records, and where each record came from.`,
		Example: "  mortise tail instances.feed-ctr --until-end",
		RunE: func(cmd *cobra.Command, args []string) error {
			var plan *experiments.Plan
			if experiment != "" {
				var err error
				if plan, err = c.mustLoad(&load, []string{experiment}); err != nil {
					return err
				}
			}
			cluster, err := cl.open(c, kafkaOf(plan))
			if err != nil {
				return err
			}
			defer func() { _ = cluster.close() }()
			shown, err := cluster.values(cmd.Context(), c, plan)
			if err != nil {
				return err
			}
			return c.tail(cmd.Context(), cluster, shown, args[0], untilEnd, meta, limit)
		},
	}
	cl.registerReader(cmd)
	load.register(cmd)
	cmd.Flags().StringVar(&experiment, "experiment", "", "experiment file that says where brokers and registry are, and what the topic holds")
	cmd.Flags().BoolVar(&untilEnd, "until-end", false, "stop at the end that the topic has now")
	cmd.Flags().BoolVar(&meta, "meta", false, "print partition, offset, timestamp, key and headers too")
	cmd.Flags().Int64VarP(&limit, "limit", "n", 0, "stop after this many records; 0 is all")
	cmd.Flags().Bool("json", true, "records are always printed as JSON")
	return cmd
}

var errEnough = errors.New("enough")

func (c *console) tail(ctx context.Context, cl *cluster, shown *values, topic string, untilEnd, meta bool, limit int64) error {
	out := bufio.NewWriterSize(c.out, 64<<10)
	n := int64(0)
	err := kafka.Tail(ctx, cl.Connection, topic, untilEnd, func(m *kafka.Message) error {
		if experiments.IsClocks(m.Headers) && !meta {
			return nil // between the records of an internal topic; not one of them
		}
		line, err := shown.json(m)
		if err != nil {
			return err
		}
		if meta {
			if line, err = withMeta(m, line); err != nil {
				return err
			}
		}
		_, _ = out.Write(line) // out remembers the error
		if err := out.WriteByte('\n'); err != nil {
			return err
		}
		if !untilEnd { // someone is watching
			if err := out.Flush(); err != nil {
				return err
			}
		}
		if n++; n == limit {
			return errEnough
		}
		return nil
	})
	if ferr := out.Flush(); err == nil {
		err = ferr
	}
	if errors.Is(err, errEnough) || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", topic, err)
	}
	return nil
}

// jsonValue returns a record's value as one line of JSON.
func jsonValue(v []byte) []byte {
	switch {
	case v == nil:
		return []byte("null")
	case json.Valid(v):
		if !bytes.ContainsAny(v, "\r\n") {
			return v
		}
		var b bytes.Buffer
		if json.Compact(&b, v) == nil {
			return b.Bytes()
		}
	}
	return jsonString(v)
}

// jsonString writes text as a JSON string, other bytes as base64 in an object.
func jsonString(v []byte) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	var err error
	if utf8.Valid(v) {
		err = enc.Encode(string(v))
	} else {
		err = enc.Encode(map[string]string{"base64": base64.StdEncoding.EncodeToString(v)})
	}
	if err != nil {
		return []byte("null") // text always encodes
	}
	return bytes.TrimSpace(b.Bytes())
}

func withMeta(m *kafka.Message, value []byte) ([]byte, error) {
	headers := map[string]string{}
	for _, h := range m.Headers {
		headers[h.Key] = string(h.Value)
	}
	var key any
	if m.Key != nil {
		key = string(m.Key)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		Topic     string            `json:"topic"`
		Partition int32             `json:"partition"`
		Offset    int64             `json:"offset"`
		Timestamp int64             `json:"timestamp"`
		Key       any               `json:"key"`
		Headers   map[string]string `json:"headers,omitempty"`
		Value     json.RawMessage   `json:"value"`
	}{m.Topic, m.Partition, m.Offset, m.TimestampMS, key, headers, value})
	return bytes.TrimSpace(b.Bytes()), err
}
