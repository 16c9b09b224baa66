"""Every call by which the log's folder changes a disk, one method each, and nothing else.

`ledger.storage.FolderStorage` changes files through a `Disk` only. So a test that lets each public
method fail in turn, before and after it did its work, has met every way in which a disk can fail.

A folder is passed as its open descriptor and a name inside it, never as a path: a folder that was
moved or removed meanwhile is an error here, not a file in another place.
"""

from __future__ import annotations

import os
from contextlib import suppress


class Descriptor:
    """An open file or folder; closed by `close`, or when nobody holds it any more.

    As long as it is open the kernel keeps the inode, and with it a write error that came after the
    call that caused it (transparency-dev/tessera#749).
    """

    def __init__(self, number: int) -> None:
        self.number = number

    def close(self) -> None:
        """Close it; once more does nothing."""
        number, self.number = self.number, -1
        if number >= 0:
            os.close(number)

    def __del__(self) -> None:
        self.close()


class Disk:
    """The calls. Each may raise `OSError`, and then may have happened or not."""

    def make_folder(self, parent: Descriptor, name: str) -> None:
        """Make the folder `name`, or find it there; lasts when `parent` has been synced."""
        with suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=parent.number)

    def write_new(self, folder: Descriptor, name: str, data: bytes) -> Descriptor:
        """Create the file `name` with `data` and keep it open; nothing of it lasts yet.

        `FileExistsError` when the name is taken.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        file = Descriptor(os.open(name, flags, 0o644, dir_fd=folder.number))
        left = memoryview(data)
        while left:
            left = left[os.write(file.number, left) :]
        return file

    def sync_file(self, file: Descriptor) -> None:
        """Make the content of a written file last. Its name lasts when the folder was synced.

        After an error the content is lost, whatever a read says: the kernel drops the page, and a
        second call answers that all is well.
        """
        os.fsync(file.number)

    def link(self, source: Descriptor, temporary: str, folder: Descriptor, name: str) -> None:
        """Give the file `temporary` of `source` the name `name` too, in one step for readers.

        `FileExistsError` when the name is taken: what it names stays. Lasts when `folder` has been
        synced.
        """
        os.link(temporary, name, src_dir_fd=source.number, dst_dir_fd=folder.number)

    def rename(self, source: Descriptor, temporary: str, folder: Descriptor, name: str) -> None:
        """Put the file `temporary` of `source` in the place of `name`, in one step for readers.

        Lasts when `folder` has been synced; a power failure before that brings the old file back.
        """
        os.rename(temporary, name, src_dir_fd=source.number, dst_dir_fd=folder.number)

    def remove(self, folder: Descriptor, name: str) -> None:
        """Remove a temporary name, if it is there. Need not last: what comes back is swept."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder.number)

    def sync_folder(self, folder: Descriptor) -> None:
        """Make the names in `folder` last: files linked or renamed into it, folders made in it.

        After an error it is unknown which of them do.
        """
        os.fsync(folder.number)
