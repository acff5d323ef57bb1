package experiments

import "strings"

// What a pipeline's consumer group has beside itself on the brokers: groups that
// shuffle its topics and archive its rows, and internal topics. What workers have who
// share the tiles of features is named alike, after the store.

// GroupBelongs reports whether a consumer group works for a pipeline's.
func GroupBelongs(group, of string) bool {
	rest, ok := strings.CutPrefix(group, of+".")
	return ok && (strings.HasPrefix(rest, "repartition.") || strings.HasPrefix(rest, "tiles.") || rest == "parquet" || strings.HasPrefix(rest, "parquet."))
}

// TopicBelongs reports whether a topic is an internal one of a pipeline's group.
// Nobody else should name topics so; but somebody may.
func TopicBelongs(topic, group string) bool {
	rest, ok := strings.CutPrefix(topic, topicName(group)+".")
	return ok && (strings.HasPrefix(rest, "repartition.") || rest == "rows" || rest == "parked" || strings.HasPrefix(rest, "rows."))
}

// InternalTopicOf returns whose internal topic a topic is, by its name: one of groups,
// or where none of them is, the group that had that name; empty for other topics.
func InternalTopicOf(topic string, groups []string) string {
	for _, group := range groups {
		if TopicBelongs(topic, group) {
			return group
		}
	}
	if i := strings.LastIndex(topic, ".repartition."); i > 0 {
		return strings.ReplaceAll(topic[:i], "..", "+")
	}
	return ""
}
