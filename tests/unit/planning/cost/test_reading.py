"""Price files: the shipped one, own ones laid over it, wrong ones refused."""

from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.planning.cost.prices import Prices
from deployopt.planning.cost.reading import SHIPPED, read_prices
from deployopt.planning.targets import target_names

HEAD = 'currency = "USD"\nas_of = "2026-11"\nsource = "my contract"\n'


def own(folder: Path, text: str) -> Prices:
    path = folder / "rates.toml"
    path.write_text(text)
    return read_prices(path)


def test_the_shipped_file_has_a_row_for_every_shipped_target() -> None:
    prices = read_prices(None)
    assert set(prices.targets) == set(target_names())
    assert prices.currency == "USD"
    assert not prices.laid_over


def test_every_shipped_price_carries_a_day_and_a_source() -> None:
    for row in read_prices(None).targets.values():
        for rate in (row.own, row.on_demand, row.spot):
            assert rate is None or (rate.as_of and rate.source)


def test_an_own_file_replaces_only_what_it_gives(tmp_path: Path) -> None:
    shipped = read_prices(None)
    prices = own(tmp_path, HEAD + "[own]\nutilisation = 0.9\n[targets.l4]\non_demand = 0.30\n")
    assert prices.own.utilisation == 0.9
    assert prices.own.life_years == shipped.own.life_years
    row = prices.row("l4")
    assert row.on_demand is not None
    assert (row.on_demand.middle, row.on_demand.as_of) == (0.30, "2026-11")
    assert row.on_demand.source == "my contract"
    assert row.spot == shipped.row("l4").spot
    assert prices.row("a100") == shipped.row("a100")
    assert prices.as_of == "2026-11"
    assert prices.laid_over == (
        "rates.toml of 2026-11 gives own.utilisation, targets.l4.on_demand; the rest is shipped"
    )


def test_a_price_of_its_own_day_keeps_it(tmp_path: Path) -> None:
    prices = own(
        tmp_path,
        HEAD + '[electricity]\namount = 0.3\nas_of = "2025-06"\nsource = "bill"\n'
        "[targets.my-board]\nown = [50, 70]\n",
    )
    assert prices.electricity.as_of == "2025-06"
    board = prices.row("my-board").own
    assert board is not None
    assert (board.low, board.high, board.as_of) == (50, 70, "2026-11")


def test_another_currency_takes_nothing_from_the_shipped_file(tmp_path: Path) -> None:
    euros = HEAD.replace("USD", "EUR")
    with pytest.raises(UsageError, match=r"rates\.toml: .* is missing"):
        own(tmp_path, euros + "electricity = 0.29\n")
    whole = SHIPPED.read_text().replace('currency = "USD"', 'currency = "EUR"')
    assert own(tmp_path, whole).currency == "EUR"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "currency is missing"),
        ('currency = "USD"\nas_of = "2026"\n', "source is missing"),
        (HEAD + "[targets.l4]\non_demnd = 1\n", "unknown key 'targets.l4.on_demnd'"),
        (HEAD + "[targets.l4]\non_demand = -1\n", "targets.l4.on_demand: .*is not a price"),
        (HEAD + "[targets.l4]\non_demand = [2, 1]\n", "targets.l4.on_demand: .*is not a price"),
        (HEAD + "[targets.l4]\non_demand = inf\n", "targets.l4.on_demand: .*is not a price"),
        (HEAD + '[targets.l4]\non_demand = "1"\n', "targets.l4.on_demand"),
        (HEAD + "electricity = -0.1\n", "electricity: .*is not a price"),
        (HEAD + "[own]\nutilisation = 1.5\n", "own.utilisation"),
        (HEAD + "[own]\nlife_years = 0\n", "own.life_years"),
        (HEAD + '[around_card]\nidle = "40"\n', "around_card.idle"),
        (HEAD + "[targets.my-board]\nlike = 'nowhere'\n", "targets.my-board.like"),
        (HEAD.replace("USD", "dollars"), "currency"),
        (HEAD.replace("2026-11", "yesterday"), "as_of"),
        (HEAD + "laid_over = 'x'\n", "unknown key 'laid_over'"),
        (HEAD + "targets = 3\n", "targets"),
        ("currency =", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        own(tmp_path, text)
    assert "rates.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        read_prices(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="is not a file"):
        read_prices(tmp_path)
