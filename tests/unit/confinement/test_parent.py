"""Hearing whole pieces; that a child ends with its parent is tried in tests/unit/device."""

import socket

import pytest

from deployopt.confinement.parent import receive


def test_pieces_are_put_together_and_an_early_end_is_said() -> None:
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"ab")
        there.sendall(b"cdef")
        assert receive(here, 4) == b"abcd"
        there.close()
        with pytest.raises(EOFError):
            receive(here, 3)
