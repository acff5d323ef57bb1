package kafka

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicLimit is what a topic takes.
type topicLimit struct {
	batchBytes        int   // max.message.bytes
	beforeMS, afterMS int64 // how far a timestamp may lie before and after the broker's clock; noLimit for ever

	latestMS int64       // what is known to be taken; the clock is asked again beyond it
	refused  atomic.Bool // the broker did not take a timestamp that should have been good
}

const noLimit = math.MaxInt64

// timestamp returns the timestamp of a record with that event time: the same, or
// where the topic would not take it, now. One odd record must not stop all that
// come after it; its event time is in its value too. The broker's clock may be up
// to a minute off. One goroutine at a time calls it.
func (l *topicLimit) timestamp(eventMS int64, now func() time.Time) int64 {
	if eventMS <= l.latestMS && l.beforeMS == noLimit && !l.refused.Load() {
		return eventMS
	}
	nowMS := now().UnixMilli()
	if l.refused.Load() {
		return nowMS
	}
	l.latestMS = noLimit
	if after := safely(l.afterMS); after < noLimit-nowMS {
		l.latestMS = nowMS + after
	}
	if eventMS > l.latestMS || eventMS < nowMS-safely(l.beforeMS) {
		return nowMS
	}
	return eventMS
}

// safely is a limit less what clocks may differ by.
func safely(limitMS int64) int64 {
	if limitMS == noLimit {
		return limitMS
	}
	return limitMS - min(limitMS/2, time.Minute.Milliseconds())
}

// limits returns what each topic takes, as far as it can be asked.
func (a *Admin) limits(ctx context.Context, topics []string) (map[string]*topicLimit, error) {
	limits := make(map[string]*topicLimit, len(topics))
	if len(topics) == 0 {
		return limits, nil
	}
	topics = slices.Compact(slices.Sorted(slices.Values(topics)))
	for _, name := range topics {
		limits[name] = &topicLimit{batchBytes: defaultBatchBytes, beforeMS: noLimit, afterMS: noLimit}
	}
	configs, err := a.adm.DescribeTopicConfigs(ctx, topics...)
	if err != nil && !isAuth(err) {
		return nil, fmt.Errorf("asking how large the records of topics may be: %w", err)
	}
	for _, c := range configs {
		if l := limits[c.Name]; c.Err == nil && l != nil {
			l.read(c)
		}
	}
	return limits, nil
}

// read takes over what a topic's configuration says.
func (l *topicLimit) read(c kadm.ResourceConfig) {
	if n := batchLimit(c); n > 0 {
		l.batchBytes = min(max(n, 1024), MaxRecordBytes+recordOverheadBytes)
	}
	for _, v := range c.Configs {
		ms, err := strconv.ParseInt(v.MaybeValue(), 10, 64)
		if err != nil || ms < 0 {
			continue
		}
		switch v.Key {
		case "message.timestamp.before.max.ms":
			l.beforeMS = min(l.beforeMS, ms)
		case "message.timestamp.after.max.ms":
			l.afterMS = min(l.afterMS, ms)
		case "message.timestamp.difference.max.ms": // of brokers before 4.0
			l.beforeMS, l.afterMS = min(l.beforeMS, ms), min(l.afterMS, ms)
		}
	}
}

// batchLimit reads max.message.bytes; 0 when it is not told. The embedded broker
// reports the broker's own setting beside a topic's default, not in its place.
func batchLimit(c kadm.ResourceConfig) int {
	limit, isDefault, brokers := 0, false, 0
	for _, v := range c.Configs {
		n, err := strconv.Atoi(v.MaybeValue())
		switch {
		case err != nil:
		case v.Key == "max.message.bytes":
			limit, isDefault = n, v.Source == kmsg.ConfigSourceDefaultConfig
		case v.Key == "message.max.bytes" && v.Source != kmsg.ConfigSourceDefaultConfig:
			brokers = n
		}
	}
	if isDefault && brokers > 0 {
		return brokers
	}
	return limit
}
