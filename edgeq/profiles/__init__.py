"""Room: kinds of devices. Profiles read and checked; which of the shelf this machine is; a new one drafted."""

from __future__ import annotations

from edgeq.profiles.detect import Difference, detect, differences, is_of
from edgeq.profiles.draft import draft
from edgeq.profiles.load import changed, load, names

__all__ = ["Difference", "changed", "detect", "differences", "draft", "is_of", "load", "names"]
