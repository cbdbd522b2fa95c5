"""Which processes are writing replies: each holds a lock that the system frees when it dies."""

from pathlib import Path

from filelock import FileLock, Timeout

from qwenchat.chat.messages import new_id


class Writer:
    """This process, as a writer of replies; `folder` is None for a library in memory."""

    def __init__(self, folder: Path | None) -> None:
        self.token = new_id()
        self._folder = folder
        self._lock: FileLock | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = FileLock(folder / f"{self.token}.lock")
            self._lock.acquire(timeout=1)

    def is_dead(self, token: str) -> bool:
        """Whether the process that called itself `token` has ended."""
        if token == self.token or self._folder is None:
            return False
        file = self._folder / f"{token}.lock"
        if not file.exists():
            return True
        try:
            with FileLock(file).acquire(timeout=0):
                pass
        except Timeout:
            return False
        file.unlink(missing_ok=True)
        return True

    def close(self) -> None:
        """Say that this process writes no more."""
        if self._lock is not None and self._folder is not None:
            self._lock.release()
            (self._folder / f"{self.token}.lock").unlink(missing_ok=True)
