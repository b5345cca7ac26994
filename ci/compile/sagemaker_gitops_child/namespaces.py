"""A compile in Linux namespaces of its own.

User: no privilege outside. Network: no host but loopback. Processes: none but its own, in /proc
too. Mounts: all read-only but the scratch folder, secrets' folders hidden, /tmp empty and private.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from pathlib import Path

from . import linux
from .view import View, git_settings, is_below

_GETFLAGS, _SETFLAGS, _UP = 0x8913, 0x8914, 0x1
_PRIVATE = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  where programs write without asking
_QUIET = linux.NOSUID | linux.NODEV


def enter(view: View, root: Path) -> list[str]:
    """Enter all but the process namespace, which is for the next fork. OSError where not allowed.

    Returns the folders that may be written, for `close`.
    """
    user, group = os.geteuid(), os.getegid()
    spaces = linux.NEWUSER | linux.NEWNET | linux.NEWNS | linux.NEWPID | linux.NEWIPC
    linux.unshare(spaces)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _bring_up_loopback()
    linux.mount("none", "/", "", linux.REC | linux.PRIVATE)
    settings = git_settings(root)
    for folder in view.hidden:
        _hide(folder, view)
    private = [path for path in _PRIVATE if path in view.hidden]
    if Path("/dev/shm").is_dir():  # noqa: S108
        linux.mount("tmpfs", "/dev/shm", "tmpfs", _QUIET, "size=1g,mode=1777")  # noqa: S108
        private.append("/dev/shm")  # noqa: S108
    _cover(settings, view)
    linux.mount(view.scratch, view.scratch, "", linux.BIND | linux.REC)
    return [*private, view.scratch]


def close(writable: list[str]) -> None:
    """As the first process of its namespace: its own /proc, and nothing to write but `writable`."""
    with contextlib.suppress(OSError):  # a container that masks parts of /proc allows no other
        linux.mount("proc", "/proc", "proc", _QUIET | linux.NOEXEC)
    linux.set_writable("/", writable=False, below=True)
    for folder in writable:
        linux.set_writable(folder, writable=True)
    linux.give_up_privileges()


def _bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(probe, _GETFLAGS, request))[1]
        fcntl.ioctl(probe, _SETFLAGS, struct.pack("16sh14x", b"lo", flags | _UP))


def _hide(folder: str, view: View) -> None:
    """An empty folder in place of this one, with what is kept put back where it was."""
    opened = [(path, os.open(path, os.O_PATH)) for path in view.kept_below(folder)]
    mode = "1777" if folder in _PRIVATE else "755"
    linux.mount("tmpfs", folder, "tmpfs", _QUIET, f"size=1g,mode={mode}")
    for path, descriptor in opened:
        source, place = f"/proc/self/fd/{descriptor}", Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        if Path(source).is_dir():
            place.mkdir(exist_ok=True)
        else:
            place.touch()
        linux.mount(source, path, "", linux.BIND | linux.REC)
        os.close(descriptor)
    for path, target in view.links_below(folder):
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_symlink():
            place.symlink_to(target)


def _cover(settings: list[tuple[Path, str]], view: View) -> None:
    for number, (file, text) in enumerate(settings):
        if any(is_below(str(file), folder) for folder in view.kept) or file.exists():
            clean = Path(view.scratch, f"git-{number}")
            clean.write_text(text, "utf-8", "surrogateescape")
            linux.mount(str(clean), str(file), "", linux.BIND)
