package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// WidthError says that topics that are joined differ in their numbers of
// partitions.
type WidthError struct {
	Topics [2]string
	Widths [2]int
}

// Error says why that can't be joined, and what to do.
func (e *WidthError) Error() string {
	return fmt.Sprintf("topic %s has %d partitions and topic %s has %d: topics that are joined need the same number, "+
		"keyed alike, so that a key lies in the same partition of all; give the smaller one as many, or recreate one of them",
		e.Topics[0], e.Widths[0], e.Topics[1], e.Widths[1])
}

// inputs describes the topics that are joined. Errors: *MissingTopicError,
// *WidthError.
func (a *Admin) inputs(ctx context.Context, names []string) ([]topicID, error) {
	found, err := a.describe(ctx, names)
	if err != nil {
		return nil, err
	}
	topics := make([]topicID, len(names))
	for i, name := range names {
		topics[i] = topicID{name, found[name].ID}
		if first, this := len(found[names[0]].Partitions), len(found[name].Partitions); first != this {
			return nil, &WidthError{[2]string{names[0], name}, [2]int{first, this}}
		}
	}
	return topics, nil
}

// widthPatience is how many looks in a row may find topics that differ in width:
// to widen them all takes several requests.
const widthPatience = 3

// watchWidths looks for topics that are widened, not all of them alike. Where
// they agree again the group gives out the new tasks by itself.
func (m *membership) watchWidths(a *Admin, every time.Duration) {
	ctx := m.client.Context()
	differ := 0
	for ctx.Err() == nil {
		pause(ctx, every)
		_, err := a.inputs(ctx, m.topics)
		var width *WidthError
		switch {
		case errors.As(err, &width):
			differ++
		case err == nil:
			differ = 0
		}
		if differ >= widthPatience {
			m.tell(func() { m.err = width })
			return
		}
	}
}
