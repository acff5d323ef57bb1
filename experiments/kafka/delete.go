package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// DeleteGroups deletes consumer groups, with all that they have committed. One
// that has members is an error; one that does not exist is none.
func (a *Admin) DeleteGroups(ctx context.Context, groups ...string) error {
	for _, name := range groups {
		err := retry(ctx, func() error {
			deleted, err := a.adm.DeleteGroup(ctx, name)
			return errors.Join(err, deleted.Err)
		})
		if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			return fmt.Errorf("deleting consumer group %s: %w", name, err)
		}
	}
	return nil
}

// DeleteTopics deletes topics; one that does not exist is no error.
func (a *Admin) DeleteTopics(ctx context.Context, topics ...string) error {
	for _, name := range topics {
		err := retry(ctx, func() error {
			deleted, err := a.adm.DeleteTopic(ctx, name)
			return errors.Join(err, deleted.Err)
		})
		if err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
			return fmt.Errorf("deleting topic %s: %w", name, err)
		}
	}
	return nil
}
