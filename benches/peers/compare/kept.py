"""Files that are made once, and again when what they are made of has changed."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from .process import Failed


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def digest_of_all(files: list[Path]) -> str:
    return hashlib.sha256("".join(map(digest, files)).encode()).hexdigest()


def kept(target: Path, made_from: str, make: Callable[[Path], None]) -> Path:
    """The file, made if it is not there or was made from something else."""
    note = target.with_name(target.name + ".made-from")
    if target.exists() and note.exists() and note.read_text() == made_from:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    note.unlink(missing_ok=True)
    target.unlink(missing_ok=True)
    try:
        make(target)
    except (OSError, ValueError) as error:
        raise Failed(f"{target} could not be made: {error}") from error
    if not target.exists():
        raise Failed(f"its converter made no {target}")
    note.write_text(made_from)
    return target
