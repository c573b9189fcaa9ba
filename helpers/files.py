"""Files that are either whole or not there: writing beside the target and moving into place."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in `path`'s folder; move it onto `path` when the block ends well.

    When the block raises, the temporary file goes and whatever stood at `path` stays as it was. The folder is
    made if need be. The move is `os.replace`, which is atomic within one file system, hence the same folder.

    Raises:
        OSError: the folder cannot be made or written, or `path` is a folder.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder, expected a file name; add one, for example {target / 'model'}")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield part
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def size(count: float) -> str:
    """A number of bytes as people read it, in powers of 1024: `size(3725924)` is `'3.6 MiB'`."""
    value = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.2f} GiB"
