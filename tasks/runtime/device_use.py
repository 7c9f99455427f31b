"""How well a device was used: how long it waited for data, and how much of its memory was taken."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class DeviceUse:
    """Times and memory of the networks that ran; they are added up over threads and worker processes.

    Attributes
    ----------
    device : str
        ``cpu``, or the name of the GPU; empty if no network ran.
    waited : float
        Seconds in which the device, or a thread that computes on the CPU, waited for data.
    seconds : float
        Seconds from the first batch to the last, with `waited`.
    memory : int
        Largest memory that torch has taken on the device, in bytes; 0 on the CPU.
    """

    device: str = ""
    waited: float = 0.0
    seconds: float = 0.0
    memory: int = 0

    @property
    def wait_share(self) -> float | None:
        """Share of the time in which the device waited for data; None if nothing ran."""
        return self.waited / self.seconds if self.seconds else None

    def add(self, other: DeviceUse) -> None:
        """Add what another thread or process has measured."""
        self.device = self.device or other.device
        self.waited += other.waited
        self.seconds += other.seconds
        self.memory = max(self.memory, other.memory)
