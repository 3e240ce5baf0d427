"""A seal fits one payload under one label."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.store.records import seal, unseal


@given(st.text(), st.binary(), st.data())
def test_a_seal_is_broken_by_any_flip_or_cut(
    label: str, payload: bytes, data: st.DataObject
) -> None:
    sealed = seal(label, payload)
    assert unseal(label, sealed) == payload
    place = data.draw(st.integers(0, len(sealed) * 8 - 1))
    flipped = bytearray(sealed)
    flipped[place // 8] ^= 1 << place % 8
    for wrong in (bytes(flipped), sealed[: place // 8], sealed + b"\n"):
        with pytest.raises(ValueError, match="not the ones"):
            unseal(label, wrong)
    with pytest.raises(ValueError, match="not the ones"):
        unseal(label + "x", sealed)
