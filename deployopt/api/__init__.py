"""What users import: `import deployopt; deployopt.build(model=..., target=...)`.

Light: torch, transformers, ONNX Runtime and numpy are imported by the call that needs them.
"""

from deployopt.api.advising import fit, plan, recommend
from deployopt.api.building import Bundle, build, report, verify
from deployopt.api.comparing import compare
from deployopt.api.devices import detect, doctor, load_target, targets
from deployopt.api.emulating import emulate
from deployopt.api.exporting import export
from deployopt.api.gating import gate
from deployopt.api.matrices import matrix, plan_matrix
from deployopt.api.packing import pack, unpack
from deployopt.api.serving import serve
from deployopt.api.several import build_each, plan_each
from deployopt.api.signing import new_key, sign
from deployopt.api.training import distill, finetune

__all__ = [
    "Bundle",
    "build",
    "build_each",
    "compare",
    "detect",
    "distill",
    "doctor",
    "emulate",
    "export",
    "finetune",
    "fit",
    "gate",
    "load_target",
    "matrix",
    "new_key",
    "pack",
    "plan",
    "plan_each",
    "plan_matrix",
    "recommend",
    "report",
    "serve",
    "sign",
    "targets",
    "unpack",
    "verify",
]
