"""Reads instances with the clients that trainers use, and prints each as JSON.

stdin: a line a row: {"format", "schema_id", "headers": [[key, base64]], "value": base64, "subject"}
argv: the registry's URL, a directory for generated code, TensorFlow's example.proto
"""
import base64, importlib, io, json, math, pathlib, sys

import fastavro
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import json_format
from grpc_tools import protoc

registry = SchemaRegistryClient({"url": sys.argv[1]})
generated = pathlib.Path(sys.argv[2])
sys.path.insert(0, str(generated))


def compile_proto(name, text):
    (generated / (name + ".proto")).write_text(text)
    assert protoc.main(["protoc", f"-I{generated}", f"--python_out={generated}", name + ".proto"]) == 0, name
    return importlib.import_module(name + "_pb2")


example = compile_proto("example", pathlib.Path(sys.argv[3]).read_text())
messages = {}


def instance(subject):
    if subject not in messages:
        name = "rows_" + "".join(c if c.isalnum() else "_" for c in subject)
        messages[subject] = compile_proto(name, registry.get_latest_version(subject).schema.schema_str)
    return messages[subject].Instance


def plain(value):
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [plain(v) for v in value]
    if hasattr(value, "timestamp"):  # a datetime of fastavro's
        return round((value - epoch).total_seconds() * 1000)
    return value


def proto_row(m):
    row = {}
    for fd in m.DESCRIPTOR.fields:
        value = getattr(m, fd.name)
        if fd.message_type is not None:  # a nullable list
            row[fd.json_name] = plain(list(value.values)) if m.HasField(fd.name) else None
        elif fd.is_repeated:
            row[fd.json_name] = plain(list(value))
        else:
            row[fd.json_name] = plain(value) if not fd.has_presence or m.HasField(fd.name) else None
    return row


def example_row(value):
    e = example.Example.FromString(value)
    assert e.ByteSize() == len(value), "it is written otherwise"  # the order of a map's keys is up to the library
    row = {}
    for name, feature in e.features.feature.items():
        kind = feature.WhichOneof("kind")
        values = list(getattr(feature, kind).value)
        row[name] = [kind, [v.decode() for v in values] if kind == "bytes_list" else plain(values)]
    return row


import datetime

epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)

for line in sys.stdin:
    rec = json.loads(line)
    value = base64.b64decode(rec["value"])
    headers = [(k, base64.b64decode(v)) for k, v in rec["headers"]]
    context = SerializationContext(rec["subject"].removesuffix("-value"), MessageField.VALUE, headers)
    if rec["format"] == "avro":
        row = {k: plain(v) for k, v in AvroDeserializer(registry)(value, context).items()}
        if rec["schema_id"] == "prefix":
            schema = fastavro.parse_schema(json.loads(registry.get_schema(int.from_bytes(value[1:5], "big")).schema_str))
            body = io.BytesIO(value[5:])
            again = {k: plain(v) for k, v in fastavro.schemaless_reader(body, schema).items()}
            assert again == row and not body.read(), "fastavro alone reads something else"
    elif rec["format"] == "protobuf":
        m = ProtobufDeserializer(instance(rec["subject"]), {"use.deprecated.format": False}, registry)(value, context)
        body = value[6:] if rec["schema_id"] == "prefix" else value
        assert m.SerializeToString(deterministic=True) == body, "it is written otherwise"
        assert not json_format.MessageToDict(m).get("unknown")
        row = proto_row(m)
    else:
        row = example_row(value)
    print(json.dumps(row))
