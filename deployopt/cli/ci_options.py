"""The options of commands that judge: files for a CI service, and whether it is spoken to."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

MarkdownOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write a summary for a pull request.")
]
JunitOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write JUnit XML, a case a budget.")
]
MetricsOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write OpenMetrics text, as GitLab's metrics report."),
]
CodeQualityOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write GitLab's code quality JSON, a finding a missed one."),
]


class Ci(StrEnum):
    """Which CI service is told of the result through its own log and files."""

    AUTO = "auto"
    GITHUB = "github"
    NONE = "none"


CiOption = Annotated[
    Ci,
    typer.Option(
        help="Annotations, step summary and outputs for GitHub; auto: where GITHUB_ACTIONS=true."
    ),
]


class Files(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is written beside what is printed."""

    markdown: Path | None = None
    junit: Path | None = None
    metrics: Path | None = None
    code_quality: Path | None = None
    ci: Ci = Ci.AUTO

    @property
    def for_github(self) -> bool:
        """Whether GitHub is told, by its own commands and files."""
        found = os.environ.get("GITHUB_ACTIONS") == "true"
        return self.ci is Ci.GITHUB or (self.ci is Ci.AUTO and found)
