"""Reads a dataset's folder as trainers do, and prints what it finds as JSON.

Usage: folders.py DIR
"""
import json
import sys

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

folder = sys.argv[1]
partitioning = ds.partitioning(pa.schema([("dt", pa.string()), ("hour", pa.string())]), flavor="hive")
fragments = ds.dataset(folder, format="parquet", partitioning=partitioning)
schema = pa.unify_schemas([f.physical_schema for f in fragments.get_fragments()] + [fragments.schema])
data = ds.dataset(folder, schema=schema, format="parquet", partitioning=partitioning)

table = data.to_table()
of_hour = data.to_table(filter=(pc.field("dt") == "2026-02-01") & (pc.field("hour") == "00"))
times = pc.strftime(table["event_time"], "%Y-%m-%d %H")
folders = pc.binary_join_element_wise(table["dt"], table["hour"], " ")

sql = duckdb.connect()
glob = f"'{folder}/**/*.parquet', hive_partitioning=true, hive_types={{'dt': VARCHAR, 'hour': VARCHAR}}, union_by_name=true"
ids = [row[0] for row in sql.execute(f"SELECT instance_id FROM read_parquet({glob}) ORDER BY instance_id").fetchall()]
metadata = {key.decode(): value.decode() for _, key, value in sql.execute(
    f"SELECT DISTINCT file_name, key, value FROM parquet_kv_metadata('{folder}/**/part-p00000-0-*.parquet')").fetchall()
    if key.startswith(b"mortise.")}

print(json.dumps({
    "pyarrow": sorted(table["instance_id"].to_pylist()),
    "pyarrow of the hour": len(of_hour),
    "in another folder": pc.sum(pc.not_equal(times, folders)).as_py() or 0,
    "null in new": table["new"].null_count,
    "duckdb": ids,
    "duckdb of the hour": sql.execute(f"SELECT count(*) FROM read_parquet({glob}) WHERE dt = '2026-02-01' AND hour = '00'").fetchone()[0],
    "duckdb null in new": sql.execute(f"SELECT count(*) FROM read_parquet({glob}) WHERE new IS NULL").fetchone()[0],
    "metadata": metadata,
}))
