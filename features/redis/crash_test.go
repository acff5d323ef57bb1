package redis_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/features/featurestest"
	"github.com/mortise-dev/mortise/features/redis"
	"github.com/mortise-dev/mortise/internal/redistest"
)

// TestServerIsKilled kills the server while a task commits, again and again. What it
// finds on disk is the last commit that was answered, or the one that was under way.
func TestServerIsKilled(t *testing.T) {
	server := redistest.Start(t)
	history := featurestest.History{Task: "t"}
	rnd := rand.New(rand.NewPCG(5, 5))
	for round := range 4 {
		s, err := redis.Open(context.Background(), redis.Options{Addrs: []string{server.Addr}})
		if err != nil {
			t.Fatal(err)
		}
		w, at, err := history.Writer(s)
		if err != nil {
			t.Fatal(err)
		}
		killed := make(chan struct{})
		time.AfterFunc(time.Duration(20+rnd.IntN(60))*time.Millisecond, func() { server.Kill(); close(killed) })
		for err == nil {
			if err = history.Commit(w, at+1); err == nil {
				at++
			}
		}
		<-killed
		s.Close()
		server.Restart(t)
		if s, err = redis.Open(context.Background(), redis.Options{Addrs: []string{server.Addr}}); err != nil {
			t.Fatal(err)
		}
		commit, err := history.Check(s)
		if err != nil || commit != at && commit != at+1 || at == 0 {
			t.Fatalf("round %d: killed after commit %d: at commit %d, %v", round, at, commit, err)
		}
		t.Logf("round %d: killed after commit %d, at commit %d", round, at, commit)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, opts := range []redis.Options{{}, {Addrs: []string{"127.0.0.1:1"}}, {Addrs: []string{"x"}, Buckets: 1 << 20}} {
		if s, err := redis.Open(ctx, opts); err == nil {
			t.Errorf("%+v: no error", opts)
			s.Close()
		} else {
			t.Log(err)
		}
	}
}
