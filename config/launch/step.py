"""What the launcher tells the person in front of it: each step, and the mend of what failed."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class StepFailed(Exception):
    """A step of the start failed. `mend` is what the person can do; `log` the file with the details."""

    def __init__(self, message: str, mend: str, log: Path | None = None) -> None:
        super().__init__(message)
        self.message, self.mend, self.log = message, mend, log

    def report(self) -> str:
        """Message, the last lines of the log, and the mend."""
        lines = [f"FAILED: {self.message}"]
        if self.log is not None and self.log.exists():
            tail = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:]
            lines += [f"  last lines of {self.log}:", *(f"    {line}" for line in tail)]
        lines.append(f"  Mend: {self.mend}")
        return "\n".join(lines)


def say(text: str) -> None:
    """One line to the person, at once, also into a pipe. A reader that went away stops nothing."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        sys.stdout = sys.stderr


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is being done, and how long it took when it is done."""
    say(f"→ {what} …")
    start = time.monotonic()
    yield
    say(f"  done in {time.monotonic() - start:.1f} s")
