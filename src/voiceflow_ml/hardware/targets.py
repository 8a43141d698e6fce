"""Targets: kinds of hardware that a promise can be made for. Nothing here probes; the data is in the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from voiceflow_ml.errors import TargetError
from voiceflow_ml.hardware.cuda_provider import CUDA_OPTIONS, CUDA_PROVIDERS
from voiceflow_ml.hardware.peaks import Peaks


@dataclass(frozen=True)
class Target:
    """A kind of hardware.

    Attributes:
        name: ``"cpu"`` or ``"cuda-..."``.
        device_name: what the NVIDIA driver calls the device; a prefix, since boards add form factor and
            memory. Empty for the CPU.
        compute_capability: CUDA compute capability ``(major, minor)``; None for the CPU.
        providers: ONNX Runtime execution providers that count as having run on this target.
        pci_device_ids: of the boards that carry it, without the maker's 0x10DE; empty where any will do.
        memory_gb: of its largest board, in 10^9 bytes as data sheets count; None for the CPU.
        boost_clock_mhz: highest SM clock that its maker states; None for the CPU.
        peaks: empty for the CPU, whose peaks differ with every machine and are measured.
        provider_options: of the first provider, where sla.toml says nothing else.
        stated_at: where a project states it (``"sla.toml:3"``); empty for a target that ships.
        accelerator_type: what Ray calls a node that has it, where sla.toml says so.
        elsewhere: whether this run measures it on another machine.
    """

    name: str
    device_name: str
    compute_capability: tuple[int, int] | None
    providers: tuple[str, ...]
    pci_device_ids: frozenset[int] = frozenset()
    memory_gb: int | None = None
    boost_clock_mhz: int | None = None
    peaks: Peaks = field(default_factory=Peaks)
    provider_options: Mapping[str, str] = field(default_factory=dict)
    stated_at: str = ""
    accelerator_type: str = ""
    elsewhere: bool = False

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def is_cuda(self) -> bool:
        """Whether this is a GPU target."""
        return self.compute_capability is not None

    @property
    def gpu_name(self) -> str:
        """The name that ``--gpu`` takes: ``"t4"`` for ``"cuda-t4"``."""
        return self.name.removeprefix("cuda-")

    @property
    def ray_accelerator(self) -> str:
        """What Ray calls a node that has it: as stated, else the device's name without its maker; the CPU has none."""
        name = self.device_name.removeprefix("NVIDIA ").removeprefix("Tesla ")
        return self.accelerator_type or name.replace(" ", "-")

    @property
    def marker(self) -> str:
        """The pytest marker of this target: ``"cuda_t4"`` for ``"cuda-t4"``."""
        return self.name.replace("-", "_")


class Catalogue(Mapping[str, Target]):
    """Targets by name, in order. :data:`TARGETS` is the one that ships; sla.toml may add to it."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self._targets = {target.name: target for target in targets}

    def __getitem__(self, name: str) -> Target:
        return self._targets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)

    def __hash__(self) -> int:
        return hash(tuple(self._targets))

    @property
    def gpus(self) -> tuple[Target, ...]:
        """The GPU targets."""
        return tuple(target for target in self._targets.values() if target.is_cuda)

    def with_targets(self, targets: Iterable[Target]) -> Catalogue:
        """A catalogue in which these are added, or stand in place of those of the same name."""
        return Catalogue({**self._targets, **{target.name: target for target in targets}}.values())

    def on_ray(self) -> Catalogue:
        """A catalogue whose targets are measured elsewhere, all that some node of a Ray cluster may have."""
        return Catalogue(replace(target, elsewhere=bool(target.ray_accelerator)) for target in self.values())

    def find(self, name: str) -> Target:
        """Look up a target by its name, such as ``"cpu"`` or ``"cuda-t4"``.

        Raises:
            TargetError: not in the catalogue; the message lists what is.
        """
        if name in self._targets:
            return self._targets[name]
        raise TargetError(f"unknown target {name!r}; known targets: {', '.join(self._targets)}")

    def find_gpu(self, name: str) -> Target:
        """Look up a GPU target by what ``--gpu`` takes: ``"t4"`` or ``"cuda-t4"``, in any case.

        Raises:
            TargetError: not in the catalogue; the message lists what is.
        """
        target = self._targets.get(f"cuda-{name.lower().removeprefix('cuda-')}")
        if target is not None:
            return target
        raise TargetError(f"unknown GPU {name!r}; known GPUs: {', '.join(gpu.gpu_name for gpu in self.gpus)}")

    def owners_of(self, pci_device_id: int) -> tuple[str, ...]:
        """Names of the targets whose boards have a PCI device id."""
        return tuple(target.name for target in self._targets.values() if pci_device_id in target.pci_device_ids)


def _gpu(
    name: str, device_name: str, capability: tuple[int, int], pci: tuple[int, ...], board: tuple[int, int], peaks: Peaks
) -> Target:
    memory_gb, boost_clock_mhz = board
    return Target(
        name=f"cuda-{name}",
        device_name=device_name,
        compute_capability=capability,
        providers=CUDA_PROVIDERS,
        pci_device_ids=frozenset(pci),
        memory_gb=memory_gb,
        boost_clock_mhz=boost_clock_mhz,
        peaks=peaks,
        provider_options=CUDA_OPTIONS,
    )


def _peaks(source: str, *, memory_gb_per_s: float, cache_mib: int, **tera_per_s: float) -> Peaks:
    flops_per_s = {precision: value * 1e12 for precision, value in tera_per_s.items()}
    return Peaks(flops_per_s, memory_gb_per_s * 1e9, cache_mib * 2**20, f"NVIDIA {source} data sheet, dense")


CPU = Target("cpu", "", None, ("CPUExecutionProvider",))

# Names and PCI ids: NVIDIA's list of supported GPUs. Compute capabilities: NVIDIA's tables of them. Where boards of
# one name differ, the fastest stands here, so that a floor computed from it holds for all of them.
TARGETS = Catalogue(
    (
        CPU,
        _gpu(
            "t4",
            "Tesla T4",
            (7, 5),
            (0x1EB8,),
            (16, 1590),
            _peaks("T4", memory_gb_per_s=320, cache_mib=4, fp32=8.1, fp16=65, int8=130),
        ),
        _gpu(
            "l4",
            "NVIDIA L4",
            (8, 9),
            (0x27B8,),
            (24, 2040),
            _peaks("L4", memory_gb_per_s=300, cache_mib=48, fp32=30.3, tf32=60, fp16=121, bf16=121, int8=242.5),
        ),
        _gpu(
            "a10g",
            "NVIDIA A10G",
            (8, 6),
            (0x2237,),
            (24, 1710),
            _peaks("A10G", memory_gb_per_s=600, cache_mib=6, fp32=35, tf32=35, fp16=70, bf16=70, int8=140),
        ),
        _gpu(
            "a100",
            "NVIDIA A100",
            (8, 0),
            (0x20B0, 0x20B2, 0x20B3, 0x20B5, 0x20F1),
            (80, 1410),
            _peaks("A100", memory_gb_per_s=2039, cache_mib=40, fp32=19.5, tf32=156, fp16=312, bf16=312, int8=624),
        ),
        _gpu(
            "h100",
            "NVIDIA H100",
            (9, 0),
            (0x2321, 0x2330, 0x2331, 0x2339),
            (94, 1980),
            _peaks("H100", memory_gb_per_s=3900, cache_mib=50, fp32=67, tf32=494.5, fp16=989.5, bf16=989.5, int8=1979),
        ),
        _gpu(
            "h200",
            "NVIDIA H200",
            (9, 0),
            (0x2335, 0x233B),
            (141, 1980),
            _peaks("H200", memory_gb_per_s=4800, cache_mib=50, fp32=67, tf32=494.5, fp16=989.5, bf16=989.5, int8=1979),
        ),
        _gpu(
            "v100",
            "Tesla V100",
            (7, 0),
            (0x1DB1, 0x1DB4, 0x1DB5, 0x1DB6, 0x1DB8),
            (32, 1530),
            _peaks("V100", memory_gb_per_s=900, cache_mib=6, fp32=15.7, fp16=125, int8=62.8),
        ),
        _gpu(
            "rtx-4090",
            "NVIDIA GeForce RTX 4090",
            (8, 9),
            (0x2684,),
            (24, 2520),
            _peaks(
                "RTX 4090", memory_gb_per_s=1008, cache_mib=72, fp32=82.6, tf32=82.6, fp16=330.3, bf16=165.2, int8=660.6
            ),
        ),
    )
)


def find_target(name: str) -> Target:
    """Look up a target in the catalogue that ships; errors as :meth:`Catalogue.find`."""
    return TARGETS.find(name)


def find_gpu(name: str) -> Target:
    """Look up a GPU target in the catalogue that ships; errors as :meth:`Catalogue.find_gpu`."""
    return TARGETS.find_gpu(name)
