"""What the builder says of an engine, read from its own lines."""

from deployopt.core.engine import EngineTensor
from deployopt.engines.listing import LINE_MAX, read_listing

MOVE = (
    "Name: __myl_Move_myl0_0, LayerType: kgen, Inputs: [ { Name: x, Dimensions: [1,3,64,64], "
    "Strides: [12288,4096,64,1], StrideOrder: [3,2,1,0], Datatype: Float, Format: (Linear) Row "
    "major linear format }], Constants: [], Outputs: [ { Name: a, Dimensions: [1,3,64,64], "
    "Strides: [12288,1,192,3], StrideOrder: [3,0,2,1], Datatype: Half, Format: (NHWC) Channel "
    "major format }], TacticName: __myl_Move_0x1, StreamId: 0, Metadata: "
)
PRODUCT = (
    "Name: enc.q_lin_myl0_14, LayerType: gemm, Inputs: [ { Name: a, Dimensions: [1,-1,384], "
    "Strides: [-1,384,1], StrideOrder: [2,1,0], Datatype: Int8, Format: (Linear) Row major linear "
    "format }], Constants: [ { Name: w, Dimensions: [1,384,384], Strides: [147456,384,1], "
    "StrideOrder: [2,1,0], Datatype: Int8, Format: (Linear) Row major linear format }, { Name: s, "
    "Dimensions: [1], Strides: [1], StrideOrder: [0], Datatype: Float, Format: (Linear) Row major "
    "linear format }], Outputs: [ { Name: b, Dimensions: [1,-1,384], Strides: [-1,384,1], "
    "StrideOrder: [2,1,0], Datatype: Half, Format: (Linear) Row major linear format }], "
    "TacticName: __myelin_CASK_STUB, StreamId: 0, Metadata: [ONNX Layer: /MatMul_4][ONNX Layer: "
    "enc.q_lin]"
)
SHAPES = (
    "Name: shape_call, LayerType: shape_call, Inputs: [], Outputs: [ { Name: n, Dimensions: [1], "
    "Strides: [1], StrideOrder: [0], Datatype: Int64, Format: (Linear) Row major linear format }], "
    "TacticName: , StreamId: 0, Metadata: "
)
TENSORS = """I/O Tensors:
 Name: ids, IOMode: Input, DataType: Int64, Dimensions: [1,-1], Location: Device, IsShapeInf
 Name: logits, IOMode: Output, DataType: Float, Dimensions: [1,2], Location: Device, IsShape
"""
MESSAGES = [
    "Total Activation Memory: 10158592 bytes",
    "Total Weights Memory: 90857600 bytes",
    f"Layers:\n{MOVE}\n{PRODUCT}\n{SHAPES}\n\n{TENSORS}",
]


def test_layers_have_the_lowest_precision_that_they_read() -> None:
    told = read_listing(MESSAGES)
    assert [layer.precision for layer in told.layers] == ["fp32", "int8", "other"]
    product = told.layers[1]
    assert (product.name, product.kind) == ("enc.q_lin_myl0_14", "gemm")
    assert product.outputs == ("fp16",)
    assert product.nodes == ("/MatMul_4", "enc.q_lin")


def test_inputs_outputs_and_memory() -> None:
    told = read_listing(MESSAGES)
    assert told.inputs == (EngineTensor(name="ids", dtype="int64", shape=(1, -1)),)
    assert told.outputs == (EngineTensor(name="logits", dtype="fp32", shape=(1, 2)),)
    assert (told.weights_bytes, told.activation_bytes) == (90857600, 10158592)


def test_what_is_said_in_another_form_is_left_out() -> None:
    told = read_listing(["Layers:", '{"Name": "a"}', "Name: x, LayerType: gemm, Inputs: ["])
    assert told.layers == ()
    assert told.weights_bytes is None


def test_a_graph_cannot_write_to_a_terminal_or_eat_memory_through_its_names() -> None:
    hostile = PRODUCT.replace("enc.q_lin", "\x1b[2J" + "n" * 50)
    assert "\x1b" not in "".join(read_listing([hostile]).layers[0].nodes)
    assert read_listing(["Name: " + "x" * (3 * LINE_MAX)]).layers == ()
