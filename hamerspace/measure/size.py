"""Bytes of a candidate: as its files lie on disk, and as they travel."""

import zlib
from pathlib import Path

from hamerspace.backends.candidate import Candidate

_CHUNK_BYTES = 1 << 20


def deflated_bytes(candidate: Candidate) -> int:
    """Bytes of the candidate's files under deflate, as in a zip archive or over HTTP.

    Zeros cost next to nothing there, so this is where unstructured sparsity shows.
    """
    return sum(_deflated_bytes(candidate.folder / name) for name in candidate.files)


def _deflated_bytes(path: Path) -> int:
    deflate, total = zlib.compressobj(6), 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            total += len(deflate.compress(chunk))
    return total + len(deflate.flush())
