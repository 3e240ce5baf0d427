"""The winner's figures by length of prompt and by batch, with what was predicted of each.

In: the candidate that was judged, seconds by the effort asked for. Out: raw rounds, and figures for
the result. Nothing is judged by them.
"""

from typing import Final

import numpy as np

from deployopt.core.answer_settings import SettingSummary, SettingTrial, setting_summary
from deployopt.core.measurement import Split
from deployopt.core.samples import decode_samples
from deployopt.core.search import Effort
from deployopt.core.watching import Watcher
from deployopt.device.generating.answering import PROMPT
from deployopt.device.generating.sweeping import Sweep, sweep
from deployopt.device.setup import setup_of
from deployopt.pipeline.answering import limits_for
from deployopt.pipeline.candidates import Candidate
from deployopt.pipeline.language.cards import on_card
from deployopt.pipeline.language.forecasting import setting_predictions
from deployopt.pipeline.language.preparing import PreparedLanguage

SECONDS: Final = {Effort.QUICK: 60.0, Effort.DEFAULT: 120.0, Effort.EXTENSIVE: 240.0}


def swept(
    prepared: PreparedLanguage, winner: Candidate, watcher: Watcher
) -> tuple[SettingTrial, ...]:
    """Raw rounds of every setting; none of a winner that cannot run, or that runs on a card.

    Raises:
        UnreachableError: the device was lost.
    """
    if winner.made is None or winner.fault is not None or on_card(prepared.request.target):
        return ()
    request = prepared.request
    documents = decode_samples(prepared.dataset.splits[Split.SEARCH].path)
    asked = Sweep(
        setup=setup_of(
            winner.made.artifact,
            request.target,
            prepared.machine,
            prepared.source.interface.outputs,
        ),
        text=np.concatenate([feed[PROMPT].reshape(-1) for feed in documents]),
        answering=prepared.answering,
        seconds=SECONDS[request.effort or Effort.QUICK],
    )
    watcher.stage("By length and batch", quiet=True)
    with prepared.bench.store.stage() as workdir:
        return sweep(asked, prepared.device, workdir, limits_for(prepared), watcher.advance)


def summaries_of(
    prepared: PreparedLanguage, winner: Candidate, trials: tuple[SettingTrial, ...]
) -> tuple[SettingSummary, ...]:
    """The figures, each beside what the plan's model says of the target."""
    made = next((form for form in prepared.forms if form.recipe.name == winner.recipe.name), None)
    return tuple(
        setting_summary(
            trial,
            prepared.evidence,
            {}
            if made is None
            else setting_predictions(
                prepared.request.target,
                prepared.architecture,
                made,
                trial.setting,
                prepared.requests.context,
            ),
        )
        for trial in trials
    )
