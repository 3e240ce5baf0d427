"""The calls about who vouches for a bundle."""

from pathlib import Path

from deployopt.core.signature import SignResult


def new_key(path: str | Path) -> SignResult:
    """Make a pair of keys: `path`, which its owner alone can read, and `path.pub` for devices.

    Raises:
        UsageError: one of them is there already.
        MissingExtraError: the extra `sign` is not installed.
    """
    from deployopt.signing.sign import make_key

    return make_key(Path(path))


def sign(
    bundle: str | Path,
    *,
    key: str | Path,
    release_seq: int | None = None,
    store: str | Path | None = None,
) -> SignResult:
    """Sign a bundle; `verify(bundle, key=…)` with the public key then says that it is whole.

    Args:
        bundle: its folder; what was built stays as it is, `signature/` is added.
        key: the private key, on an elliptic curve, in a PEM file.
        release_seq: its place in the order of releases; by default one more than the last that was
            signed under this name and key. Devices refuse one below the last that they accepted.
        store: where the last release is remembered; by default the user's cache.

    Raises:
        IntegrityError: the bundle is not the one that was built.
        UsageError: the key is none.
        MissingExtraError: the extra `sign` is not installed.
        StorageError: the bundle cannot be written to.
    """
    from deployopt.signing.sign import sign as run_sign

    return run_sign(
        Path(bundle),
        Path(key),
        release_seq=release_seq,
        store=None if store is None else Path(store),
    )
