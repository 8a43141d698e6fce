"""What a run on a T4 asks for: one frozen plan, checked when it is made, in one JSON file."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.files import hash_bytes, hash_file, write_text_atomic

PLAN_VERSION = 1
MACHINE_TYPE = "n1-standard-4"
ACCELERATOR = "nvidia-tesla-t4"
GPU = "t4"
TARGET = f"cuda-{GPU}"
# The driver of this family, 580, is the oldest that CUDA 13 takes, for which onnxruntime-gpu is built.
IMAGE_FAMILY = "common-cu129-ubuntu-2404-nvidia-580"
IMAGE_PROJECT = "deeplearning-platform-release"
ZONES = ("us-central1-a", "us-central1-b", "us-central1-c", "us-central1-f", "us-west1-b", "us-east1-d")
"""Zones that are tried in this order where a plan names none; all of them list the T4."""
SCOPES = (
    "https://www.googleapis.com/auth/devstorage.read_write",
    "https://www.googleapis.com/auth/logging.write",
)
"""All that the machine may do: read artefacts and write results in buckets that its account may use, and log."""
RUN_LABEL = "voiceflow-run"
"""Label whose value is the run; every machine has it, so that a sweep finds what a crash left."""
TAG = "voiceflow-iap"
"""Network tag that a firewall rule for the tunnels of the Identity-Aware Proxy can name."""
_LARGEST_FILE_BYTES = 4 << 30
_MAX_RUN_S = range(600, 24 * 3600 + 1)
_RUN_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(/[A-Za-z0-9][A-Za-z0-9._+-]*)*")
_PATTERNS = {
    "project": re.compile(r"[a-z][a-z0-9:.-]{4,62}"),
    "zone": re.compile(r"[a-z]+-[a-z]+[0-9]+-[a-z]"),
    "network": re.compile(r"[a-z0-9/_.-]+"),
    "service account": re.compile(r"[a-z0-9.-]+@[a-z0-9.-]+"),
    "store": re.compile(r"(gs://[a-z0-9][a-z0-9._-]+[A-Za-z0-9/._-]*|file:///[^\s'\"]*)"),
}


@dataclass(frozen=True)
class Artefact:
    """A file that the machine works with.

    Attributes:
        name: path in the folder of the deployment, with ``/`` between the parts.
        sha256: of its content, in lower-case hexadecimal; the machine checks it.
        size_bytes: of its content.
    """

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Plan:
    """One run on one machine.

    Attributes:
        project: id of the Google Cloud project.
        run_id: names the machine, its label and the folder of the run in the store.
        zones: tried in this order.
        store: ``gs://bucket/folder``, where artefacts are fetched from and results go.
        artefacts: files of the deployment.
        service_account: address of the account that the machine has.
        network: of the machine; it has no external address in it.
        max_run_s: seconds after which Compute Engine deletes the machine, whatever became of us.
        disk_gb: size of the boot disk, in GB.
        spot: a machine that may be taken back at any time; its numbers are not for publishing.
        serve: start the service after measuring, and stay up for ``verify`` until ``down`` or ``max_run_s``.
        offline: install from the artefacts alone, without a package index.
    """

    project: str
    run_id: str
    zones: tuple[str, ...]
    store: str
    artefacts: tuple[Artefact, ...]
    service_account: str
    network: str = "global/networks/default"
    max_run_s: int = 3600
    disk_gb: int = 100
    spot: bool = False
    serve: bool = False
    offline: bool = False

    def __post_init__(self) -> None:
        _check("project", self.project)
        _check("store", self.store)
        _check("network", self.network)
        _check("service account", self.service_account)
        for zone in self.zones:
            _check("zone", zone)
        if not self.zones:
            raise ConfigError("no zone to try; name at least one, such as us-central1-a")
        if not _RUN_ID.fullmatch(self.run_id):
            raise ConfigError(f"run id {self.run_id!r}: use up to 40 lower-case letters, digits and inner hyphens")
        if self.max_run_s not in _MAX_RUN_S:
            raise ConfigError(
                f"max run of {self.max_run_s} s: give 10 minutes to 24 hours; it bounds what a crash costs"
            )
        if self.disk_gb < 50:
            raise ConfigError(f"disk of {self.disk_gb} GB: the image needs at least 50")
        _check_artefacts(self.artefacts)
        if self.serve and len(_contract_folders(self.artefacts)) > 1:
            raise ConfigError(
                "the deployment has several contract.json, and a machine serves one model; leave one there"
            )

    @property
    def machine(self) -> str:
        """Name of the machine."""
        return f"voiceflow-{self.run_id}"

    @property
    def folder(self) -> str:
        """Where everything of this run is in the store, relative to it."""
        return f"runs/{self.run_id}"

    @property
    def served_model(self) -> str:
        """What the service is started with: the folder of the one contract among the artefacts, else what ships."""
        folders = _contract_folders(self.artefacts)
        return f"./{folders[0]}" if folders else "builtin:fast-cnn"

    @property
    def wheel(self) -> str:
        """Name of the artefact that is this package."""
        return next(each.name for each in self.artefacts if _is_our_wheel(each.name))

    def to_json(self) -> str:
        """This plan as JSON, the same text for the same plan."""
        return json.dumps({"version": PLAN_VERSION, **asdict(self)}, indent=1) + "\n"

    @property
    def sha256(self) -> str:
        """Hash of the plan, which the state of its run names."""
        return hash_bytes(self.to_json().encode())


def new_run_id(now: datetime | None = None) -> str:
    """A run id that no other run has: the time in UTC and four random bytes."""
    return f"{(now or datetime.now(UTC)):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


def find_artefacts(folder: Path) -> tuple[Artefact, ...]:
    """Hash every file of a deployment's folder.

    Raises:
        ConfigError: no folder, a link, a name that a shell or a bucket could read otherwise, or an absent part.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; put sla.toml, its models and the wheel of voiceflow-ml into one")
    paths = sorted(path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    for path in paths:
        if path.is_symlink():
            raise ConfigError(f"{path} is a link; a deployment is made of files, so put the file itself there")
    found = [Artefact(path.relative_to(folder).as_posix(), hash_file(path), path.stat().st_size) for path in paths]
    _check_artefacts(found)
    return tuple(found)


def write_plan(plan: Plan, path: Path) -> None:
    """Write a plan whole or not at all."""
    write_text_atomic(path, plan.to_json())


def read_plan(path: Path) -> Plan:
    """Read a plan back.

    Raises:
        ConfigError: no plan of this version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("version")
        if version != PLAN_VERSION:
            raise ConfigError(f"{path} is a plan of version {version}, this release reads {PLAN_VERSION}: plan again")
        artefacts = tuple(Artefact(**entry) for entry in content.pop("artefacts"))
        return Plan(artefacts=artefacts, zones=tuple(content.pop("zones")), **content)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); voiceflow gcp plan --out writes it") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path} is not a plan of voiceflow gcp plan: {error}") from None


def _check(what: str, value: str) -> None:
    if not _PATTERNS[what].fullmatch(value):
        raise ConfigError(f"{what} {value!r} is not one; it must match {_PATTERNS[what].pattern}")


def _check_artefacts(artefacts: Sequence[Artefact]) -> None:
    for each in artefacts:
        if not _FILE.fullmatch(each.name):
            raise ConfigError(
                f"file {each.name!r}: use letters, digits, '.', '_', '+' and '-' in names, and none hidden"
            )
        if each.size_bytes > _LARGEST_FILE_BYTES:
            raise ConfigError(f"file {each.name!r} has {each.size_bytes} bytes; the most is {_LARGEST_FILE_BYTES}")
        if not re.fullmatch(r"[0-9a-f]{64}", each.sha256):
            raise ConfigError(f"file {each.name!r} has the hash {each.sha256!r}, which is no SHA-256")
    names = [each.name for each in artefacts]
    if "sla.toml" not in names:
        raise ConfigError("the deployment has no sla.toml; put it there, with the model files that it names")
    wheels = [name for name in names if _is_our_wheel(name)]
    if len(wheels) != 1:
        raise ConfigError(
            f"the deployment has {len(wheels)} wheels of voiceflow-ml, one is needed: pip wheel --no-deps ."
        )


def _contract_folders(artefacts: Sequence[Artefact]) -> list[str]:
    paths = [each.name.rpartition("/") for each in artefacts]
    return [folder for folder, _, name in paths if folder and name == "contract.json"]


def _is_our_wheel(name: str) -> bool:
    return name.startswith("voiceflow_ml-") and name.endswith(".whl")
