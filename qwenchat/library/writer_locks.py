"""Which processes are writing replies: each holds a lock that the system frees when it dies."""

from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from qwenchat.chat.messages import new_id
from qwenchat.system.private_files import make_private_folder


class Writer:
    """This process, as a writer of replies; `folder` is None for a library in memory."""

    def __init__(self, folder: Path | None) -> None:
        self._token = new_id()
        self._folder = folder
        self._lock: FileLock | None = None

    def claim(self) -> str:
        """This process's token, from now on backed by a lock; raises OSError where none can be made."""
        if self._folder is not None and self._lock is None:
            make_private_folder(self._folder)
            lock = FileLock(self._folder / f"{self._token}.lock")
            lock.acquire(timeout=1)
            self._lock = lock
        return self._token

    def is_dead(self, token: str) -> bool:
        """Whether the process that called itself `token` has ended; its lock file is removed then."""
        if token == self._token:
            return False
        if self._folder is None:
            return True
        file = self._folder / f"{token}.lock"
        if not file.exists():
            return True
        try:
            # Removed while it is held, so that a process that has just made the file sees that it must make another.
            with FileLock(file).acquire(timeout=0):
                file.unlink(missing_ok=True)
        except Timeout:
            return False
        return True

    def remove_stale(self) -> None:
        """Remove the lock files of processes that have ended."""
        if self._folder is not None:
            for file in self._folder.glob("*.lock"):
                self.is_dead(file.stem)

    def close(self) -> None:
        """Say that this process writes no more."""
        if self._lock is not None:
            with suppress(OSError):  # its folder may be gone, or a file by now
                Path(self._lock.lock_file).unlink(missing_ok=True)
            self._lock.release()
            self._lock = None
