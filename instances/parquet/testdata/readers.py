"""Reads instances with other Parquet readers and holds them to what was written.

Usage: readers.py DIR, where DIR holds rows.parquet, rows.jsonl (the same rows) and
types.json (name: [type in pyarrow, type in DuckDB]). Writes the rows anew as
pyarrow.parquet and duckdb.parquet. Prints what differs, and in the end how much was read.
"""
import json
import sys

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

folder = sys.argv[1] + "/"
faults = 0


def fault(*what):
    global faults
    faults += 1
    if faults <= 20:
        print("FAULT", *what)


def plain(table):
    """Rows as JSON has them: times as milliseconds."""
    columns = []
    for name in table.column_names:
        column = table[name]
        if pa.types.is_timestamp(column.type):
            column = pc.cast(pc.cast(column, pa.timestamp("ms", "UTC")), pa.int64())
        elif pa.types.is_list(column.type) and pa.types.is_timestamp(column.type.value_type):
            column = pc.cast(pc.cast(column, pa.list_(pa.timestamp("ms", "UTC"))), pa.list_(pa.int64()))
        columns.append(column)
    return pa.table(columns, names=table.column_names).to_pylist()


def compare(reader, got, want):
    if len(got) != len(want):
        fault(reader, "reads", len(got), "rows of", len(want))
    for i, (a, b) in enumerate(zip(got, want)):
        if a == b and list(a) == list(b):
            continue
        for name in b:
            if a.get(name, "nothing") != b[name]:
                fault(reader, "row", i, "column", name, "is", repr(a.get(name, "nothing")), "want", repr(b[name]))


with open(folder + "types.json") as f:
    types = json.load(f)
with open(folder + "rows.jsonl", "rb") as f:
    want = [json.loads(line) for line in f]
for row in want:  # JSON writes whole numbers without a point
    for name, value in row.items():
        if types[name][0] == "double" and value is not None:
            row[name] = float(value)
        elif types[name][0] == "list<element: double>" and value is not None:
            row[name] = [None if v is None else float(v) for v in value]

file = pq.ParquetFile(folder + "rows.parquet")
table = file.read()
if table.column_names != list(types):
    fault("pyarrow has columns", table.column_names, "want", list(types))
for field in table.schema:
    if str(field.type) != types[field.name][0]:
        fault("pyarrow", field.name, "is", field.type, "want", types[field.name][0])
compare("pyarrow", plain(table), want)
compare("pyarrow, threads", plain(pq.read_table(folder + "rows.parquet", use_threads=True)), want)

for i in range(file.metadata.num_row_groups):
    group = file.metadata.row_group(i)
    for j in range(group.num_columns):
        column = group.column(j)
        if not (column.has_column_index and column.has_offset_index):
            fault("row group", i, column.path_in_schema, "has no page index")
        if column.compression != "ZSTD":
            fault("row group", i, column.path_in_schema, "is compressed by", column.compression)

sql = duckdb.connect()
sql.execute("SET TimeZone='UTC'")
path = folder + "rows.parquet"
for name, kind, *_ in sql.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall():
    if kind != types[name][1]:
        fault("DuckDB", name, "is", kind, "want", types[name][1])
compare("DuckDB", plain(sql.sql(f"SELECT * FROM '{path}'").to_arrow_table()), want)

# Predicates on statistics and page indexes find what is there.
for column in ["label_click", "event_time", "instance_id"]:
    for row in want[:: max(1, len(want) // 7)]:
        value = row[column]
        n = sum(1 for r in want if r[column] == value)
        at = "epoch_ms(event_time)" if column == "event_time" else column
        found = sql.execute(f"SELECT count(*) FROM '{path}' WHERE {at} = ?", [value]).fetchone()[0]
        if found != n:
            fault("DuckDB finds", found, "rows of", column, value, "want", n)

pq.write_table(table.select(list(reversed(table.column_names))), folder + "pyarrow.parquet", compression="snappy",
               coerce_timestamps="us", row_group_size=700, data_page_size=2000)
sql.execute(f"COPY (SELECT * FROM '{path}') TO '{folder}duckdb.parquet' (FORMAT parquet, ROW_GROUP_SIZE 2048)")
print(f"{len(want)} rows, {file.metadata.num_row_groups} row groups, {faults} faults")
