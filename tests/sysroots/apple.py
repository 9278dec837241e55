"""A Mac with Apple Silicon, as zeus-apple-silicon 1.1 shows it: whole millijoules since the chip was started."""

from __future__ import annotations

from types import SimpleNamespace

from tests.sysroots.machine import Machine, State, energy

CPU_WATTS: dict[State, float] = {"idle": 0.4, "prefill": 18.0, "decode": 9.0}
GPU_WATTS: dict[State, float] = {"idle": 0.1, "prefill": 22.0, "decode": 16.0}
DRAM_WATTS: dict[State, float] = {"idle": 0.2, "prefill": 3.0, "decode": 5.0}
WATTS: dict[State, float] = {s: CPU_WATTS[s] + GPU_WATTS[s] + DRAM_WATTS[s] for s in CPU_WATTS}
BEFORE_J = 81_234.5678


def apple_silicon(machine: Machine) -> SimpleNamespace:
    """An M3 without a known channel for its neural engine. Give ``fault`` a text to make IOReport fail."""

    class AppleEnergyMonitor:
        def get_cumulative_energy(self) -> SimpleNamespace:
            if module.fault:
                raise RuntimeError(module.fault)

            def mj(watts: dict[State, float]) -> int:
                return int((BEFORE_J + energy(machine.t_s, watts)) * 1000)

            return SimpleNamespace(
                cpu_total_mj=mj(CPU_WATTS), gpu_mj=mj(GPU_WATTS), gpu_sram_mj=123, ane_mj=None, dram_mj=mj(DRAM_WATTS)
            )

    module = SimpleNamespace(AppleEnergyMonitor=AppleEnergyMonitor, fault="")
    machine.modules["zeus_apple_silicon"] = module
    return module
