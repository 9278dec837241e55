"""The mailbox of a Raspberry Pi's firmware, asked as ``vcgencmd`` asks it: one open file, one ioctl per question.

The message is that of vcgencmd.c (raspberrypi/utils). Starting vcgencmd itself at every sample would take processor
time away from what is measured.
"""

from __future__ import annotations

import struct

from edgeq.access import Access
from edgeq.errors import DeniedError, MissingError

# Newer systems give the group `video` only the first, which takes nothing but these text commands.
_NODES = ("dev/vcio_gencmd", "dev/vcio")
_STRING_BYTES = 1024
# Size, status, tag, size of its value, size of the request, error; command or answer; end tag.
_MESSAGE = struct.Struct(f"<6I{_STRING_BYTES}sI")
_GET_GENCMD_RESULT = 0x00030080
# _IOWR(100, 0, char *): the size of a pointer is part of the number.
_MBOX_PROPERTY = 0xC000_0000 | struct.calcsize("P") << 16 | 100 << 8


class Mailbox:
    """An open mailbox. ``node`` is its path, for a channel's source."""

    def __init__(self, access: Access, node: str) -> None:
        self.node = f"/{node}"
        self._file = access.opener(access.root / node)
        self._ioctl = access.load("fcntl").ioctl

    def ask(self, command: str) -> str:
        """The firmware's answer to a vcgencmd command. Raises OSError where it has none."""
        message = bytearray(
            _MESSAGE.pack(_MESSAGE.size, 0, _GET_GENCMD_RESULT, _STRING_BYTES, 0, 0, command.encode(), 0)
        )
        self._ioctl(self._file, _MBOX_PROPERTY, message)
        *_, error, text, _ = _MESSAGE.unpack(message)
        answer: str = text.split(b"\0")[0].decode("ascii", "replace").strip()
        if error:
            raise OSError(f"the firmware refuses {command}: {answer}")
        return answer

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def connect(access: Access) -> Mailbox:
    """Open the mailbox. Raises MissingError, or DeniedError where this user may not."""
    denied = ""
    for node in _NODES:
        try:
            return Mailbox(access, node)
        except PermissionError:
            denied = denied or f"/{node}"
        except (OSError, ImportError):
            continue
    if denied:
        raise DeniedError(
            f"This user may not open {denied}, the mailbox of the firmware.",
            "Run `sudo usermod -aG video $USER` and log in again; where the device belongs to root alone, use sudo.",
        )
    raise MissingError(
        "There is no mailbox of a Raspberry Pi's firmware here.",
        "On a Raspberry Pi, use the kernel of Raspberry Pi OS, which has /dev/vcio; elsewhere there is nothing to do.",
    )
