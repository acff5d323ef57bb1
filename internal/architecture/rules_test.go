package architecture

// The way of the data is the way of the imports. Stages know the vocabulary
// (the root package) and internal; experiments wires them; cmd starts it all.

// stages gives each stage's package, in the order of the data. What lies below
// a stage's folder belongs to it, except a stage of its own.
var stages = []string{"joiner/clean", "joiner", "features", "dimjoin", "instances", "experiments"}

// direction says what a part of the tree may import of the module.
type direction struct {
	part   string   // pattern; the first that a package lies in applies
	may    []string // patterns, besides the part itself
	tests  []string // what its tests may import beyond that
	reason string
}

var directions = []direction{
	{".", nil, nil, "the root package is the vocabulary that every stage imports: it may know nothing of the module, or imports would run in a circle"},
	{"joiner/clean/...", []string{".", "internal/..."}, []string{"loadtest/..."}, "stage 1 hands events on and knows nothing of who holds them; experiments wires the stages"},
	{"joiner/...", []string{".", "internal/..."}, []string{"loadtest/..."}, "the join knows neither who cleans its events nor what becomes of its rows; experiments wires the stages"},
	{"features/...", []string{".", "internal/..."}, []string{"loadtest/..."}, "features serve stream, batch and online reads alike because they know no other stage; experiments wires the stages"},
	{"dimjoin/...", []string{".", "internal/..."}, []string{"loadtest/..."}, "dimension lookups know keys and rows, no other stage; experiments wires the stages"},
	{"instances/...", []string{".", "internal/..."}, []string{"loadtest/..."}, "the row's format must not depend on how its parts came about; experiments wires the stages"},
	{"experiments/...", []string{".", "internal/...", "joiner/...", "features/...", "dimjoin/...", "instances/..."}, []string{"loadtest/..."}, "experiments is the library that cmd and users start: it wires the stages and knows neither the command line nor load tests"},
	{"loadtest/...", []string{".", "internal/..."}, []string{"experiments/..."}, "generated traffic must not depend on the code that it tests"},
	{"internal/...", []string{".", "internal/..."}, nil, "internal holds what several stages share: it stands below them all"},
	{"cmd/...", []string{"..."}, nil, "cmd starts everything"},
	{"examples/...", []string{".", "joiner/...", "features/...", "dimjoin/...", "instances/...", "experiments/..."}, []string{"loadtest/..."}, "examples are programs as a library's user writes them: internal, cmd and loadtest are not theirs to import"},
	{"docs/...", nil, []string{"experiments/...", "dimjoin/ab", "internal/provisioned"}, "the pages are prose: their tests hold them to the experiment file, the command and the metrics, and nothing imports them"},
}

// client says which packages may import a third-party module.
type client struct {
	module string
	owners []string // patterns; none: tests only
	reason string
}

// clients lists every third-party module that is imported at all.
var clients = []client{
	{"github.com/twmb/franz-go/pkg/kfake", []string{"experiments/broker"}, "the embedded broker is one package, so that production wiring can't come to lean on a fake"},
	{"github.com/twmb/franz-go/pkg/kmsg", []string{"experiments/kafka", "experiments/broker"}, "Kafka's wire format stays with the client and the embedded broker"},
	{"github.com/twmb/franz-go/pkg/sr", []string{"experiments/registry"}, "the schema registry stands behind experiments.Registry: sources and rows can be tested without one"},
	{"github.com/twmb/franz-go", []string{"experiments/kafka"}, "Kafka stands behind experiments.Transport: everything else can be tested and used without a broker"},
	{"github.com/twmb/avro", []string{"internal/avro"}, "one package reads Avro's schemas, for the sources' records and the instances' alike"},
	{"github.com/bufbuild/protocompile", []string{"internal/protobuf"}, "one package reads Protobuf's schemas, for the sources' records and the instances' alike"},
	{"google.golang.org/protobuf", []string{"internal/protobuf"}, "descriptors are for finding field numbers: no record becomes a message of this library"},
	{"github.com/cockroachdb/pebble/v2/vfs", []string{"joiner/disk", "features/pebble", "dimjoin/pebble", "internal/pebblefs/...", "experiments/simulation"}, "a simulated disk is a file system as Pebble sees it; pebblefs is how all three treat its log and its failures"},
	{"github.com/cockroachdb/pebble/v2", []string{"joiner/disk", "features/pebble", "dimjoin/pebble", "internal/pebblefs"}, "Pebble stands behind joiner.Store, features.Store and dimjoin.Table: all are tested on memory and can change their disk"},
	{"github.com/redis/go-redis/v9", []string{"features/redis", "dimjoin/redis"}, "Redis stands behind features.Store and dimjoin.Table: the engine is tested on memory, and on one machine needs no server"},
	{"github.com/maypok86/otter/v2", []string{"dimjoin/cache"}, "the cache stands behind dimjoin.Cache: what counts for how long is decided, and tested, without it"},
	{"github.com/afex/hystrix-go", []string{"dimjoin/hystrix"}, "the breaker stands behind dimjoin.Breaker: hystrix keeps its circuits and goroutines for as long as the process lives, so one package alone makes them"},
	{"github.com/tsuna/gohbase", []string{"dimjoin/hbase"}, "HBase stands behind dimjoin.Table"},
	{"github.com/sirupsen/logrus", []string{"dimjoin/hbase"}, "it is how gohbase logs, and has to be told not to"},
	{"github.com/jackc/pgx/v5", []string{"dimjoin/sql"}, "PostgreSQL stands behind dimjoin.Table"},
	{"github.com/go-sql-driver/mysql", []string{"dimjoin/sql"}, "MySQL stands behind dimjoin.Table"},
	{"github.com/expr-lang/expr", []string{"internal/expression"}, "one package decides what an expression means: types, nulls, bounds"},
	{"github.com/goccy/go-yaml", []string{"experiments/spec"}, "only the experiment file is YAML; everything else reads spec.Experiment"},
	{"github.com/fxamacker/cbor/v2", []string{"experiments/serving"}, "CBOR is one form of the online answers: nothing else speaks it"},
	{"github.com/tsenart/vegeta/v12", []string{"loadtest/serving"}, "load is put on a server from outside: nothing that serves knows how it is measured"},
	{"github.com/spf13/cobra", []string{"cmd/mortise"}, "the pipeline is a library: it knows no command line"},
	{"github.com/schollz/progressbar/v3", []string{"cmd/mortise"}, "only the command talks to a terminal"},
	{"golang.org/x/term", []string{"cmd/mortise"}, "only the command talks to a terminal"},
	{"github.com/prometheus/client_golang", []string{"experiments/telemetry"}, "stages count in plain fields and hooks; one package gives them metric names"},
	{"github.com/klauspost/compress", []string{"joiner/segment", "joiner/recorded/...", "dimjoin/file", "experiments/backfill/extsort", "loadtest/traffic"}, "compression belongs to the one package of each part that knows the format: segment files, recorded input, dimension tables, what is sorted on disk, generated files"},
	{"github.com/parquet-go/parquet-go", []string{"instances/parquet/...", "joiner/recorded/parquet"}, "one package knows how instances lie in Parquet, and one how anybody's input does; everyone else knows rows and records"},
	{"github.com/zeebo/xxh3", []string{"joiner/...", "features", "instances", "instances/compare", "instances/profile", "experiments", "experiments/kafka", "experiments/backfill/..."}, "checksums, key indexes and sampling; a hash that reaches data may never change, so its users are few"},
	{"golang.org/x/sync", []string{"experiments/...", "cmd/mortise"}, "stages are pure and start no goroutines: only the shell needs to wait for some"},
	{"gocloud.dev", []string{"internal/objectstore"}, "object stores stand behind interfaces of their users: the services' clients come with one package, which can be left out"},
	{"github.com/cockroachdb/datadriven", nil, "the text form of tests"},
	{"github.com/santhosh-tekuri/jsonschema/v6", nil, "it checks the published schema against the loader in tests; the loader itself needs none"},
}

// pure are the packages whose output depends on their input alone. That is
// what makes stream, batch and replay agree, and simulations repeatable.
var pure = []string{".", "joiner/clean/...", "joiner", "joiner/memory", "joiner/segment", "features", "features/memory", "dimjoin/changes", "instances", "instances/compare", "instances/profile", "instances/report", "internal/expression", "loadtest/traffic"}

// impureImports are banned from pure packages.
var impureImports = map[string]string{
	"context":      "a pure step has nothing to cancel: it returns",
	"crypto/rand":  "draws must repeat: derive them from a hash of the record",
	"log":          "return an error or count it: the shell logs",
	"log/slog":     "return an error or count it: the shell logs",
	"math/rand":    "draws must repeat: derive them from a hash of the record",
	"math/rand/v2": "its sequences may change with the Go release: derive draws from a hash of the record",
	"net":          "the network belongs to experiments/kafka and the dimension stores",
	"net/http":     "the network belongs to experiments and the dimension stores",
	"os":           "files belong to joiner/disk, joiner/recorded and cmd",
	"os/exec":      "a pure step starts no processes",
	"syscall":      "a pure step makes no system calls",
}

// impureAllowed are the exceptions, by package and import or call, each with its reason.
var impureAllowed = map[string]string{
	"features context":        "tiles may lie in a store across the network: who asks says how long to wait, and the answer depends on it no more",
	"features/memory context": "the interface's, which this store does not look at",
	"loadtest/traffic os":     "WriteFiles is its one way out; Next stays pure",
}
