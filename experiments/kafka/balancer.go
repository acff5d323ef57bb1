package kafka

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// balancer gives tasks to the members of a group: a task is one partition
// number over all topics, so no number is ever split. It is sticky and
// cooperative: as few tasks as possible move, a task moves only once its owner
// has given it up, and of those that must move each goes, if it can, to a member
// that has its state on disk.
type balancer struct {
	warm func() []int32 // the tasks of which this member has state; may be nil
}

var (
	_ kgo.GroupBalancer           = (*balancer)(nil)
	_ kgo.ConsumerBalancerBalance = (*balancer)(nil)
)

// ProtocolName implements kgo.GroupBalancer.
func (*balancer) ProtocolName() string { return "mortise-tasks" }

// IsCooperative implements kgo.GroupBalancer.
func (*balancer) IsCooperative() bool { return true }

// JoinGroupMetadata implements kgo.GroupBalancer: Kafka's own metadata of a
// consumer, with the warm tasks as user data.
func (b *balancer) JoinGroupMetadata(topics []string, owned map[string][]int32, generation int32) []byte {
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Version, meta.Topics, meta.Generation = 3, topics, generation
	for _, topic := range slices.Sorted(maps.Keys(owned)) {
		p := kmsg.NewConsumerMemberMetadataOwnedPartition()
		p.Topic, p.Partitions = topic, owned[topic]
		meta.OwnedPartitions = append(meta.OwnedPartitions, p)
	}
	if b.warm != nil {
		meta.UserData = appendWarm(nil, b.warm())
	}
	return meta.AppendTo(nil)
}

// ParseSyncAssignment implements kgo.GroupBalancer.
func (*balancer) ParseSyncAssignment(assignment []byte) (map[string][]int32, error) {
	return kgo.ParseConsumerSyncAssignment(assignment)
}

// MemberBalancer implements kgo.GroupBalancer.
func (b *balancer) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	cb, err := kgo.NewConsumerBalancer(b, members)
	if err != nil {
		return nil, nil, err
	}
	topics := cb.MemberTopics()
	return cb, topics, nil
}

// Balance implements kgo.ConsumerBalancerBalance. While topics differ in width,
// the tasks are those that all of them have.
func (b *balancer) Balance(cb *kgo.ConsumerBalancer, widths map[string]int32) kgo.IntoSyncAssignment {
	topics := mostRead(cb)
	n := int32(-1)
	for _, topic := range topics {
		if w := widths[topic]; n < 0 || w < n {
			n = w
		}
	}
	var seats []*seat
	var members []*kmsg.JoinGroupResponseMember
	claims := map[int32]int32{} // task → the latest generation in which somebody owned it
	cb.EachMember(func(_ *kmsg.JoinGroupResponseMember, meta *kmsg.ConsumerMemberMetadata) {
		for task := range ownedTasks(meta) {
			claims[task] = max(claims[task], meta.Generation)
		}
	})
	taken := map[int32]bool{}
	cb.EachMember(func(member *kmsg.JoinGroupResponseMember, meta *kmsg.ConsumerMemberMetadata) {
		if !slices.Equal(meta.Topics, topics) {
			return
		}
		s := &seat{warm: parseWarm(meta.UserData)}
		for _, task := range slices.Sorted(maps.Keys(ownedTasks(meta))) {
			if task < n && !taken[task] && meta.Generation >= claims[task] {
				taken[task] = true
				s.tasks = append(s.tasks, task)
			}
		}
		seats, members = append(seats, s), append(members, member)
	})
	balance(seats, max(n, 0))
	plan := cb.NewPlan()
	for i, s := range seats {
		for _, topic := range topics {
			if len(s.tasks) > 0 {
				plan.AddPartitions(members[i], topic, s.tasks)
			}
		}
	}
	plan.AdjustCooperative(cb)
	return plan
}

// mostRead returns the topics that most members read, sorted. A member that
// reads others has not learned of all topics yet, or is misconfigured: it gets
// no tasks.
func mostRead(cb *kgo.ConsumerBalancer) []string {
	votes, topics := map[string]int{}, map[string][]string{}
	cb.EachMember(func(_ *kmsg.JoinGroupResponseMember, meta *kmsg.ConsumerMemberMetadata) {
		key := strings.Join(meta.Topics, "\x00")
		votes[key]++
		topics[key] = meta.Topics
	})
	best := slices.MinFunc(slices.Collect(maps.Keys(votes)), func(a, b string) int {
		return cmp.Or(cmp.Compare(votes[b], votes[a]), cmp.Compare(len(topics[b]), len(topics[a])), cmp.Compare(a, b))
	})
	return topics[best]
}

func ownedTasks(meta *kmsg.ConsumerMemberMetadata) map[int32]bool {
	tasks := map[int32]bool{}
	for i := range meta.OwnedPartitions {
		for _, p := range meta.OwnedPartitions[i].Partitions {
			tasks[p] = true
		}
	}
	return tasks
}

// seat is a member while tasks are given out.
type seat struct {
	tasks []int32 // what it owns, then what it gets
	warm  map[int32]bool
	most  int // how many it may have
}

// balance gives the tasks 0 to n-1 to seats, none of which may own a task beyond
// or one of another. Numbers of tasks differ by at most one. The order of seats
// decides between equals.
func balance(seats []*seat, n int32) {
	if len(seats) == 0 {
		return
	}
	allot(seats, int(n))
	free := map[int32]bool{}
	for task := range n {
		free[task] = true
	}
	for _, s := range seats {
		for _, task := range s.tasks {
			delete(free, task)
		}
	}
	for _, s := range seats {
		s.shed(seats, free)
	}
	fillWarm(seats, free)
	for _, task := range slices.Sorted(maps.Keys(free)) {
		emptiest(seats, nil).add(task)
	}
	for _, s := range seats {
		slices.Sort(s.tasks)
	}
}

// allot says how many tasks each seat may have: the same, and one more for as
// many as that leaves over, those first that own most.
func allot(seats []*seat, n int) {
	order := slices.Clone(seats)
	slices.SortStableFunc(order, func(a, b *seat) int { return cmp.Compare(len(b.tasks), len(a.tasks)) })
	for i, s := range order {
		s.most = n / len(seats)
		if i < n%len(seats) {
			s.most++
		}
	}
}

func (s *seat) add(task int32) { s.tasks = append(s.tasks, task) }

// shed gives up what a seat has too many of: first what others with room have
// state for, then what it has no state for itself, the highest first.
func (s *seat) shed(seats []*seat, free map[int32]bool) {
	if len(s.tasks) <= s.most {
		return
	}
	wanted := func(task int32) int {
		for _, o := range seats {
			if o != s && o.warm[task] && len(o.tasks) < o.most {
				return 1
			}
		}
		return 0
	}
	own := func(task int32) int {
		if s.warm[task] {
			return 1
		}
		return 0
	}
	slices.SortFunc(s.tasks, func(a, b int32) int { // what is kept comes first
		return cmp.Or(cmp.Compare(wanted(a), wanted(b)), cmp.Compare(own(b), own(a)), cmp.Compare(a, b))
	})
	for _, task := range s.tasks[s.most:] {
		free[task] = true
	}
	s.tasks = s.tasks[:s.most]
}

// fillWarm gives free tasks to seats that have state for them, those first that
// fewest have.
func fillWarm(seats []*seat, free map[int32]bool) {
	have := func(task int32) (n int) {
		for _, s := range seats {
			if s.warm[task] {
				n++
			}
		}
		return n
	}
	order := slices.Sorted(maps.Keys(free))
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(have(a), have(b)) })
	for _, task := range order {
		if s := emptiest(seats, func(s *seat) bool { return s.warm[task] }); s != nil {
			s.add(task)
			delete(free, task)
		}
	}
}

// emptiest returns the first of the seats with room that has fewest tasks, among
// those that fit; nil when there is none.
func emptiest(seats []*seat, fits func(*seat) bool) (best *seat) {
	for _, s := range seats {
		if len(s.tasks) < s.most && (fits == nil || fits(s)) && (best == nil || len(s.tasks) < len(best.tasks)) {
			best = s
		}
	}
	return best
}
