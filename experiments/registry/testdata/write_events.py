"""Writes events with ordinary producers' serializers: a line each of
{"format", "headers": [[key, base64]], "value": base64}, for the events on stdin.

argv: the registry's URL, a directory for generated code
"""
import base64, importlib, json, pathlib, sys

from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer, prefix_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from grpc_tools import protoc

registry = SchemaRegistryClient({"url": sys.argv[1]})
generated = pathlib.Path(sys.argv[2])
sys.path.insert(0, str(generated))

AVRO = """{"type": "record", "name": "Impression", "namespace": "feed", "fields": [
  {"name": "impression_id", "type": "string"},
  {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-micros"}},
  {"name": "extra", "type": {"type": "map", "values": ["null", "double"]}},
  {"name": "context", "type": ["null", {"type": "record", "name": "Context", "fields": [
    {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["FEED", "SEARCH"]}},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}]}]},
  {"name": "position", "type": "int"},
  {"name": "score", "type": ["null", "float"]},
  {"name": "tags", "type": {"type": "array", "items": "string"}}]}"""

PROTO = """syntax = "proto3";
package feed;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message Unused { int32 x = 1; }
message Impression {
  string impression_id = 1;
  google.protobuf.Timestamp ts = 2;
  map<string, double> extra = 3;
  message Context { enum Kind { FEED = 0; SEARCH = 1; } Kind kind = 1; double price = 2; }
  Context context = 4;
  sint32 position = 5;
  google.protobuf.FloatValue score = 6;
  repeated string tags = 7;
}
"""
(generated / "events.proto").write_text(PROTO)
import grpc_tools

well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
assert protoc.main(["protoc", f"-I{generated}", f"-I{well_known}", f"--python_out={generated}", "events.proto"]) == 0
events = importlib.import_module("events_pb2")


def message(e):
    m = events.Impression(impression_id=e["impression_id"], position=e["position"], tags=e["tags"], extra={"a": 1.5})
    m.ts.FromMilliseconds(e["ts"])
    if e["score"] is not None:
        m.score.value = e["score"]
    if e["kind"] is not None:
        m.context.kind = events.Impression.Context.Kind.Value(e["kind"])
        m.context.price = e["price"]
    return m


def record(e):
    import decimal

    context = None
    if e["kind"] is not None:
        context = {"kind": e["kind"], "price": decimal.Decimal(str(e["price"]))}
    return {"impression_id": e["impression_id"], "ts": e["ts"] * 1000, "extra": {"a": None, "b": 2.0}, "context": context, "position": e["position"], "score": e["score"], "tags": e["tags"]}


writers = []
# The second pair finds the schemas that the first has registered: their GUIDs
# come with what is looked up.
for conf in (
    {"schema.id.serializer": prefix_schema_id_serializer},
    {"schema.id.serializer": header_schema_id_serializer, "auto.register.schemas": False, "use.latest.version": True},
):
    writers.append(("avro", AvroSerializer(registry, AVRO, conf=conf), record))
    writers.append(("protobuf", ProtobufSerializer(events.Impression, registry, {**conf, "use.deprecated.format": False}), message))

for line in sys.stdin:
    e = json.loads(line)
    for form, serialize, convert in writers:
        headers = []
        value = serialize(convert(e), SerializationContext("events-" + form, MessageField.VALUE, headers))
        print(json.dumps({"format": form, "value": base64.b64encode(value).decode(), "headers": [[k, base64.b64encode(v).decode()] for k, v in headers]}))
