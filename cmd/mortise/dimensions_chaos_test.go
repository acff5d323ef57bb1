package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/internal/redistest"
)

const chaos = `
experiment: chaos
sources:
  impressions:
    topic: x.impressions
    event_time: {field: ts}
    out_of_orderness: 1s
    fields: {id: string, ts: int, item_id: string, phase: string}
  clicks:
    topic: x.clicks
    event_time: {field: ts}
    idle_after: 100ms
    fields: {id: string, ts: int}
join:
  main: impressions
  key: id
  labels:
    click: {source: clicks, within: 1m}
dimensions:
  item:
    key: item_id
    store: {redis: {addrs: [ADDR], prefix: chaos}}
    fields: {category: string}
    cache: {ttl: 1ms, negative_ttl: 1ms}
    timeout: 500ms
    breaker: {requests: 3, sleep: 200ms}
instance:
  select: [item_id, phase, item.category]
output:
  topic: {name: x.instances}
`

// slowProxy stands between the run and its Redis, and holds back what passes.
type slowProxy struct {
	addr  string
	delay atomic.Int64 // ns
}

func startProxy(t *testing.T, to string) *slowProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &slowProxy{addr: l.Addr().String()}
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = l.Close() })
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close() // as a server that is gone does
				continue
			}
			for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
				go func() {
					buf := make([]byte, 64<<10)
					for {
						n, err := way[0].Read(buf)
						<-time.After(time.Duration(p.delay.Load()) / 2) // the latency that it adds
						if _, werr := way[1].Write(buf[:n]); err != nil || werr != nil {
							_, _ = way[0].Close(), way[1].Close()
							return
						}
					}
				}()
			}
		}
	})
	return p
}

// chaosRun is a run whose dimension is in a Redis that has a hard time.
type chaosRun struct {
	t      *testing.T
	redis  *redistest.Server
	proxy  *slowProxy
	dir    string
	file   string
	data   string
	url    string
	run    *process
	nextMS int64
	sent   map[string]int // impressions by phase
	n      int
}

// tell tells Redis something, past the proxy.
func (c *chaosRun) tell(commands ...string) (answer string) {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.redis.Addr)
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for _, command := range commands {
		if _, err = fmt.Fprintf(conn, "%s\r\n", command); err == nil {
			answer, err = r.ReadString('\n')
		}
		if size, ok := strings.CutPrefix(strings.TrimSpace(answer), "$"); ok && err == nil {
			n, _ := strconv.Atoi(size)
			text := make([]byte, n+2)
			_, err = io.ReadFull(r, text)
			answer = string(text)
		}
		if err != nil || strings.HasPrefix(answer, "-") {
			c.t.Fatalf("%s: %v %s", command, err, answer)
		}
	}
	return answer
}

// fill writes the rows of items from up to to.
func (c *chaosRun) fill(from, to int) {
	for i := from; i < to; i++ {
		c.tell(fmt.Sprintf("DEL chaos:item-%d", i), fmt.Sprintf("HSET chaos:item-%d category cat-%d", i, i))
	}
}

// publish publishes an impression of each item, and waits until all are taken in,
// which must not take long, whatever becomes of Redis.
func (c *chaosRun) publish(phase string, from, to int) {
	c.t.Helper()
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "{\"id\":\"%s-%d\",\"ts\":%d,\"item_id\":\"item-%d\",\"phase\":%q}\n", phase, c.n, c.nextMS, i, phase)
		c.n++
		c.nextMS += 10
	}
	c.sent[phase] += to - from
	input := write(c.t, filepath.Join(c.dir, "published.jsonl"), b.String())
	succeed(c.t, "replay", c.file, "--embedded", c.data, "--input", "impressions="+input)
	awaitWithin(c.t, 10*time.Second, "all to be taken in while "+phase, func() bool { return c.metric("mortise_impressions_in_total", "") >= c.n }, c.run)
}

// settled waits until the impressions have all been looked up.
func (c *chaosRun) settled() {
	c.t.Helper()
	awaitWithin(c.t, 10*time.Second, "all to be looked up", func() bool { return c.metric("mortise_dimension_rows_total", "") >= c.n }, c.run)
}

// metric sums a metric over the lines that have a label.
func (c *chaosRun) metric(name, label string) (sum int) {
	c.t.Helper()
	_, body := get(c.t, c.url+"/metrics")
	for _, m := range regexp.MustCompile(`(?m)^`+name+`\{([^}]*)\} (\S+)$`).FindAllStringSubmatch(body, -1) {
		if strings.Contains(m[1], label) {
			n, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				c.t.Fatal(err)
			}
			sum += int(n)
		}
	}
	return sum
}

// recovered asks for one row again and again, until the store serves it.
func (c *chaosRun) recovered(phase string) {
	c.t.Helper()
	awaitWithin(c.t, 20*time.Second, "the store to serve rows after "+phase, func() bool {
		before := c.metric("mortise_dimension_rows_total", `served="store"`)
		c.publish("probing", 0, 1)
		c.settled()
		return c.metric("mortise_dimension_rows_total", `served="store"`) > before
	}, c.run)
}

// TestRedisChaos has the Redis of a dimension killed, frozen, slow and full of
// wrong types, and back each time, under a run that goes on: intake never stops,
// every window closes, each row says how it was served, and what comes after is as
// asked again.
func TestRedisChaos(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &chaosRun{t: t, redis: redistest.Start(t), dir: dir, data: filepath.Join(dir, "data"), nextMS: 1_767_225_600_000, sent: map[string]int{}}
	c.proxy = startProxy(t, c.redis.Addr)
	c.file = write(t, filepath.Join(dir, "chaos.yaml"), strings.Replace(chaos, "ADDR", c.proxy.addr, 1))
	c.fill(0, 150)
	c.run, _, c.url = live(t, c.data, c.file, "--partitions", "1", "--commit-every", "20ms")

	c.publish("well", 0, 100)
	c.publish("absent", 500, 510)
	c.settled()

	c.redis.Kill()
	c.publish("killed", 0, 120) // the last 20 were never read
	c.settled()
	if c.metric("mortise_dimension_requests_total", `result="failed"`) == 0 {
		t.Error("no request has failed while Redis was dead")
	}
	c.redis.Restart(t)
	c.recovered("being killed")
	c.publish("back", 0, 120)
	c.settled()

	pid, err := strconv.Atoi(regexp.MustCompile(`process_id:(\d+)`).FindStringSubmatch(c.tell("INFO server"))[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	c.publish("frozen", 0, 120)
	c.settled()
	awaitWithin(t, 20*time.Second, "the breaker to open for a frozen Redis", func() bool {
		c.publish("frozen", 0, 20)
		c.settled()
		return c.metric("mortise_dimension_breaker_state", "") > 0
	}, c.run)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.recovered("being frozen")
	c.publish("thawed", 0, 120)
	c.settled()

	c.proxy.delay.Store(int64(2 * time.Second))
	c.publish("slow", 0, 120)
	c.settled()
	c.proxy.delay.Store(0)
	c.recovered("being slow")
	c.publish("fast", 0, 120)
	c.settled()

	for i := 110; i < 150; i++ { // the last 30 were never read well
		c.tell(fmt.Sprintf("DEL chaos:item-%d", i), fmt.Sprintf("SET chaos:item-%d text", i))
	}
	c.publish("wrong", 0, 150)
	c.settled()
	c.fill(110, 150)
	c.recovered("having wrong types")
	c.publish("repaired", 0, 150)
	c.settled()

	c.nextMS += 3_600_000
	c.publish("end", 0, 1) // closes all windows before it
	awaitWithin(t, 20*time.Second, "every window to close", func() bool { return c.metric("mortise_instances_total", "") == c.n-1 }, c.run)
	if out := succeed(t, "status", c.file, "--embedded", c.data, "--http", c.url); !regexp.MustCompile(`(?m)^  item +redis +.* closed +\d`).MatchString(out) {
		t.Errorf("status --http shows\n%s", out)
	}
	c.run.stop()
	c.check()
}

// check holds the rows against what each phase must have given.
func (c *chaosRun) check() {
	c.t.Helper()
	got := map[string]map[string]int{} // by phase and how
	for _, text := range tailed(c.t, "x.instances", "--embedded", c.data) {
		var row struct {
			Item     string   `json:"item_id"`
			Phase    string   `json:"phase"`
			Category *string  `json:"item_category"`
			Degraded []string `json:"degraded"`
		}
		if err := json.Unmarshal([]byte(text), &row); err != nil {
			c.t.Fatal(err)
		}
		how := strings.Join(row.Degraded, ",")
		if missing := how == "item:missing"; missing != (row.Category == nil) || !missing && *row.Category != strings.Replace(row.Item, "item", "cat", 1) {
			c.t.Errorf("%s", text)
		}
		if got[row.Phase] == nil {
			got[row.Phase] = map[string]int{}
		}
		got[row.Phase][how]++
	}
	for phase, want := range map[string]map[string]int{
		"well": {"": 100}, "absent": {"item:missing": 10}, "killed": {"item:stale": 100, "item:missing": 20}, "back": {"": 120}, "frozen": {"item:stale": c.sent["frozen"]},
		"thawed": {"": 120}, "slow": {"item:stale": 120}, "fast": {"": 120}, "repaired": {"": 150},
	} {
		if fmt.Sprint(got[phase]) != fmt.Sprint(want) {
			c.t.Errorf("%s: rows served %v, want %v", phase, got[phase], want)
		}
	}
	if w := got["wrong"]; w[""] != 110 || w["item:missing"]+w["item:stale"] != 40 || w["item:missing"] < 30 {
		c.t.Errorf("wrong types: rows served %v", w)
	}
	for phase, n := range c.sent {
		if rows := got[phase][""] + got[phase]["item:stale"] + got[phase]["item:missing"]; rows != n && phase != "end" {
			c.t.Errorf("%s: %d rows of %d impressions", phase, rows, n)
		}
	}
}
