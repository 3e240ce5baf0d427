"""What does each form of a language model lose, and what does it gain?

    python -m benchmarks.bench_forms [--model demo-chat] [--data FILE] [--rounds 4] [--threads 2]

Every form of `--effort default` is made and asked about the documents to choose by; then all answer
in turns, in fresh processes every round, and fill their context. Negative log-likelihoods are
beside the model as it came; speeds are medians of the rounds' own.
"""

import argparse
import os
import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bench_decode import MEBI, PROMPTS, Rounds, Spec, race
from deployopt.core.language_summaries import score_summary
from deployopt.core.request import BuildRequest
from deployopt.core.samples import decode_samples
from deployopt.core.search import Effort
from deployopt.core.stages import TimedStages
from deployopt.core.watching import SILENT
from deployopt.pipeline.candidates import Candidate
from deployopt.pipeline.language.preparing import PreparedLanguage, prepare_language
from deployopt.pipeline.language.trying import ask_forms
from deployopt.pipeline.preparing import named_source
from deployopt.planning.targets import load_target
from deployopt.store.store import Store


def main(words: Sequence[str] | None = None) -> None:
    """Make the forms, ask them, race them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="demo-chat")
    parser.add_argument("--data")
    parser.add_argument("--target", default="x86-cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--store", type=Path)
    options = parser.parse_args(words)
    request = BuildRequest(
        model=options.model,
        data=options.data,
        target=load_target(options.target),
        effort=Effort.DEFAULT,
    )
    stages = TimedStages(SILENT)
    with Store(options.store) as store:
        prepared = prepare_language(request, named_source(request, store), store, stages, None)
        asked = ask_forms(prepared, stages)
        specs = [_spec(prepared, one, options.threads) for one in asked if one.made is not None]
        found = race(specs, options.rounds) if options.rounds else {}
    for warning in prepared.warnings:
        print(warning)
    _print(asked, found)


def _spec(prepared: PreparedLanguage, candidate: Candidate, threads: int) -> Spec:
    if candidate.made is None:
        raise SystemExit(f"{candidate.recipe.name} was not made")
    prompts = decode_samples(prepared.timed)[:PROMPTS]
    return Spec(
        name=candidate.recipe.name,
        engine="genai",
        model=str(candidate.made.artifact.path),
        prompts=tuple(tuple(int(x) for x in one["input_ids"][0]) for one in prompts),
        tokens=prepared.requests.answer,
        context=prepared.requests.context,
        threads=threads,
        cores=tuple(sorted(os.sched_getaffinity(0))[-threads:]),
    )


def _print(asked: Sequence[Candidate], found: Rounds) -> None:
    print("\n| form | NLL (bounds) | files, MiB | made in, s | tokens/s | first token, ms | MiB |")
    print("|---|---|---|---|---|---|---|")
    for one in asked:
        print(f"| {' | '.join([one.recipe.name, *_made(one), *_raced(found, one)])} |")


def _made(candidate: Candidate) -> list[str]:
    if candidate.made is None or candidate.scores is None:
        return [candidate.failure or "not made", "", ""]
    summary = score_summary(candidate.scores)
    shares = (summary.increase.value, summary.increase.lower, summary.increase.upper)
    value, lower, upper = (f"{100 * x:.2f}" if x is not None else "—" for x in shares)
    seconds = sum(step.seconds for step in candidate.made.steps)
    size = (candidate.size_bytes or 0) / MEBI
    return [f"{value} % ({lower} to {upper})", f"{size:.0f}", f"{seconds:.0f}"]


def _raced(found: Rounds, candidate: Candidate) -> list[str]:
    rounds = found.get(candidate.recipe.name)
    if not rounds:
        return ["", "", ""]
    rate = statistics.median(one.decode_tps for one in rounds)
    first = statistics.median(one.first_s for one in rounds)
    full = max(one.full_bytes or 0 for one in rounds)
    return [f"{rate:.0f}", f"{1e3 * first:.0f}", f"{full / MEBI:.0f}"]


if __name__ == "__main__":
    main()
