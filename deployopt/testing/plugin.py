"""The pytest plugin: `pytest --deployopt-bundle BUNDLE` judges the bundle, a test a budget.

Every pytest run of a project that has deployopt installed imports this module, so that nothing but
pytest is imported here until the option is given.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from deployopt.core.verdict import Verdict
    from deployopt.device.run import Predictor
    from deployopt.testing.verifying import Once

_OPTION = "--deployopt-bundle"
_ONCE = pytest.StashKey["Once"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, in a group of their own."""
    group = parser.getgroup("deployopt", "deployopt: a bundle's budgets as tests")
    group.addoption(
        _OPTION,
        action="append",
        metavar="BUNDLE",
        help="Verify this bundle: a test a budget, and one for the artifact as a whole.",
    )
    group.addoption(
        "--deployopt-proxy",
        action="store_true",
        help="Measure here though this machine is not the bundle's target.",
    )
    group.addoption(
        "--deployopt-accept-predicted",
        action="store_true",
        help="Pass budgets that are only predicted to hold on the target.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read what the option names; nothing is imported where it is not given."""
    given = config.getoption("deployopt_bundle") or []
    if not given:
        return
    if len(given) > 1:
        raise pytest.UsageError(f"{_OPTION} was given {len(given)} times; one bundle a run.")
    from deployopt.testing.items import BUDGETS
    from deployopt.testing.verifying import Once

    bundle = (config.invocation_params.dir / given[0]).resolve()
    if not (bundle / BUDGETS).is_file():
        raise pytest.UsageError(
            f"{_OPTION}: {given[0]} is not a bundle, for it has no {BUDGETS}. Name the folder that "
            "`deployopt build` published."
        )
    config.stash[_ONCE] = Once(
        bundle=bundle,
        proxy=config.getoption("deployopt_proxy"),
        accept_predicted=config.getoption("deployopt_accept_predicted"),
        shared=getattr(config, "workerinput", {}).get("deployopt_shared"),
    )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Of pytest-xdist: tell a worker where the workers share what the first of them verified."""
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    once = config.stash.get(_ONCE, None)
    if once is not None:
        shared = str(once.share(config.add_cleanup))
        node.workerinput["deployopt_shared"] = shared  # type: ignore[attr-defined]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add the bundle's tests, before -k and -m choose."""
    once = config.stash.get(_ONCE, None)
    if once is None:
        return
    from deployopt.testing.items import bundle_items

    items.extend(bundle_items(session, once))


@pytest.fixture(scope="session")
def deployopt_bundle(pytestconfig: pytest.Config) -> "Predictor":
    """The bundle of --deployopt-bundle, open: `deployopt_bundle.predict([...])`."""
    from deployopt.device.run import Predictor

    return Predictor.open(_asked(pytestconfig, "deployopt_bundle").bundle)


@pytest.fixture(scope="session")
def deployopt_verdict(pytestconfig: pytest.Config) -> "Verdict":
    """What the gate says of the bundle of --deployopt-bundle on this machine."""
    return _asked(pytestconfig, "deployopt_verdict").result().verdict


@pytest.fixture(scope="session")
def deployopt_folder(pytestconfig: pytest.Config) -> Path:
    """The folder of --deployopt-bundle."""
    return _asked(pytestconfig, "deployopt_folder").bundle


def _asked(config: pytest.Config, fixture: str) -> "Once":
    once = config.stash.get(_ONCE, None)
    if once is None:
        # Not a skip: a job that forgot the option would be green.
        pytest.fail(f"The fixture {fixture} needs {_OPTION} BUNDLE.", pytrace=False)
    return once
