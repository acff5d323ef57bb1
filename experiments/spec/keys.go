package spec

// The table of keys: everything that an experiment file can say. The loader
// checks files against it, and Schema prints it.

var (
	text     = &shape{kind: anyText}
	boolean  = &shape{kind: anyBool}
	positive = &shape{kind: anyInt, min: 1}
	number   = &shape{kind: anyNumber}
	span     = &shape{kind: aDuration}         // 0 is allowed
	someSpan = &shape{kind: aDuration, min: 1} // more than 0
	size     = &shape{kind: aSize}
	expr     = &shape{kind: anExpression}
	topic    = &shape{kind: topicName}
	sourceOf = &shape{kind: sourceName}
	field    = &shape{kind: identifier}
)

func enum(values ...string) *shape { return &shape{kind: oneOf, enum: values} }
func list(elem *shape) *shape      { return &shape{kind: listOf, elem: elem} }
func of(b *block) *shape           { return &shape{kind: aBlock, block: b} }
func orList(elem *shape) *shape    { return &shape{kind: either, alts: []*shape{elem, list(elem)}} }
func dict(name shapeKind, elem *shape) *shape {
	return &shape{kind: dictOf, name: name, elem: elem}
}

// fieldType takes `[int]` too, which YAML reads as a list.
var fieldType = &shape{kind: either, alts: []*shape{{kind: aType}, {kind: listOf, elem: &shape{kind: aType}}}}

// sourceField is a type, or a type and where the field lies.
var sourceField = &shape{kind: either, alts: []*shape{{kind: aType}, {kind: listOf, elem: &shape{kind: aType}}, of(sourceFieldBlock)}}

var sourceFieldBlock = &block{"a field", "A field that lies within another one.", []key{
	{name: "type", shape: fieldType, required: true, doc: "The field's type."},
	{name: "from", shape: &shape{kind: fieldPath}, required: true, doc: "Where the field lies in the record: names from the outermost to its own, with dots between them, such as user.device.os."},
}}

var experimentBlock = &block{"the experiment", "One experiment: streams in, one labelled instance out for each impression.", []key{
	{name: "experiment", shape: &shape{kind: experimentName}, required: true, doc: "The experiment's name, unique in a run: lower-case letters, digits and dashes."},
	{name: "version", shape: positive, def: "1", doc: "The file's version, yours to bump; it travels in record headers and Parquet metadata."},
	{name: "kafka", shape: of(kafkaBlock), doc: "How brokers are reached. Command-line flags win over it."},
	{name: "sources", shape: dict(sourceName, of(sourceBlock)), required: true, doc: "The streams that come in, by name."},
	{name: "join", shape: of(joinBlock), required: true, doc: "Which stream's records become instances, how long each is held, and what attaches to it."},
	{name: "features", shape: dict(identifier, of(featureBlock)), doc: "Aggregations over a stream per entity, read as they stood at the impression's time, by name."},
	{name: "feature_store", shape: of(featureStoreBlock), doc: "Where the features' tiles are kept. Without it each worker keeps its own, in its state directory, and reads all of the sources for it."},
	{name: "dimensions", shape: dict(identifier, of(dimensionBlock)), doc: "Tables of key to row that an instance looks up, by name."},
	{name: "instance", shape: of(instanceBlock), doc: "The row that is emitted: its columns, sampling, and when."},
	{name: "output", shape: of(outputBlock), required: true, doc: "Where instances and dead letters go."},
	{name: "checkpoint", shape: of(checkpointBlock), doc: "Copies of the state in another place, from which a worker that has lost its disk, or takes over a task, goes on. Without it such a worker reads the topics again."},
}}

var sourceBlock = &block{"a source", "One stream of records.", []key{
	{name: "topic", shape: topic, required: true, doc: "The Kafka topic. Backfill and replay read files in its place."},
	{name: "format", shape: enum("json", "avro", "protobuf"), def: "json", doc: "How a record's value is encoded. Files in place of the topic are JSON lines whatever it says."},
	{name: "schema_file", shape: text, doc: "For avro and protobuf: the .avsc or .proto file by which all records are written, which then carry no schema id. The default is that every record carries one, which kafka.schema_registry knows."},
	{name: "message", shape: text, doc: "The message of a .proto schema_file that the records are; needed where it has several."},
	{name: "event_time", shape: of(eventTimeBlock), required: true, doc: "Which field says when the event happened."},
	{name: "out_of_orderness", shape: span, def: "30s", doc: "How far behind the latest event time of its partition a record may still be; the watermark lags by this."},
	{name: "idle_after", shape: someSpan, def: "1m", doc: "After this long, a partition that is silent and read to its end stops holding the watermark back."},
	{name: "max_ahead", shape: span, def: "1h", doc: "How far ahead of the wall clock an event may lie; one that lies further goes to dead letters."},
	{name: "fields", shape: dict(identifier, sourceField), required: true, doc: "The fields of the record and their types: string, int, float, bool, timestamp, a list such as [int]; ? makes one nullable. One that lies within another is {type: string, from: user.id}. A record that does not fit goes to dead letters."},
	{name: "repartition", shape: boolean, def: "false", doc: "Shuffle the topic by partition_by through an internal topic, for one that is keyed otherwise, or has another number of partitions than the topics it is joined with."},
	{name: "partition_by", shape: orList(field), doc: "What the topic is keyed by, in this order, with Kafka's default partitioner, where that is not the join's partition_by. Features by just that need no shuffle in a store that workers share. It is checked against the records."},
	{name: "where", shape: expr, doc: "A condition over the fields, derived ones included; records for which it does not hold are dropped. Null counts as false."},
	{name: "derive", shape: dict(identifier, expr), doc: "Further fields, by name: each an expression over the declared ones and those derived above it."},
	{name: "clean", shape: text, doc: "The name of a registered Go function that sees every record first."},
}}

var eventTimeBlock = &block{"event_time", "Where a record's event time is.", []key{
	{name: "field", shape: field, required: true, doc: "A declared field: int or float for s, ms, us and ns; string for rfc3339; timestamp for either."},
	{name: "unit", shape: enum("s", "ms", "us", "ns", "rfc3339"), def: "ms", doc: "The unit of the field."},
}}

var joinBlock = &block{"join", "Which records are held, for how long, and what attaches to them.", []key{
	{name: "main", shape: sourceOf, required: true, doc: "The source whose records are the impressions: each becomes one instance."},
	{name: "key", shape: orList(field), required: true, doc: "The main field or fields that identify an impression; labels match on them."},
	{name: "partition_by", shape: orList(field), doc: "What the topics are keyed by: the join key, or a part of it. The default is the join key."},
	{name: "dedup", shape: boolean, def: "true", doc: "Of impressions with one key and event times less than delay apart, keep the earliest."},
	{name: "delay", shape: span, doc: "How long after its event time an impression is held. The default is the largest within."},
	{name: "late", shape: enum("emit", "dead_letter", "drop"), def: "emit", doc: "What becomes of an impression that comes after its deadline."},
	{name: "partitioner", shape: enum("murmur2", "any"), def: "murmur2", doc: "How the topics are partitioned by partition_by: murmur2, Kafka's default, which is verified against the records; or any other way that is the same for all of them, which is not."},
	{name: "repartition", shape: boolean, def: "false", doc: "Shuffle every source that the join reads, as its own repartition does."},
	{name: "partitions", shape: positive, doc: "How many partitions the internal topics have, and so how many tasks there are, where every source is shuffled. The default is as many as the main stream's topic."},
	{name: "labels", shape: dict(identifier, of(labelBlock)), required: true, doc: "What attaches to an impression, by name; each gives the columns label_NAME, label_NAME_time and label_NAME_count."},
}}

var labelBlock = &block{"a label", "One label or context stream: a match is t-before <= label time < t+within.", []key{
	{name: "source", shape: sourceOf, required: true, doc: "The source whose records are the labels; not the main one."},
	{name: "within", shape: span, def: "0s", doc: "How long after the impression a label may come."},
	{name: "before", shape: span, def: "0s", doc: "How long before the impression a label may come."},
	{name: "where", shape: expr, doc: "A condition over the label's fields."},
	{name: "value", shape: expr, doc: "A number over the label's fields, summed over the matches. The default label is 1 or 0."},
	{name: "on", shape: &shape{kind: either, alts: []*shape{field, list(field), dict(identifier, field)}}, doc: "The equality of impression and label: field names that both have, or main field to label field. It includes partition_by. The default is the join key."},
}}

var featureBlock = &block{"a feature", "An aggregation over a source per entity, or an expression over others.", []key{
	{name: "expr", shape: expr, doc: "Compute the feature from other features, main fields and dimension fields; excludes the other keys."},
	{name: "source", shape: sourceOf, doc: "The source that is aggregated."},
	{name: "entity", shape: orList(field), doc: "The field or fields that it is aggregated per, declared in this source and in the main one."},
	{name: "agg", shape: &shape{kind: anAggregate}, doc: "count, sum(x), avg(x), min(x), max(x), first(x), last(x), last_n(x, n), distinct(x) or distinct(x, exact), topk(x, k), stddev(x), decayed_sum(x, half-life), where x is an expression."},
	{name: "where", shape: expr, doc: "A condition over the source's fields."},
	{name: "window", shape: someSpan, doc: "How far back the aggregation reaches: a multiple of the tile."},
	{name: "tile", shape: someSpan, def: "1m", doc: "The span of one partial aggregate; windows start and end on its multiples."},
}}

var instanceBlock = &block{"instance", "The row that is emitted.", []key{
	{name: "select", shape: list(text), doc: "The columns between the labels and the weight: main fields, features, and dimension fields as dimension.field."},
	{name: "sample", shape: of(sampleBlock), doc: "Keep only a share of the negatives; weight makes up for it."},
	{name: "emit", shape: enum("at_close", "early_positive", "immediate_negative"), def: "at_close", doc: "When rows come out: once at the close; also at the first label; or at once as a negative that is corrected."},
}}

var sampleBlock = &block{"sample", "Deterministic sampling of negatives.", []key{
	{name: "negatives", shape: number, def: "1", doc: "The share of negatives that is kept, above 0 and up to 1."},
	{name: "by", shape: field, doc: "The main field whose hash decides; impressions that share it are kept or left out together. The default is the join key."},
}}
