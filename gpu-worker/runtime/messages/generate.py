"""Generates the TypeScript of ONNX's and SentencePiece's messages beside this file. See README.md."""
import pathlib
import subprocess

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from onnx import onnx_ml_pb2
from sentencepiece import sentencepiece_model_pb2

PLUGIN = ["npx", "--yes", "--package=@bufbuild/protoc-gen-es@2.17.0", "protoc-gen-es"]


def fill_json_names(messages):
    """Sets what a compiler would set, and Python leaves out: `opType` for op_type."""
    for message in messages:
        for field in message.field:
            first, *rest = field.name.split("_")
            field.json_name = first + "".join(word.capitalize() for word in rest)
        fill_json_names(message.nested_type)


# Python's modules carry the parsed .proto files, so neither a compiler nor the sources are needed.
request = CodeGeneratorRequest(parameter="target=ts")
for module, name in (onnx_ml_pb2, "onnx"), (sentencepiece_model_pb2, "sentencepiece_model"):
    file = request.proto_file.add()
    module.DESCRIPTOR.CopyToProto(file)
    file.name = f"{name}.proto"
    fill_json_names(file.message_type)
    request.file_to_generate.append(file.name)

output = subprocess.run(PLUGIN, input=request.SerializeToString(), stdout=subprocess.PIPE, check=True).stdout
response = CodeGeneratorResponse.FromString(output)
assert not response.error, response.error
for file in response.file:
    (pathlib.Path(__file__).parent / file.name).write_text(file.content)
