"""The records that are published: by name, with the JSON Schema of each in `docs/`."""

from typing import Final

import msgspec

from deployopt.core.distill_result import DistillResult
from deployopt.core.drawing_result import DrawResult
from deployopt.core.emulation import EmulateResult
from deployopt.core.exporting import ExportResult
from deployopt.core.fleet import FleetFile
from deployopt.core.gating import GateResult
from deployopt.core.generation import ChatTurn, GenerateResult
from deployopt.core.matrix import MatrixResult
from deployopt.core.packing import PackResult
from deployopt.core.result import (
    BuildResult,
    CompareResult,
    ErrorResult,
    FitResult,
    PlanResult,
    RecommendResult,
    VerifyResult,
)
from deployopt.core.schemas import schema_bytes
from deployopt.core.serving import ServeResult
from deployopt.core.signature import SignResult
from deployopt.core.step_graph import StepGraphResult
from deployopt.core.training_result import FinetuneResult
from deployopt.core.units import Quantity
from deployopt.core.verdict import Verdict

RESULTS: Final[dict[str, type[msgspec.Struct]]] = {
    "build-result": BuildResult,
    "verify-result": VerifyResult,
    "compare-result": CompareResult,
    "plan-result": PlanResult,
    "fit-result": FitResult,
    "recommend-result": RecommendResult,
    "finetune-result": FinetuneResult,
    "distill-result": DistillResult,
    "gate-result": GateResult,
    "emulate-result": EmulateResult,
    "matrix-result": MatrixResult,
    "fleet": FleetFile,
    "step-graph-result": StepGraphResult,
    "sign-result": SignResult,
    "pack-result": PackResult,
    "export-result": ExportResult,
    "serve-result": ServeResult,
    "draw-result": DrawResult,
    "generate-result": GenerateResult,
    "chat-turn": ChatTurn,
    "error-result": ErrorResult,
    "verdict": Verdict,
}
"""Name of the published schema, `docs/<name>.schema.json`, to the record."""


def json_schema(name: str) -> bytes:
    """The JSON Schema of one of `RESULTS`, indented, as it is published."""
    schema = msgspec.json.schema(RESULTS[name], schema_hook=_schema_hook)
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return schema_bytes(dialect | schema)


def _schema_hook(kind: type) -> dict[str, object]:
    if issubclass(kind, Quantity):
        return {"type": "string", "description": f"{kind.__doc__} With a unit."}
    raise NotImplementedError(kind.__name__)
