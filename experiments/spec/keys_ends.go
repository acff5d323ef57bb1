package spec

// The keys of what lies at the pipeline's ends: brokers, stores, outputs.

var kafkaBlock = &block{"kafka", "How brokers are reached, under the usual names.", []key{
	{name: "seed_brokers", shape: orList(text), doc: "Brokers to ask first, as host:port."},
	{name: "tls", shape: of(tlsBlock), doc: "Encryption."},
	{name: "sasl", shape: of(saslBlock), doc: "Authentication."},
	{name: "rack_id", shape: text, doc: "This client's rack, to read from near replicas."},
	{name: "instance_id", shape: text, doc: "A static group member's name, which avoids rebalances on restart."},
	{name: "consumer_group", shape: text, doc: "The consumer group. The default is made of the experiment's name."},
	{name: "start_offset", shape: enum("earliest", "latest"), def: "earliest", doc: "Where to start where the group has committed nothing."},
	{name: "fetch_max_bytes", shape: size, def: "50MiB", doc: "The most that one fetch brings."},
	{name: "schema_registry", shape: of(registryBlock), doc: "The schema registry, for avro and protobuf."},
}}

var registryBlock = &block{"schema_registry", "A schema registry with Confluent's interface, which Redpanda, Karapace and Apicurio have too.", []key{
	{name: "url", shape: orList(text), required: true, doc: "Where it is, as http://HOST:8081; of several the next one is asked when one does not answer."},
	{name: "username", shape: text, doc: "The user, for basic authentication; needs password."},
	{name: "password", shape: text, secret: true, doc: "The password, or API secret; best written as ${NAME}."},
	{name: "token", shape: text, secret: true, doc: "A bearer token instead of user and password; best written as ${NAME}."},
	{name: "tls", shape: of(tlsBlock), doc: "Certificates, for an https URL."},
}}

var tlsBlock = &block{"tls", "Encryption of a connection.", []key{
	{name: "enabled", shape: boolean, def: "false", doc: "Whether to use TLS."},
	{name: "root_cas_file", shape: text, doc: "A PEM file of the certificate authorities to trust. The default is the system's."},
	{name: "cert_file", shape: text, doc: "A PEM file of the client's certificate; needs key_file."},
	{name: "key_file", shape: text, doc: "A PEM file of the client's key; needs cert_file."},
	{name: "skip_cert_verify", shape: boolean, def: "false", doc: "Trust any certificate. For tests."},
}}

var saslBlock = &block{"sasl", "Authentication to the brokers.", []key{
	{name: "mechanism", shape: enum("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"), required: true, doc: "How to authenticate."},
	{name: "username", shape: text, doc: "The user, for PLAIN and SCRAM."},
	{name: "password", shape: text, secret: true, doc: "The password, for PLAIN and SCRAM; best written as ${NAME}."},
	{name: "token", shape: text, secret: true, doc: "The token, for OAUTHBEARER; best written as ${NAME}."},
}}

var outputBlock = &block{"output", "Where instances and dead letters go. At least one of topic and parquet.", []key{
	{name: "topic", shape: of(outputTopicBlock), doc: "Instances as records of a Kafka topic."},
	{name: "parquet", shape: of(parquetBlock), doc: "Instances as a Parquet dataset."},
	{name: "dead_letters", shape: of(deadLettersBlock), doc: "Where records go that cannot be used. The default is the topic dead-letters. and the experiment's name."},
	{name: "delivery", shape: enum("exactly_once", "at_least_once"), def: "exactly_once", doc: "Commit outputs and offsets in one transaction, or outputs first and offsets later."},
}}

var outputTopicBlock = &block{"topic", "Instances as records.", []key{
	{name: "name", shape: topic, required: true, doc: "The topic."},
	{name: "format", shape: enum("json", "avro", "protobuf", "tfexample"), def: "json", doc: "How an instance is encoded. mortise schema FILE --format prints its schema."},
	{name: "schema_id", shape: enum("prefix", "header", "none"), def: "prefix", doc: "For avro and protobuf, where a record carries the id of its schema: in front of the value, as registries' clients have always read it; in the header __value_schema_id, as newer ones do; or nowhere, without a registry."},
	{name: "subject", shape: text, doc: "The registry's subject that the schema is registered under. The default is the topic's name and -value."},
	{name: "register", shape: boolean, def: "true", doc: "Register the schema when a run starts. With false it must be registered already."},
}}

var parquetBlock = &block{"parquet", "Instances as a Parquet dataset.", []key{
	{name: "path", shape: text, required: true, doc: "The dataset's folder, the experiment's own: a directory that all workers reach, or s3://bucket/prefix, gs://bucket/prefix, azblob://container/prefix."},
	{name: "roll", shape: of(rollBlock), doc: "When a new file is begun."},
	{name: "partition", shape: list(enum("dt", "hour")), def: "[dt, hour]", doc: "The folders that files lie in, by event time in UTC."},
}}

var rollBlock = &block{"roll", "When what has been collected of a partition is published: at whichever comes first.", []key{
	{name: "size", shape: size, def: "128MB", doc: "At about this size, compressed, over all folders."},
	{name: "every", shape: someSpan, def: "10m", doc: "This long after its first row."},
}}

var checkpointBlock = &block{"checkpoint", "Where and how often the state is copied.", []key{
	{name: "path", shape: text, required: true, doc: "A directory that all workers reach, or s3://bucket/prefix, gs://bucket/prefix, azblob://container/prefix."},
	{name: "every", shape: someSpan, def: "1m", doc: "How often each task is copied: only what is new."},
	{name: "keep", shape: positive, def: "3", doc: "How many copies of a task stay."},
}}

var deadLettersBlock = &block{"dead_letters", "Where records go that cannot be used: a topic or a file.", []key{
	{name: "topic", shape: topic, doc: "A topic."},
	{name: "file", shape: text, doc: "A file of JSON lines."},
}}

var featureStoreBlock = &block{"feature_store", "Where the features' tiles are kept.", []key{
	{name: "redis", shape: of(&block{"feature_store.redis", "A Redis server or cluster, which many workers share.", []key{
		{name: "addrs", shape: orList(text), required: true, doc: "The server as host:port, or some of a cluster's."},
		{name: "username", shape: text, doc: "The user; without it the default one."},
		{name: "password", shape: text, secret: true, doc: "The password; best written as ${NAME}."},
		{name: "db", shape: &shape{kind: anyInt}, def: "0", doc: "The database of a single server."},
		{name: "prefix", shape: text, def: "mortise", doc: "What the names of all keys begin with. Runs of one prefix share tiles where they define the same features."},
		{name: "tls", shape: of(tlsBlock), doc: "Encryption, as for Kafka."},
	}}), required: true, doc: "A Redis server or cluster: workers share the sources' partitions out among them, and read one another's tiles."},
}}
