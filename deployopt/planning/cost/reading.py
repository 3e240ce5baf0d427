"""Price files: the shipped one, and anyone's own laid over it.

In: the path of a TOML file, or None. Out: `Prices`. An own file needs `currency`, `as_of` and
`source`; what it gives replaces the shipped price, key by key, and the rest stays. In another
currency nothing of the shipped file is taken, so an own file must then be whole. Refuses, with the
file, the key path and the nearest right word, what is not a strict price file.
"""

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from deployopt.core.codec import convert_tree, read_toml
from deployopt.core.errors import UsageError
from deployopt.core.text import safe_text
from deployopt.planning.cost.prices import Prices
from deployopt.planning.targets import target_names
from deployopt.planning.toml_files import toml_bytes

SHIPPED: Final = Path(__file__).parent.parent / "data" / "prices.toml"
_HEAD: Final = ("currency", "as_of", "source")
# Tables and the keys in them that are prices.
_PRICES: Final[Mapping[str, tuple[str, ...]]] = {
    "around_card": ("price",),
    "around_board": ("price",),
    "functions": ("per_million", "per_gb_second"),
}
_ROW: Final = ("own", "on_demand", "spot")
_KEYS_SHOWN: Final = 8
_KIND: Final = "price file"

Tree = dict[str, object]


def read_prices(path: Path | None) -> Prices:
    """The shipped prices, with those of the file at `path` in their place.

    Raises:
        UsageError: no such file, or something in it is wrong.
    """
    if path is None:
        return _shipped()
    where = safe_text(str(path))
    own = read_toml(toml_bytes(path, _KIND), where=where)
    _require_head(own, where)
    shipped = _shipped_tree()
    if own["currency"] != shipped["currency"]:
        return _checked(convert_tree(_stamped(own), Prices, where=where), where)
    merged = _merged(_stamped(shipped), _stamped(own))
    merged["laid_over"] = f"{path.name} of {own['as_of']} gives {_keys_given(own)}"
    return _checked(convert_tree(merged, Prices, where=where), where)


@functools.cache
def _shipped() -> Prices:
    return convert_tree(_stamped(_shipped_tree()), Prices, where=SHIPPED.name)


def _shipped_tree() -> Tree:
    return read_toml(toml_bytes(SHIPPED, _KIND), where=SHIPPED.name)


def _require_head(tree: Tree, where: str) -> None:
    for key in _HEAD:
        if not isinstance(tree.get(key), str):
            raise UsageError(
                f"{where}: {key} is missing. A price file begins with currency, as_of (the day "
                'of the prices) and source, e.g. currency = "USD".'
            )
    if "laid_over" in tree:
        raise UsageError(f"{where}: unknown key 'laid_over'.")


def _checked(prices: Prices, where: str) -> Prices:
    """Stand-ins must be shipped targets: their speed is compared."""
    wanted = [("comparable.cpu", prices.comparable.cpu), ("comparable.gpu", prices.comparable.gpu)]
    wanted += [
        (f"targets.{name}.like", row.like) for name, row in prices.targets.items() if row.like
    ]
    if prices.functions is not None:
        wanted.append(("functions.like", prices.functions.like))
    known = target_names()
    for key, name in wanted:
        if name not in known:
            raise UsageError(
                f"{where}: {key}: there is no shipped target {name!r}. "
                "`deployopt targets` lists them."
            )
    return prices


def _stamped(tree: Tree) -> Tree:
    """The tree with every price as a table that carries its own day and source."""
    head: Tree = {key: tree[key] for key in ("as_of", "source") if key in tree}
    found = dict(tree)
    if "electricity" in found:
        found["electricity"] = _dated(found["electricity"], head)
    for name, keys in _PRICES.items():
        if name in found:
            found[name] = _with_dates(found[name], keys, head)
    rows = found.get("targets")
    if isinstance(rows, dict):
        found["targets"] = {name: _with_dates(row, _ROW, head) for name, row in rows.items()}
    return found


def _with_dates(table: object, keys: tuple[str, ...], head: Tree) -> object:
    if not isinstance(table, dict):
        return table
    return {key: _dated(value, head) if key in keys else value for key, value in table.items()}


def _dated(price: object, head: Tree) -> object:
    return head | price if isinstance(price, dict) else {**head, "amount": price}


def _merged(under: Tree, over: Tree) -> Tree:
    """Table by table; a price is replaced whole, with its day."""
    found = dict(under)
    for key, value in over.items():
        old = found.get(key)
        inside = isinstance(old, dict) and isinstance(value, dict) and "amount" not in value
        found[key] = _merged(old, value) if inside else value  # type: ignore[arg-type]
    return found


def _keys_given(tree: Tree) -> str:
    keys = [key for key in _key_paths(tree) if key not in _HEAD]
    shown = ", ".join(keys[:_KEYS_SHOWN])
    more = f" and {len(keys) - _KEYS_SHOWN} more" if len(keys) > _KEYS_SHOWN else ""
    return (shown or "nothing") + more + "; the rest is shipped"


def _key_paths(tree: Tree, path: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict) and "amount" not in value:
            yield from _key_paths(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"
