"""ONNX's messages (onnx.proto, IR version 14), as far as the walk needs them.

Kinds of a field: `name` (a short string), `text` (a long one), `blob` (bytes: their length is
kept), `int` (a varint: its value), `scalars` (numbers: how many), `skip`, or another message.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field: `width` is the bytes of one scalar, 0 for a varint; `choice` names its oneof."""

    name: str
    kind: str
    repeated: bool = False
    width: int = 0
    choice: str = ""


def _field(spec: str) -> tuple[int, Field]:
    number, name, kind, *rest = spec.split()
    width = 0
    if ":" in kind:
        kind, bits = kind.split(":")
        width = int(bits)
    choice = next((word for word in rest if word != "*"), "")
    field = Field(name=name, kind=kind, repeated="*" in rest, width=width, choice=choice)
    return int(number), field


def _message(text: str) -> dict[int, Field]:
    return dict(_field(line) for line in text.strip().splitlines())


# A star is "repeated"; `scalars:4` has four bytes for each, `scalars` are varints.
SCHEMA: dict[str, dict[int, Field]] = {
    "Model": _message("""
        1 ir_version int
        2 producer_name name
        3 producer_version name
        4 domain name
        5 model_version int
        6 doc_string text
        7 graph Graph
        8 opset_import OperatorSet *
        14 metadata_props Entry *
        20 training_info Training *
        25 functions Function *
        26 configuration Device *"""),
    "Graph": _message("""
        1 node Node *
        2 name name
        5 initializer Tensor *
        10 doc_string text
        11 input Value *
        12 output Value *
        13 value_info Value *
        14 quantization_annotation Annotation *
        15 sparse_initializer Sparse *
        16 metadata_props Entry *"""),
    "Node": _message("""
        1 input name *
        2 output name *
        3 name name
        4 op_type name
        5 attribute Attribute *
        6 doc_string text
        7 domain name
        8 overload name
        9 metadata_props Entry *
        10 device_configurations NodeDevice *"""),
    "Attribute": _message("""
        1 name name
        2 f scalars:4
        3 i int
        4 s blob
        5 t Tensor
        6 g Graph
        7 floats scalars:4 *
        8 ints scalars *
        9 strings blob *
        10 tensors Tensor *
        11 graphs Graph *
        13 doc_string text
        14 tp Type
        15 type_protos Type *
        20 type int
        21 ref_attr_name name
        22 sparse_tensor Sparse
        23 sparse_tensors Sparse *"""),
    "Function": _message("""
        1 name name
        4 input name *
        5 output name *
        6 attribute name *
        7 node Node *
        8 doc_string text
        9 opset_import OperatorSet *
        10 domain name
        11 attribute_proto Attribute *
        12 value_info Value *
        13 overload name
        14 metadata_props Entry *"""),
    "Tensor": _message("""
        1 dims int *
        2 data_type int
        3 segment Segment
        4 float_data scalars:4 *
        5 int32_data scalars *
        6 string_data blob *
        7 int64_data scalars *
        8 name name
        9 raw_data raw
        10 double_data scalars:8 *
        11 uint64_data scalars *
        12 doc_string text
        13 external_data Entry *
        14 data_location int
        16 metadata_props Entry *"""),
    "Sparse": _message("""
        1 values Tensor
        2 indices Tensor
        3 dims int *"""),
    "Segment": _message("""
        1 begin int
        2 end int"""),
    "Value": _message("""
        1 name name
        2 type Type
        3 doc_string text
        4 metadata_props Entry *"""),
    "Type": _message("""
        1 tensor_type TensorType value
        4 sequence_type SequenceType value
        5 map_type MapType value
        6 denotation name
        7 opaque_type OpaqueType value
        8 sparse_tensor_type TensorType value
        9 optional_type SequenceType value"""),
    "TensorType": _message("""
        1 elem_type int
        2 shape Shape"""),
    "SequenceType": _message("1 elem_type Type"),
    "MapType": _message("""
        1 key_type int
        2 value_type Type"""),
    "OpaqueType": _message("""
        1 domain name
        2 name name"""),
    "Shape": _message("1 dim Dimension *"),
    "Dimension": _message("""
        1 dim_value int value
        2 dim_param name value
        3 denotation name"""),
    "Entry": _message("""
        1 key text
        2 value text"""),
    "OperatorSet": _message("""
        1 domain name
        2 version int"""),
    "Annotation": _message("""
        1 tensor_name name
        2 quant_parameter_tensor_names Entry *"""),
    "Training": _message("""
        1 initialization Graph
        2 algorithm Graph
        3 initialization_binding Entry *
        4 update_binding Entry *"""),
    "Device": _message("""
        1 name name
        2 num_devices int
        3 device name *"""),
    "NodeDevice": _message("""
        1 configuration_id name
        2 sharding_spec Sharding *
        3 pipeline_stage int"""),
    "Sharding": _message("""
        1 tensor_name name
        2 device scalars *
        3 index_to_device_group_map Group *
        4 sharded_dim ShardedDim *"""),
    "Group": _message("""
        1 key int
        2 value scalars *"""),
    "ShardedDim": _message("""
        1 axis int
        2 simple_sharding Simple *"""),
    "Simple": _message("""
        1 dim_value int dim
        2 dim_param name dim
        3 num_shards int"""),
}
