package spec

import "github.com/mortise-dev/mortise/dimjoin"

var dimensionBlock = &block{"a dimension", "A table of key to row that an instance looks up.", []key{
	{name: "key", shape: orList(field), required: true, doc: "The main field or fields that make the key."},
	{name: "store", shape: of(storeBlock), required: true, doc: "Where the rows are: one of its keys."},
	{name: "as_of", shape: enum(dimjoin.AsOfArrival, dimjoin.AsOfEmission, dimjoin.AsOfEventTime), def: dimjoin.AsOfArrival, doc: "Which version is read: as the impression comes in, as the instance goes out, or as valid at the event time."},
	{name: "history", shape: of(historyBlock), doc: "From when to when a row is valid: a key may then have several. as_of: event_time needs it, and takes the defaults of its keys where it is not given."},
	{name: "fields", shape: dict(identifier, fieldType), required: true, doc: "The fields of the rows and their types."},
	{name: "missing", shape: enum(dimjoin.MissingNull, dimjoin.MissingDefault, dimjoin.MissingDeadLetter, dimjoin.MissingWait), def: dimjoin.MissingNull, doc: "What becomes of an impression whose key has no row: its fields are null, or zero values; it goes to dead letters; or its instance waits for the row, and has nulls if it does not come."},
	{name: "wait", shape: of(waitBlock), doc: "With missing: wait, how long and how many instances wait."},
	{name: "correct", shape: of(correctBlock), doc: "Instances that were written with this dimension missing, default or stale are written again, as a later revision, once it is there. Without the block they are not."},
	{name: "changes", shape: of(changesBlock), doc: "A change stream that keeps the table up to date: into pebble with its history, each worker its own, or the latest rows into a store that workers share."},
	{name: "cache", shape: of(cacheBlock), doc: "The rows that are kept in memory. Without the block, those of file and pebble are not cached."},
	{name: "timeout", shape: someSpan, doc: "How long rows wait for the store at most, before they are served as stale or missing. The default is 100ms; of file and pebble, 1m."},
	{name: "concurrency", shape: positive, def: "8", doc: "How many requests to the store are under way at once."},
	{name: "batch", shape: positive, def: "500", doc: "How many keys one request asks for at most."},
	{name: "breaker", shape: of(breakerBlock), doc: "When a store that fails is left alone for a while."},
}}

var waitBlock = &block{"wait", "How instances wait for a row that is not there, or cannot be read, when their impression closes.", []key{
	{name: "for", shape: span, def: "10m", doc: "How long, at most, from the close on; 0s waits no longer than that."},
	{name: "every", shape: someSpan, def: "10s", doc: "How often the rows that are waited for are read again, all of them together."},
	{name: "rows", shape: positive, def: "100000", doc: "How many instances of one worker wait at most; beyond it the oldest wait no longer."},
	{name: "size", shape: size, def: "256MB", doc: "How much memory they take at most."},
}}

var correctBlock = &block{"correct", "How instances are corrected that were written with a dimension not as asked.", []key{
	{name: "for", shape: span, def: "1h", doc: "How long, at most, from when they were written first."},
	{name: "every", shape: someSpan, def: "1m", doc: "How often their dimensions are read again, all of them together."},
	{name: "rows", shape: positive, def: "100000", doc: "How many instances of one worker are remembered at most; beyond it the oldest stay as they are."},
	{name: "size", shape: size, def: "256MB", doc: "How much memory they take at most."},
}}

var historyBlock = &block{"history", "Where a store keeps the times of a row's versions. In pebble and hbase they are the store's own.", []key{
	{name: "from", shape: text, def: dimjoin.DefaultFrom, doc: "The column with the time from which the row is valid; null is always."},
	{name: "to", shape: text, def: dimjoin.DefaultTo, doc: "The column with the time at which it ends; null is never."},
	{name: "unit", shape: enum(dimjoin.HistoryUnits...), def: dimjoin.DefaultUnit, doc: "The unit of both."},
}}

var cacheBlock = &block{"cache", "The rows of a dimension that are kept in memory.", []key{
	{name: "size", shape: size, def: "64MB", doc: "How much memory they may take."},
	{name: "ttl", shape: span, def: "1m", doc: "How long a row is served before it is read again; 0s reads every time."},
	{name: "negative_ttl", shape: span, def: "10s", doc: "As ttl, for a key that has no row."},
	{name: "stale_for", shape: span, def: "1h", doc: "How much longer than ttl a row is served where the store does not answer."},
}}

var breakerBlock = &block{"breaker", "A store whose requests fail or take too long is not asked for a while.", []key{
	{name: "errors", shape: positive, def: "50", doc: "The percentage of failed requests, within 10s, from which on it is left alone."},
	{name: "requests", shape: positive, def: "20", doc: "Below this many requests within 10s the percentage says nothing."},
	{name: "sleep", shape: someSpan, def: "5s", doc: "How long it is left alone before one request tries it again."},
}}

// storeBlock is filled in below: a store of kind ab contains stores.
var storeBlock = &block{name: "store", doc: "Where a dimension's rows are: exactly one key."}

func init() {
	storeBlock.keys = []key{
		{name: "file", shape: of(&block{"file", "A file of rows.", []key{
			{name: "path", shape: text, required: true, doc: "A CSV, JSON-lines or Parquet file. It is read anew when it changes."},
		}}), doc: "A file that is read into memory."},
		{name: "pebble", shape: of(&block{"pebble", "An embedded table.", []key{
			{name: "path", shape: text, required: true, doc: "The table's directory."},
		}}), doc: "An embedded table on disk, with its rows' history."},
		{name: "redis", shape: of(&block{"redis", "A Redis server or cluster.", []key{
			{name: "addrs", shape: orList(text), required: true, doc: "Servers as host:port; several make a cluster, or are sentinels where there is a master."},
			{name: "layout", shape: enum("hash", "packed"), def: "hash", doc: "How a row lies there: as a hash with a field a column, or packed into one string."},
			{name: "prefix", shape: text, doc: "What stands before a row's key, with a colon between them. The default is the dimension's name."},
			{name: "cluster", shape: boolean, def: "false", doc: "The addresses are a cluster's, even if it is one address."},
			{name: "master", shape: text, doc: "The name by which the sentinels at addrs know the master."},
			{name: "username", shape: text, doc: "The user; without it the default one."},
			{name: "password", shape: text, secret: true, doc: "The password; best written as ${NAME}."},
			{name: "db", shape: &shape{kind: anyInt}, def: "0", doc: "The database of a single server."},
			{name: "tls", shape: &shape{kind: either, alts: []*shape{boolean, of(tlsBlock)}}, def: "false", doc: "Encrypt: true verifies the server by the system's certificate authorities; a block says more, as for Kafka."},
		}}), doc: "Rows in Redis."},
		{name: "sql", shape: of(&block{"sql", "A table of a relational database.", []key{
			{name: "driver", shape: text, required: true, doc: "The database driver: postgres or mysql."},
			{name: "dsn", shape: text, required: true, secret: true, doc: "The connection string; best written as ${NAME}."},
			{name: "table", shape: text, required: true, doc: "The table."},
		}}), doc: "A table of a relational database."},
		{name: "hbase", shape: of(&block{"hbase", "An HBase table.", []key{
			{name: "zk", shape: text, required: true, doc: "The ZooKeeper quorum."},
			{name: "table", shape: text, required: true, doc: "The table."},
			{name: "family", shape: text, def: "d", doc: "The column family of the fields."},
		}}), doc: "An HBase table, with the versions that its family keeps."},
		{name: "ab", shape: of(&block{"ab", "Two stores that hold the same rows.", []key{
			{name: "a", shape: of(storeBlock), required: true, doc: "One of them."},
			{name: "b", shape: of(storeBlock), required: true, doc: "The other."},
		}}), doc: "Two stores with the same rows: more is asked of the one that answers better."},
	}
}
