"""A prepared build by what a search's decisions read of it; nothing is made or run."""

from pathlib import Path

from deployopt.core.bundle import Origin
from deployopt.core.evidence import Evidence
from deployopt.core.measurement import Split
from deployopt.core.request import BuildRequest
from deployopt.core.source import Dataset, SplitFile
from deployopt.pipeline.forecasting import Asked, make_plan
from deployopt.pipeline.making import Workbench
from deployopt.pipeline.preparing import Prepared
from deployopt.planning.targets import load_target
from deployopt.store.store import Store
from tests.fakes.candidates import source
from tests.fakes.devices import MadeUpDevice, idle


def prepared_build(*, gate: int = 3306, store: Store | None = None) -> Prepared:
    """For `x86-cpu` with its own budgets, `gate` examples to judge with."""
    target = load_target("x86-cpu")
    request = BuildRequest(model="some-model", target=target)
    sizes = {Split.CALIBRATION: 300, Split.SEARCH: 500, Split.GATE: gate}
    splits = {
        split: SplitFile(split=split, path=Path("/nowhere"), digest=split.value, examples=count)
        for split, count in sizes.items()
    }
    model = source()
    return Prepared(
        request=request,
        source=model,
        dataset=Dataset(
            name="some-data",
            labelled=True,
            splits=splits,
            origin=Origin(asked="some-data", resolved="some-data"),
        ),
        device=MadeUpDevice(idle),
        evidence=Evidence.TARGET,
        budgets=request.limits,
        forms=(),
        recipes=(),
        reduced_range=False,
        bench=Workbench(
            store=store,  # type: ignore[arg-type] # decisions make nothing
            interface=model.interface,
            samples=None,
            samples_digest="",
            seed=0,
            threads=1,
        ),
        shapes=None,
        facts=None,
        plan=make_plan(
            Asked(target=target, model="some-model", budgets=request.limits, facts=None), (), None
        ),
        material=None,
        experiences=(),
        warnings=(),
    )
