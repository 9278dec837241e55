"""Which file to ship, and what is given up with it: derived from rows, can always be computed again."""

from __future__ import annotations

from typing import Literal

from edgeq.records.base import Note, Record
from edgeq.records.decide import Estimate, Tariff
from edgeq.records.measure import BenchSettings

Goal = Literal["quality", "speed", "energy", "cost"]


class Board(Record, frozen=True):
    """The device that a file is for. ``devices``: the names, as in ``Row.device``, under which it was measured.

    ``usable_bytes``: main memory less what the system keeps; the limit of the RAM peak where none was asked for.
    """

    profile: str
    devices: tuple[str, ...] = ()
    usable_bytes: int | None = None


class Wanted(Record, frozen=True):
    """What the file must satisfy and what it should be best at, judged by one bench test.

    ``max_j_per_token``: gross of idle. ``min_top1``: share of 1. ``max_kld``: mean, in nats. ``goal`` None: as good as
    about 4 bits per parameter can be, and lower only where a limit forces it.
    """

    test: str = "tg128"
    goal: Goal | None = None
    max_ram_bytes: int | None = None
    min_tps: float | None = None
    max_j_per_token: float | None = None
    min_top1: float | None = None
    max_kld: float | None = None
    tariff: Tariff | None = None
    board: Board | None = None


class Figures(Record, frozen=True):
    """One file's figures on the five axes, those of speed, energy and money for the test that was asked for.

    A reference loses nothing against itself: KLD 0, top-1 1, PPL ratio 1. ``state``: what was wrong with the speed's
    repetitions. ``j_per_token``: gross, seen at ``scope``. ``cost_per_mtok``: energy and, where the tariff states it,
    hardware, in the tariff's currency.
    """

    n_bytes: int
    kld: Estimate | None = None
    top1: Estimate | None = None
    ppl_ratio: Estimate | None = None
    rss_peak_bytes: int | None = None
    tps: Estimate | None = None
    state: tuple[str, ...] = ()
    j_per_token: Estimate | None = None
    scope: str = ""
    estimated: bool = False
    cost_per_mtok: Estimate | None = None
    hardware_per_mtok: float | None = None
    cost_estimated: bool = False


class Choice(Record, frozen=True):
    """A file and what it was measured with. ``label`` is unique among the files of its answer.

    ``measured_on``: the other machine whose quality and size stand here, "" where all was measured on the device
    itself; ``rss_elsewhere_bytes``: the RAM peak on that machine.
    """

    label: str
    sha256: str
    file_type: str
    bpw: float
    reference: bool
    figures: Figures
    settings: BenchSettings | None = None
    backend: str | None = None
    build: str | None = None
    power_mode: str | None = None
    measured_on: str = ""
    rss_elsewhere_bytes: int | None = None


class Check(Record, frozen=True):
    """One limit and what a file has there. ``value`` None: not measured, which satisfies nothing.

    ``miss``: the distance to the limit as a share of the limit, 0 where it is kept, None where it is not known.
    ``close``: the value's 95 % interval contains the limit, or the value has none.
    """

    option: str
    metric: str
    limit: float
    value: float | None
    ok: bool
    miss: float | None
    close: bool = False


class Difference(Record, frozen=True):
    """Another file beside the recommended one, on one metric. ``apart``: their 95 % intervals tell them apart."""

    metric: str
    pick: float
    other: float
    better: bool
    apart: bool


class RunnerUp(Record, frozen=True):
    """The best of the other allowed files on one axis. ``there`` None: the recommended file has no figure there."""

    axis: str
    label: str
    there: Difference | None
    elsewhere: tuple[Difference, ...]


class LimitCost(Record, frozen=True):
    """What one limit costs: the file that would win without it, and by how much it is better on the goal.

    ``label`` None: none would without this limit alone. ``there`` None where the two can't be compared.
    """

    option: str
    metric: str
    limit: float
    label: str | None
    same: bool = False
    there: Difference | None = None


class TariffRange(Record, frozen=True):
    """Prices of a kWh over which the cheapest file stays the same one. ``high`` None: however much it costs.

    ``below``, ``above``: the files that follow at a lower and at a higher price.
    """

    label: str
    low: float
    high: float | None
    below: str | None = None
    above: str | None = None


class Nearest(Record, frozen=True):
    """The file that misses the limits by the least: fewest unknown, then the smallest sum of misses."""

    choice: Choice
    checks: tuple[Check, ...]
    miss: float


class Answer(Record, frozen=True):
    """The answer for one device. ``pick`` None: nothing satisfies the limits, or nothing was measured that decides.

    ``alike``: files that can't be told apart from the best on the goal's metric. ``unsteady``: files that have no
    interval there, and could not take part. ``broken``: what the pick's own figures say is lost. ``front``: allowed
    files that no other beats on ``front_axes``, those that can't be told apart on any of them together.
    """

    device: str
    n_files: int
    n_allowed: int
    metric: str
    pick: Choice | None = None
    why: str = ""
    alike: tuple[str, ...] = ()
    unsteady: tuple[str, ...] = ()
    broken: tuple[Note, ...] = ()
    checks: tuple[Check, ...] = ()
    runners_up: tuple[RunnerUp, ...] = ()
    limit_costs: tuple[LimitCost, ...] = ()
    tariff: TariffRange | None = None
    nearest: Nearest | None = None
    front: tuple[tuple[str, ...], ...] = ()
    front_axes: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


class Advice(Record, frozen=True):
    """One answer for each device, and what concerns all of them."""

    wanted: Wanted
    answers: tuple[Answer, ...]
    notes: tuple[Note, ...] = ()
