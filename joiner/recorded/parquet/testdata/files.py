"""Writes Parquet files as pyarrow and DuckDB write them into the folder that it
is given, each beside the lines that reading it must give (NAME.jsonl) and the
fields that a source declares of it (NAME.fields)."""

import datetime as dt
import decimal
import itertools
import json
import math
import random
import struct
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

out = sys.argv[1]
rng = random.Random(int(sys.argv[2]))
ROWS = 400
UTC = dt.timezone.utc
EPOCH = dt.datetime(1970, 1, 1)


def null(p, v):
    return None if rng.random() < p else v


def nested(depth):
    return [null(0.1, rng.randrange(100)) for _ in range(rng.choice([0, 0, 1, 3, 40]))] if depth else None


def column(make, p=0.2):
    return [null(p, make()) for _ in range(ROWS)]


def finite(v):
    return None if v is None or not math.isfinite(v) else v


def shortest(v):
    """The shortest text that a float of 32 bits is read back from."""
    for digits in range(1, 12):
        text = f"{v:.{digits}g}"
        if struct.pack("f", float(text)) == struct.pack("f", v):
            return text
    raise AssertionError(v)


def ms(t):
    return None if t is None else (t - EPOCH) // dt.timedelta(milliseconds=1)


def rfc3339(t):
    if t is None:
        return None
    frac = f"{t.microsecond:06d}".rstrip("0")
    return t.strftime("%Y-%m-%dT%H:%M:%S") + ("." + frac if frac else "") + "Z"


def moment():
    return EPOCH + dt.timedelta(microseconds=rng.randrange(-10**15, 2 * 10**15))


def words():
    return rng.choice(["", "a", "日本", 'q"\\\n\t', "x" * rng.randrange(60), "w%d" % rng.randrange(20)])


def decimals(digits, scale):
    def make():
        n = rng.randrange(10 ** rng.randrange(1, digits + 1)) * rng.choice([1, -1])
        return decimal.Decimal(n).scaleb(-scale)
    return make


decimal.getcontext().prec = 100
# name, Arrow type, values, declared type, what becomes of a value
columns = []


def add(name, typ, values, declared, becomes=lambda v: v):
    columns.append((name, pa.array(values, typ), declared, [None if v is None else becomes(v) for v in values]))


add("id", pa.string(), ["id-%d" % i for i in range(ROWS)], "string")
add("text", pa.string(), column(words), "string?")
add("large", pa.large_string(), column(words), "string?")
add("view", pa.binary(), column(lambda: words().encode()), "string?", bytes.decode)
add("fixed", pa.binary(3), column(lambda: b"abc"), "string?", bytes.decode)
add("choice", pa.dictionary(pa.int32(), pa.string()), column(lambda: rng.choice("abc")), "string?")
add("i8", pa.int8(), column(lambda: rng.randrange(-128, 128)), "int?")
add("u16", pa.uint16(), column(lambda: rng.randrange(1 << 16)), "int?")
add("u32", pa.uint32(), column(lambda: rng.randrange(1 << 32)), "int?")
add("u64", pa.uint64(), column(lambda: rng.choice([2**64 - 1, 5])), "int?")
add("i32", pa.int32(), column(lambda: rng.randrange(-2**31, 2**31)), "int?")
add("i64", pa.int64(), column(lambda: rng.choice([2**63 - 1, -2**63, 2**53 + 1, rng.randrange(1000)])), "int?")
add("i64_float", pa.int64(), column(lambda: rng.randrange(2**60)), "float?")
add("i64_string", pa.int64(), column(lambda: rng.randrange(2**60)), "string?", str)
add("i64_time", pa.int64(), column(lambda: rng.randrange(2**40)), "timestamp?")
add("f16", pa.float16(), column(lambda: rng.choice([0.5, -2.0, 1.5, 65504.0, 0.0])), "float?")
add("f32", pa.float32(), column(lambda: pa.scalar(rng.choice([0.1, 1e-7, 1e30, math.nan, math.inf, rng.random()]), pa.float32()).as_py()), "float?",
    lambda v: None if not math.isfinite(v) else float(shortest(v)))
add("f64", pa.float64(), column(lambda: rng.choice([0.1, -1e-300, 1e300, 5e-324, math.nan, -math.inf, rng.random(), 12.0])), "float?", finite)
add("f64_int", pa.float64(), column(lambda: rng.choice([float(rng.randrange(1000)), math.nan])), "int?", lambda v: None if math.isnan(v) else int(v))
add("flag", pa.bool_(), column(lambda: rng.random() < 0.5), "bool?")
add("t_ms", pa.timestamp("ms"), [None if v is None else v.replace(microsecond=v.microsecond // 1000 * 1000) for v in column(moment)], "timestamp?", ms)
add("t_us", pa.timestamp("us", "UTC"), [None if v is None else v.replace(tzinfo=UTC) for v in column(moment)], "timestamp?", lambda v: ms(v.replace(tzinfo=None)))
add("t_tokyo", pa.timestamp("us", "Asia/Tokyo"), [None if v is None else v.replace(tzinfo=UTC) for v in column(moment)], "int?", lambda v: ms(v.replace(tzinfo=None)))
add("t_ns", pa.timestamp("ns"), [None if v is None else int((v - EPOCH) / dt.timedelta(microseconds=1)) * 1000 + 7 for v in column(moment)], "timestamp?",
    lambda v: v // 1_000_000)
add("t_text", pa.timestamp("us"), column(moment), "string?", rfc3339)
add("day", pa.date32(), [None if v is None else v.date() for v in column(moment)], "timestamp?", lambda v: (v - EPOCH.date()).days * 86_400_000)
add("day_text", pa.date32(), [None if v is None else v.date() for v in column(moment)], "string?", str)
add("clock", pa.time64("us"), column(lambda: dt.time(rng.randrange(24), 5, 6, rng.choice([0, 120]))), "string?", lambda v: v.strftime("%H:%M:%S") + (".00012" if v.microsecond else ""))
for digits, scale in [(5, 2), (9, 0), (15, 4), (18, 18), (27, 3), (38, 10), (38, 38), (60, 7)]:
    kind = pa.decimal256 if digits > 38 else pa.decimal128
    add("d%d_%d" % (digits, scale), kind(digits, scale), column(decimals(digits, scale)), "string?", lambda v: f"{v:f}")
add("d_float", pa.decimal128(12, 3), column(decimals(12, 3)), "float?", float)
add("d_int", pa.decimal128(12, 0), column(decimals(12, 0)), "int?", int)
add("ints", pa.list_(pa.int64()), column(lambda: nested(1)), "[int]?")
add("words", pa.large_list(pa.string()), column(lambda: [words() for _ in range(rng.randrange(4))]), "[string]?")
add("pair", pa.list_(pa.float64(), 2), column(lambda: [rng.random(), 1.5]), "[float]?")
add("times", pa.list_(pa.timestamp("us")), column(lambda: [moment() for _ in range(rng.randrange(3))]), "[timestamp]?", lambda v: [ms(t) for t in v])
add("full", pa.list_(pa.field("element", pa.int32(), nullable=False)), [[i] * (i % 3) for i in range(ROWS)], "[int]")
add("none", pa.null(), [None] * ROWS, "string?")
# Nobody asks for these; they stand between the others.
columns.insert(3, ("deep", pa.array([{"a": [{"b": i}], "c": "x"} for i in range(ROWS)]), None, None))
columns.insert(9, ("map", pa.array([[("k", i)] for i in range(ROWS)], pa.map_(pa.string(), pa.int64())), None, None))
columns.insert(20, ("lists", pa.array([[[i], []] for i in range(ROWS)], pa.list_(pa.list_(pa.int64()))), None, None))


def expect(name, chosen):
    with open(f"{out}/{name}.fields", "w") as f:
        f.write(" ".join(f"{n}:{d}" for n, _, d, _ in chosen if d))
    with open(f"{out}/{name}.jsonl", "w") as f:
        for i in range(ROWS):
            f.write(json.dumps({n: v[i] for n, _, d, v in chosen if d}) + "\n")


def arrow(name, chosen=columns, **options):
    table = pa.table({n: a for n, a, _, _ in chosen})
    pq.write_table(table, f"{out}/{name}.parquet", **options)
    expect(name, chosen)


def but(*names):
    return [c for c in columns if c[0] not in names]


only = lambda *names: [c for c in columns if c[0] in names]

for compression, dictionary, page in itertools.product(["none", "snappy", "gzip", "zstd", "lz4", "brotli"], [True, False], ["1.0", "2.0"]):
    arrow(f"arrow-{compression}-{dictionary}-{page}", compression=compression, use_dictionary=dictionary, data_page_version=page)
arrow("arrow-small-pages", row_group_size=100, data_page_size=64, write_batch_size=5, write_page_checksum=True)
arrow("arrow-small-pages-2", row_group_size=133, data_page_size=64, write_batch_size=5, data_page_version="2.0", write_page_index=True)
arrow("arrow-old", chosen=but("t_ns"), version="1.0", use_compliant_nested_type=False, store_schema=False)
arrow("arrow-int96", chosen=only("id", "t_ms", "t_us", "t_text", "i64"), use_deprecated_int96_timestamps=True)
arrow("arrow-spark", chosen=only("id", "t_us", "f64", "ints"), flavor="spark")
arrow("arrow-decimal-ints", chosen=only("id", "d5_2", "d9_0", "d15_4", "d18_18", "d_float", "d_int"), store_decimal_as_integer=True)
arrow("arrow-delta", chosen=only("id", "i32", "i64", "i64_time", "t_us"), use_dictionary=False,
      column_encoding={"i32": "DELTA_BINARY_PACKED", "i64": "DELTA_BINARY_PACKED", "i64_time": "DELTA_BINARY_PACKED", "t_us": "DELTA_BINARY_PACKED", "id": "DELTA_BYTE_ARRAY"})
arrow("arrow-delta-text", chosen=only("id", "text", "large", "flag"), use_dictionary=False,
      column_encoding={"id": "DELTA_LENGTH_BYTE_ARRAY", "text": "DELTA_LENGTH_BYTE_ARRAY", "large": "DELTA_BYTE_ARRAY", "flag": "RLE"}, data_page_version="2.0")
arrow("arrow-split", chosen=only("id", "f32", "f64", "i32", "i64"), use_dictionary=False,
      column_encoding={c: "BYTE_STREAM_SPLIT" for c in ["f32", "f64", "i32", "i64"]} | {"id": "PLAIN"})

db = duckdb.connect()
duck = but("f16", "none", "fixed", "choice", "d60_7", "map", "t_ns", "pair", "u16", "i8")
source = pa.table({n: a for n, a, _, _ in duck})
db.execute("SET preserve_insertion_order = true; SET TimeZone = 'UTC'")
for i, options in enumerate(["", ", COMPRESSION zstd, ROW_GROUP_SIZE 200", ", COMPRESSION gzip, PARQUET_VERSION v2", ", COMPRESSION lz4_raw, PARQUET_VERSION v2, ROW_GROUP_SIZE 150",
                             ", COMPRESSION uncompressed", ", COMPRESSION brotli"]):
    db.execute(f"COPY (SELECT * FROM source) TO '{out}/duckdb-{i}.parquet' (FORMAT parquet{options})")
    expect(f"duckdb-{i}", duck)

# What databases have and Arrow lacks.
db.execute(f"""COPY (SELECT i AS id, uuid::UUID AS u, json AS j, json AS list, ts AS h, big AS b, t AS t FROM (
  SELECT i, ('0000000' || (i % 10) || '-89ab-cdef-0123-456789abcdef') AS uuid, ('["a", ' || i || ']')::JSON AS json,
    TIMESTAMP_S '2019-11-24 00:01:03' AS ts, 5::HUGEINT AS big, TIME '12:34:56' AS t
  FROM range({ROWS}) r(i))) TO '{out}/duckdb-types.parquet' (FORMAT parquet)""")
expect("duckdb-types", [
    ("id", None, "int", list(range(ROWS))),
    ("u", None, "string", ["0000000%d-89ab-cdef-0123-456789abcdef" % (i % 10) for i in range(ROWS)]),
    ("j", None, "string", ['["a", %d]' % i for i in range(ROWS)]),
    ("list", None, "[string]", [["a", i] for i in range(ROWS)]),
    ("h", None, "timestamp", [1574553663000] * ROWS),
    ("b", None, "float", [5.0] * ROWS),
    ("t", None, "string", ["12:34:56"] * ROWS),
])
