package kafka

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// simGroup is a consumer group as its coordinator sees it.
type simGroup struct {
	topics     []string
	width      int32
	generation int32
	members    map[string]*simMember
}

type simMember struct {
	warm  []int32
	owned map[int32]bool
	last  int32 // the generation in which it owned them
}

// rebalance has all members join, once, and returns whether one of them has to
// join again because it gave something up.
func (g *simGroup) rebalance(t *testing.T) (again bool) {
	t.Helper()
	var joined []kmsg.JoinGroupResponseMember
	for id, m := range g.members {
		owned := map[string][]int32{}
		for _, topic := range g.topics {
			if len(m.owned) > 0 {
				owned[topic] = slices.Sorted(maps.Keys(m.owned))
			}
		}
		b := &balancer{warm: func() []int32 { return m.warm }}
		joined = append(joined, kmsg.JoinGroupResponseMember{MemberID: id, ProtocolMetadata: b.JoinGroupMetadata(g.topics, owned, m.last)})
	}
	slices.SortFunc(joined, func(a, b kmsg.JoinGroupResponseMember) int {
		return cmp.Compare(a.MemberID, b.MemberID)
	})
	g.generation++
	for id, plan := range g.plan(t, joined) {
		m := g.members[id]
		for task := range m.owned {
			again = again || !plan[task]
		}
		m.owned, m.last = plan, g.generation
	}
	return again
}

// plan asks the balancer, twice, and makes sure that no task is split.
func (g *simGroup) plan(t *testing.T, joined []kmsg.JoinGroupResponseMember) map[string]map[int32]bool {
	t.Helper()
	widths := map[string]int32{}
	for _, topic := range g.topics {
		widths[topic] = g.width
	}
	var first []kmsg.SyncGroupRequestGroupAssignment
	for range 2 {
		mb, topics, err := (&balancer{}).MemberBalancer(slices.Clone(joined))
		if err != nil || len(topics) != len(g.topics) {
			t.Fatalf("%v, %v", topics, err)
		}
		into, err := mb.(kgo.GroupMemberBalancerOrError).BalanceOrError(widths)
		if err != nil {
			t.Fatal(err)
		}
		got := into.IntoSyncAssignment()
		if first != nil && fmt.Sprint(got) != fmt.Sprint(first) {
			t.Fatal("the same members, another plan")
		}
		first = got
	}
	plans := map[string]map[int32]bool{}
	for _, a := range first {
		assigned, err := (&balancer{}).ParseSyncAssignment(a.MemberAssignment)
		if err != nil {
			t.Fatal(err)
		}
		plans[a.MemberID] = tasksOf(assigned)
		for _, topic := range g.topics {
			if len(assigned[topic]) != len(plans[a.MemberID]) {
				t.Fatalf("%s got %v: a number is split", a.MemberID, assigned)
			}
		}
	}
	return plans
}

// owners returns who owns each task, and fails when two do.
func (g *simGroup) owners(t *testing.T) map[int32]string {
	t.Helper()
	owners := map[int32]string{}
	for id, m := range g.members {
		for task := range m.owned {
			if other, taken := owners[task]; taken {
				t.Fatalf("task %d is %s's and %s's", task, id, other)
			}
			owners[task] = id
		}
	}
	return owners
}

// mustMove is how few tasks can change owner: those that members have beyond an
// equal share.
func (g *simGroup) mustMove() (n int) {
	var counts []int
	for _, m := range g.members {
		counts = append(counts, len(m.owned))
	}
	slices.Sort(counts)
	slices.Reverse(counts)
	for i, c := range counts {
		share := int(g.width) / len(counts)
		if i < int(g.width)%len(counts) {
			share++
		}
		n += max(c-share, 0)
	}
	return n
}

// TestBalancer has members come, go, fail and come back, with and without state.
func TestBalancer(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		g := &simGroup{topics: []string{"a", "b", "c"}[:1+rng.IntN(3)], width: int32(1 + rng.IntN(40)), members: map[string]*simMember{}}
		for step := range 12 {
			for range rng.IntN(3) { // leave, or die
				for id := range g.members {
					delete(g.members, id)
					break
				}
			}
			for range rng.IntN(3) {
				m := &simMember{last: -1}
				for range rng.IntN(int(g.width) + 1) {
					m.warm = append(m.warm, int32(rng.IntN(int(g.width)+5)))
				}
				g.members[fmt.Sprint("m", step, "-", rng.IntN(1000))] = m
			}
			if rng.IntN(6) == 0 {
				g.width += int32(rng.IntN(4))
			}
			if len(g.members) == 0 {
				continue
			}
			g.settle(t)
		}
	}
}

// settle rebalances until nothing changes, and checks the result.
func (g *simGroup) settle(t *testing.T) {
	t.Helper()
	before, few := g.owners(t), g.mustMove()
	if again := g.rebalance(t); again {
		g.owners(t) // while tasks are between owners, too, none has two
		if g.rebalance(t) {
			t.Fatal("two rounds did not do")
		}
	}
	after := g.owners(t)
	if len(after) != int(g.width) {
		t.Fatalf("%d of %d tasks are given out", len(after), g.width)
	}
	moved := 0
	for task, id := range before {
		if after[task] != id {
			moved++
		}
	}
	if moved != few {
		t.Fatalf("%d tasks moved, want %d", moved, few)
	}
	fewest, most := int(g.width), 0
	for _, m := range g.members {
		fewest, most = min(fewest, len(m.owned)), max(most, len(m.owned))
	}
	if most-fewest > 1 {
		t.Fatalf("from %d to %d tasks a member", fewest, most)
	}
	if g.rebalance(t); !maps.Equal(g.owners(t), after) {
		t.Fatal("a rebalance of what is balanced moved something")
	}
}

func TestBalancerPrefersWarm(t *testing.T) {
	g := &simGroup{topics: []string{"a", "b"}, width: 6, members: map[string]*simMember{
		"x": {last: -1, warm: []int32{3, 4, 5}}, "y": {last: -1, warm: []int32{0, 1, 5}}, "z": {last: -1}}}
	g.settle(t)
	for task, id := range map[int32]string{0: "y", 1: "y", 3: "x", 4: "x", 2: "z", 5: "z"} {
		if g.owners(t)[task] != id {
			t.Errorf("task %d went to %s, want %s: %v", task, g.owners(t)[task], id, g.owners(t))
		}
	}
	// One dies and comes back: it gets again what it has state for.
	x := g.members["x"]
	delete(g.members, "x")
	g.settle(t)
	x.owned, x.last = nil, -1
	g.members["x2"] = x
	g.settle(t)
	for task := range x.owned {
		if !slices.Contains(x.warm, task) {
			t.Errorf("x came back to %v, want only what it has state for", x.owned)
		}
	}
}

// TestBalancerIgnoresStaleClaims has a member come back that still believes to
// own what another has been given since.
func TestBalancerIgnoresStaleClaims(t *testing.T) {
	g := &simGroup{topics: []string{"a"}, width: 4, members: map[string]*simMember{"old": {last: -1}}}
	g.settle(t)
	old := g.members["old"]
	delete(g.members, "old")
	g.members["new"] = &simMember{last: -1}
	g.settle(t)
	g.members["old"] = old
	g.generation++
	if !g.rebalance(t) {
		t.Error("what the old member gave up was not waited for")
	}
	if got := len(g.members["new"].owned); got != 2 {
		t.Errorf("the new member kept %d tasks, want 2", got)
	}
	for task := range g.members["old"].owned {
		if g.members["new"].owned[task] {
			t.Errorf("task %d has two owners", task)
		}
	}
}

// TestBalancerLeavesOutOthers has a member that reads other topics.
func TestBalancerLeavesOutOthers(t *testing.T) {
	b := &balancer{}
	join := func(id string, topics ...string) kmsg.JoinGroupResponseMember {
		return kmsg.JoinGroupResponseMember{MemberID: id, ProtocolMetadata: b.JoinGroupMetadata(topics, nil, -1)}
	}
	mb, _, err := b.MemberBalancer([]kmsg.JoinGroupResponseMember{join("1", "a", "b"), join("2", "a"), join("3", "a", "b")})
	if err != nil {
		t.Fatal(err)
	}
	into, err := mb.(kgo.GroupMemberBalancerOrError).BalanceOrError(map[string]int32{"a": 4, "b": 6})
	if err != nil {
		t.Fatal(err)
	}
	plan := into.(*kgo.BalancePlan).AsMemberIDMap()
	if len(plan["1"]["a"]) != 2 || len(plan["3"]["b"]) != 2 || len(plan["2"]) != 0 {
		t.Errorf("got %v, want two tasks each for 1 and 3", plan)
	}
}

func TestWarmRoundTrip(t *testing.T) {
	for _, tasks := range [][]int32{nil, {0}, {7, 3, 3, 0}, {1<<31 - 1, 5}, {-4, 2}} {
		got := slices.Sorted(maps.Keys(parseWarm(appendWarm(nil, tasks))))
		want := slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(tasks))), func(n int32) bool { return n < 0 })
		if !slices.Equal(got, want) {
			t.Errorf("%v: got %v", tasks, got)
		}
	}
}

func FuzzWarm(f *testing.F) {
	for _, seed := range [][]byte{nil, {warmVersion}, {warmVersion, 0, 0, 5}, {2, 1}, {warmVersion, 0x80}, {warmVersion, 0xff, 0xff, 0xff, 0xff, 0x07, 0}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tasks := parseWarm(data)
		for task := range tasks {
			if task < 0 {
				t.Fatalf("task %d", task)
			}
		}
		if again := parseWarm(appendWarm(nil, slices.Collect(maps.Keys(tasks)))); !maps.Equal(again, tasks) {
			t.Fatalf("%v became %v", tasks, again)
		}
	})
}
