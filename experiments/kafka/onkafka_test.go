package kafka

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/mortise-dev/mortise/experiments/kafka/kafkatest"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// TestOnKafka runs the tests that ask for nothing but a broker once more, on
// Apache Kafka (see connect).
func TestOnKafka(t *testing.T) {
	for _, c := range []struct {
		name string
		test func(*testing.T)
	}{
		{"CommitJoinsOutputsAndOffsets", TestCommitJoinsOutputsAndOffsets},
		{"UncommittedOutputsAreAborted", TestUncommittedOutputsAreAborted},
		{"TwoMembersShareCoPartitioned", TestTwoMembersShareCoPartitioned},
		{"StaleMemberCannotCommit", TestStaleMemberCannotCommit},
		{"ZombieIsFenced", TestZombieIsFenced},
		{"AbortBeginsFromCommitted", TestAbortBeginsFromCommitted},
		{"StartReportsEveryPartition", TestStartReportsEveryPartition},
		{"ReadsToTheEndPastControlRecords", TestReadsToTheEndPastControlRecords},
		{"PausedPartitionsAreKeptBack", TestPausedPartitionsAreKeptBack},
		{"TooLargeRecordLeavesTheTransaction", TestTooLargeRecordLeavesTheTransaction},
		{"LargeRecords", TestLargeRecords},
		{"BrokerRefusesSize", TestBrokerRefusesSize},
		{"GapsAreReported", TestGapsAreReported},
		{"LogCutWhileReading", TestLogCutWhileReading},
		{"StaticMemberKeepsItsPartitions", TestStaticMemberKeepsItsPartitions},
		{"MemberWithoutTasksWaits", TestMemberWithoutTasksWaits},
		{"OrphanedTransactionIsEnded", TestOrphanedTransactionIsEnded},
		{"ReturnToTheSameTasks", TestReturnToTheSameTasks},
		{"OtherGroupsTransactionsAreLeftAlone", TestOtherGroupsTransactionsAreLeftAlone},
		{"TopicsAreWidened", TestTopicsAreWidened},
		{"TopicErrors", TestTopicErrors},
		{"PublishedRecords", TestPublishedRecords},
		{"PublishRefusesTooLargeAndGoesOn", TestPublishRefusesTooLargeAndGoesOn},
		{"PublisherNeedsItsTopics", TestPublisherNeedsItsTopics},
		{"SlabsAreUsedAgain", TestSlabsAreUsedAgain},
		{"MeterCounts", TestMeterCounts},
		{"TailFollows", TestTailFollows},
		{"TailOfEmptyTopicEnds", TestTailOfEmptyTopicEnds},
		{"GroupStatus", TestGroupStatus},
		{"EnsureTopics", TestEnsureTopics},
	} {
		t.Run(c.name, c.test)
	}
}

// emptied connects to a server and removes what earlier tests left there.
func emptied(t testing.TB, s *kafkatest.Server) Connection {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	c := Connection{Kafka: spec.Kafka{SeedBrokers: []string{s.Plain}}, ConnectTimeout: testTimeout}
	a := admin(t, c)
	for {
		groups, err := a.adm.ListGroups(ctx)
		if err == nil && len(groups) > 0 {
			_, err = a.adm.DeleteGroups(ctx, groups.Groups()...)
		}
		var left map[string]int32
		if err == nil {
			left, err = a.Topics(ctx)
		}
		if err == nil && len(groups) == 0 && len(left) == 0 {
			return c
		}
		for name := range left {
			if _, err := a.adm.DeleteTopics(ctx, name); err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
				t.Fatal(err)
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("emptying Kafka: left %v and %v, %v", groups.Groups(), left, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
