package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
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

// redisChaos is a run whose dimension is in Redis, behind a proxy.
type redisChaos struct {
	*chaosRun
	redis *redistest.Server
	proxy *slowProxy
}

// tell tells Redis something, past the proxy.
func (c *redisChaos) tell(commands ...string) (answer string) {
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
func (c *redisChaos) fill(from, to int) {
	for i := from; i < to; i++ {
		c.tell(fmt.Sprintf("DEL chaos:item-%d", i), fmt.Sprintf("HSET chaos:item-%d brand brand-%d", i, i))
	}
}

// TestRedisChaos has the Redis of a dimension killed, frozen, slow and full of
// wrong types, and back each time, under a run that goes on: intake never stops,
// every window closes, each row says how it was served, and what comes after is as
// asked again.
func TestRedisChaos(t *testing.T) {
	t.Parallel()
	c := &redisChaos{redis: redistest.Start(t)}
	c.proxy = startProxy(t, c.redis.Addr)
	c.chaosRun = startChaos(t, "{redis: {addrs: ["+c.proxy.addr+"], prefix: chaos}}", "500ms", "")
	c.fill(0, 150)

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
	c.openBreaker("frozen")
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

	c.end()
	got := c.served()
	c.expect(got, map[string]map[string]int{
		"well": {"": 100}, "absent": {"item:missing": 10}, "killed": {"item:stale": 100, "item:missing": 20}, "back": {"": 120}, "frozen": {"item:stale": c.sent["frozen"]},
		"thawed": {"": 120}, "slow": {"item:stale": 120}, "fast": {"": 120}, "repaired": {"": 150},
	})
	if w := got["wrong"]; w[""] != 110 || w["item:missing"]+w["item:stale"] != 40 || w["item:missing"] < 30 {
		t.Errorf("wrong types: rows served %v", w)
	}
}
