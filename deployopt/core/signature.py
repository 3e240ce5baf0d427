"""Who vouches for a bundle: its release, its signature, and what a check of them found."""

from enum import StrEnum
from typing import Final

import msgspec

SHOWN: Final = 16
"""Digits of a key's digest that tell keys apart for a person."""


class Release(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`signature/release.json`: which bundle it is, and its place in the order of releases.

    `release_seq` counts up; a device refuses one below the last that it accepted under this name.
    """

    schema_version: int = 1
    name: str
    target: str
    bundle_digest: str
    release_seq: int
    made_with: str


class Trust(StrEnum):
    """Whether somebody's key vouches for every byte."""

    VERIFIED = "verified"
    UNVERIFIED = "unverified"


class Authenticity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of who made a bundle; without a key nothing is, whatever it says of itself."""

    trust: Trust
    says: str
    """One sentence for a person."""
    signed: bool
    """Whether there is a signature; only `trust` says that it was checked."""
    key: str | None = None
    """sha256 of the public key's PEM file, of the key that was checked."""
    release_seq: int | None = None
    previous_seq: int | None = None
    """The release that this device accepted last under this name and key."""


class SignResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `deployopt sign` made."""

    schema_version: int = 1
    bundle: str | None = None
    """The folder that was signed; None where only a key was made."""
    name: str | None = None
    outcome: str | None = None
    """What the bundle was judged when it was built; signing says nothing about it."""
    bundle_digest: str | None = None
    release_seq: int | None = None
    files: int = 0
    """How many files the signature covers."""
    size_bytes: int = 0
    written: str | None = None
    """The folder with the signature."""
    key: str
    """sha256 of the public key's PEM file."""
    private_key: str
    public_key: str | None = None
    """The public key's file, where one was made or lies beside the private one."""
    new_key: bool = False
    warnings: tuple[str, ...] = ()
    exit_code: int = 0


def short_key(digest: str) -> str:
    """Enough of a key's digest to tell it from others."""
    return digest[:SHOWN]
