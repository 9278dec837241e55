"""The root folder of an aarch64 board: Debian's C library, busybox, nothing else; run by the kernel through QEMU."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_NAME = "edgeq-test-aarch64"
# ELF, 64 bit, little-endian, executable or shared object, EM_AARCH64; as in QEMU's own scripts/qemu-binfmt-conf.sh.
_MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
_APPLETS = ("sh", "awk", "basename", "cat", "dirname", "ls", "mkdir", "mv", "rm", "sed", "sha256sum", "tail", "grep")


def make_root(folder: Path) -> Path:
    """Unpack Debian's packages for arm64, downloaded with lists of their own so that the machine's stay as they are."""
    state, cache, root = folder / "state", folder / "cache", folder / "root"
    (state / "lists/partial").mkdir(parents=True)
    (cache / "archives/partial").mkdir(parents=True)
    given = {
        "Dir::State": state, "Dir::Cache": cache, "Dir::State::status": "/dev/null",
        "APT::Architecture": "arm64", "APT::Architectures": "arm64", "APT::Sandbox::User": "root",
    }  # fmt: skip
    apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in given.items())]
    subprocess.run([*apt, "update"], check=True, capture_output=True)
    subprocess.run([*apt, "download", "busybox-static", "libc6"], check=True, capture_output=True, cwd=folder)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, root], check=True)
    for name in _APPLETS:
        (root / "bin" / name).symlink_to("busybox")
    for name in ("proc", "dev", "tmp"):
        (root / name).mkdir()
    (root / "dev/null").write_text("")
    return root


@contextlib.contextmanager
def programs_of_arm() -> Iterator[None]:
    """The kernel hands programs for aarch64 to QEMU, in every root folder, until the block ends."""
    if os.geteuid() != 0:
        pytest.skip("registering QEMU with the kernel needs root")
    mounted = False
    if not (_BINFMT / "register").exists():
        mounted = subprocess.run(["mount", "-t", "binfmt_misc", "none", _BINFMT], capture_output=True).returncode == 0
        if not mounted:
            pytest.skip("this kernel has no binfmt_misc")
    entry = _BINFMT / _NAME
    if entry.exists():
        entry.write_text("-1")
    # P: programs keep their first argument, by which busybox knows what to be. F: the interpreter is opened now, so
    # that it is found from inside another root.
    (_BINFMT / "register").write_text(f":{_NAME}:M::{_MAGIC}:{_MASK}:/usr/bin/qemu-aarch64-static:PF")
    try:
        yield
    finally:
        entry.write_text("-1")
        if mounted:
            subprocess.run(["umount", "-l", _BINFMT], check=False)
