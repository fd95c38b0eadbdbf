"""Programs that are called and have to succeed."""

import subprocess
from pathlib import Path


class Failed(Exception):
    """What cannot be done or measured, and why."""


def call(command: list, directory: Path | None = None):
    command = [str(part) for part in command]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        name = " ".join([Path(command[0]).name, *command[1:3]])
        raise Failed(f"{name} failed with status {done.returncode}: {' / '.join(said[-3:])}")
