"""Who vouches for a bundle, in one line and at 80 columns."""

import io

import pytest
from msgspec.structs import replace
from rich.console import Console

from deployopt.core.packing import PackResult
from deployopt.core.signature import Authenticity, SignResult, Trust
from deployopt.reports.ci_summary import verify_summary
from deployopt.reports.html import build_page
from deployopt.reports.junit import summary_junit
from deployopt.reports.markdown import verify_markdown
from deployopt.reports.signing import authenticity_words, print_packed, print_signed
from deployopt.reports.terminal import print_verify
from tests.fakes import results
from tests.fakes.payloads import payloads

LONG = "/home/ada/a folder/" + "deep/" * 20
SIGNED = SignResult(
    bundle=f"{LONG}bundle",
    name="demo-sentiment-rpi4",
    outcome="accepted",
    bundle_digest="1" * 64,
    release_seq=3,
    files=21,
    size_bytes=20_700_546,
    written=f"{LONG}bundle/signature",
    key="a" * 64,
    private_key=f"{LONG}K",
    public_key=f"{LONG}K.pub",
    warnings=("K can be read by others than its owner. Mend it with: chmod 600 K",),
)


def printed(result: SignResult | PackResult, **more: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, width=80, highlight=False, markup=False, emoji=False)
    if isinstance(result, SignResult):
        print_signed(result, console)
    else:
        print_packed(result, console=console, unpacked=more["unpacked"])
    return out.getvalue()


def test_a_signature_and_the_command_that_checks_it() -> None:
    text = printed(SIGNED)
    assert "Release    3; devices refuse a lower one after it" in text
    assert "Covers     21 files, 19.7 MiB" in text
    assert f"deployopt verify '{LONG}bundle' --key '{LONG}K.pub'" in text
    lines = [line for line in text.splitlines() if not line.startswith("deployopt ")]
    assert max(len(line) for line in lines) <= 80


def test_a_new_pair_says_which_is_secret() -> None:
    made = SignResult(key="a" * 64, private_key="K", public_key="K.pub", new_key=True)
    text = printed(made)
    assert "Private    K, for its owner alone" in text
    assert "deployopt sign BUNDLE --key K" in text


@pytest.mark.parametrize(("unpacked", "line"), [(False, "unpack b.tar"), (True, "verify b --key")])
def test_a_way_there_and_back(unpacked: bool, line: str) -> None:  # noqa: FBT001 -- a parameter
    result = PackResult(
        archive="b.tar",
        bundle="b",
        name="demo",
        bundle_digest="1" * 64,
        files=9,
        size_bytes=1,
        signed=True,
    )
    assert f"deployopt {line}" in printed(result, unpacked=unpacked)


def test_the_words_of_every_report() -> None:
    found = Authenticity(trust=Trust.UNVERIFIED, says="the bundle is not signed", signed=False)
    assert authenticity_words(found) == "UNVERIFIED: the bundle is not signed"
    assert authenticity_words(None).startswith("UNVERIFIED")


@pytest.mark.parametrize("payload", payloads(40))
def test_names_that_would_repaint_the_terminal_do_not(payload: str) -> None:
    text = printed(replace(SIGNED, name=payload, bundle=payload, warnings=(payload,)))
    assert "\x1b" not in text
    assert "\u202e" not in text


VOUCHED = Authenticity(
    trust=Trust.VERIFIED, says="signed with the key aaaa…, release 3", signed=True, key="a" * 64
)


@pytest.mark.parametrize(
    ("found", "words"),
    [(None, "UNVERIFIED: nobody looked"), (VOUCHED, "VERIFIED: signed with the key aaaa…")],
)
def test_every_report_of_a_verification_says_who_vouches(
    found: Authenticity | None, words: str
) -> None:
    pytest.importorskip("jinja2")
    result = replace(results.verify_result(), authenticity=found)
    out = io.StringIO()
    print_verify(result, Console(file=out, width=80, highlight=False, markup=False, emoji=False))
    assert f"Signature  {words}" in " ".join(out.getvalue().split(" "))
    assert words in verify_markdown(result)
    summary = verify_summary(result)
    assert dict(summary.facts)["signature"].startswith(words)
    assert words.encode() in summary_junit(summary)
    assert words.encode() in build_page(results.build_result(), None, [result])
