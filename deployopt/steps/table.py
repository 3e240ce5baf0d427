"""All steps by name, for whoever reads a recipe from a file."""

from typing import Final

from deployopt.core.recipe import Step
from deployopt.steps.bfloat16 import ConvertBfloat16
from deployopt.steps.cache import QuantizeCache
from deployopt.steps.calibrate import CalibrateDecoder
from deployopt.steps.configure import Configure
from deployopt.steps.decoder import ExportDecoder, QuantizeDecoder
from deployopt.steps.distil import Distil
from deployopt.steps.engine import BuildEngine
from deployopt.steps.export import Export
from deployopt.steps.float8 import QuantizeFloat8
from deployopt.steps.for_card import OpenOnCard
from deployopt.steps.half import ConvertHalf
from deployopt.steps.openvino import ConvertOpenvino, QuantizeOpenvino
from deployopt.steps.optimize import Optimize
from deployopt.steps.prune import Prune
from deployopt.steps.quantize import QuantizeDynamic, QuantizeStatic
from deployopt.steps.quantize_weights import QuantizeWeights
from deployopt.steps.smooth import Smooth
from deployopt.steps.symmetric import QuantizeSymmetric
from deployopt.steps.tf32 import AllowTf32

STEPS: Final[dict[str, type[Step]]] = {
    Prune.name: Prune,
    Distil.name: Distil,
    Export.name: Export,
    Optimize.name: Optimize,
    Smooth.name: Smooth,
    QuantizeDynamic.name: QuantizeDynamic,
    QuantizeStatic.name: QuantizeStatic,
    QuantizeWeights.name: QuantizeWeights,
    ConvertOpenvino.name: ConvertOpenvino,
    QuantizeOpenvino.name: QuantizeOpenvino,
    QuantizeSymmetric.name: QuantizeSymmetric,
    QuantizeFloat8.name: QuantizeFloat8,
    ConvertHalf.name: ConvertHalf,
    ConvertBfloat16.name: ConvertBfloat16,
    AllowTf32.name: AllowTf32,
    BuildEngine.name: BuildEngine,
    OpenOnCard.name: OpenOnCard,
    Configure.name: Configure,
    CalibrateDecoder.name: CalibrateDecoder,
    ExportDecoder.name: ExportDecoder,
    QuantizeDecoder.name: QuantizeDecoder,
    QuantizeCache.name: QuantizeCache,
}
