"""Windows' side of the Energy Meter Interface: which meters there are, and bytes from one of them."""

from __future__ import annotations

import ctypes
import sys
from ctypes import wintypes
from typing import Any
from uuid import UUID

assert sys.platform == "win32"

_GUID_DEVICE_ENERGY_METER = UUID("45BD8344-7ED6-49CF-A440-C276C933B053").bytes_le  # emi.h
_PRESENT = 0  # CM_GET_DEVICE_INTERFACE_LIST_PRESENT
_GENERIC_READ = 0x80000000
_SHARE_READ_WRITE = 3
_OPEN_EXISTING = 3


def paths() -> list[str]:
    """Device paths of all meters that are present. Raises OSError."""
    manager = ctypes.WinDLL("cfgmgr32")
    n_chars = wintypes.ULONG(0)
    if status := manager.CM_Get_Device_Interface_List_SizeW(
        ctypes.byref(n_chars), _GUID_DEVICE_ENERGY_METER, None, _PRESENT
    ):
        raise OSError(f"Windows can't list energy meters (CONFIGRET {status})")
    text = ctypes.create_unicode_buffer(n_chars.value)
    if status := manager.CM_Get_Device_Interface_ListW(_GUID_DEVICE_ENERGY_METER, None, text, n_chars, _PRESENT):
        raise OSError(f"Windows can't list energy meters (CONFIGRET {status})")
    return [path for path in ctypes.wstring_at(text, n_chars.value).split("\0") if path]


class Device:
    """One meter, open for reading. Raises OSError, or PermissionError where Windows refuses."""

    def __init__(self, path: str) -> None:
        self._kernel: Any = ctypes.WinDLL("kernel32", use_last_error=True)
        self._kernel.CreateFileW.restype = wintypes.HANDLE
        handle = self._kernel.CreateFileW(path, _GENERIC_READ, _SHARE_READ_WRITE, None, _OPEN_EXISTING, 0, None)
        if handle == wintypes.HANDLE(-1).value:
            raise ctypes.WinError(ctypes.get_last_error())
        self._handle = wintypes.HANDLE(handle)

    def ioctl(self, code: int, n_bytes: int) -> bytes:
        """What the driver answers to a request without input."""
        buffer = ctypes.create_string_buffer(n_bytes)
        n_given = wintypes.DWORD(0)
        if not self._kernel.DeviceIoControl(
            self._handle, wintypes.DWORD(code), None, 0, buffer, n_bytes, ctypes.byref(n_given), None
        ):
            raise ctypes.WinError(ctypes.get_last_error())
        return buffer.raw[: n_given.value]

    def close(self) -> None:
        """Close the handle."""
        self._kernel.CloseHandle(self._handle)
