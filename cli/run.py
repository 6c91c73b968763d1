"""Run: the folder of a training run, and the lock that lets only one process train in it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..agents.config import Config, nearest
from .errors import ENVIRONMENT, CommandError


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run trains, beside the agent's config."""

    env: str  # as `make` accepts it
    protocol: str
    seed: int
    preset: str
    device: str
    steps: int = 0  # budget of agent steps; 0 is none
    minutes: float = 0.0  # budget of training time, minutes; 0 is none


@dataclass(frozen=True)
class Run:
    """A run's folder: config.toml, manifest.json, metrics.jsonl, checkpoints/, frames/, videos/."""

    folder: Path
    settings: Settings
    config: Config

    @property
    def metrics(self) -> Path:
        """The append-only log, a JSON object a line."""
        return self.folder / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / "checkpoints"

    @classmethod
    def create(cls, directory: Path, settings: Settings, config: Config) -> Run:
        """Make a new folder under `directory`, named after the game, the preset, the seed and the time."""
        game = re.sub(r"[^a-z0-9]+", "-", settings.env.split("/")[-1].split(":")[-1].lower()).strip("-")
        game = re.sub(r"-v\d+$", "", game)
        stem = f"{game}-{settings.preset}-s{settings.seed}-{time.strftime('%Y%m%d-%H%M%S')}"
        folder, copy = directory / stem, 2
        while True:
            try:
                folder.mkdir(parents=True)
                break
            except FileExistsError:
                if not directory.is_dir():
                    raise CommandError(f"{directory} is a file, not a folder for runs", ENVIRONMENT) from None
                folder, copy = directory / f"{stem}-{copy}", copy + 1
            except OSError as error:
                reason = (error.strerror or "it cannot be written").lower()
                raise CommandError(
                    f"no run can be saved under {directory}: {reason}; name another folder with --dir", ENVIRONMENT
                ) from None
        run = cls(folder, settings, config)
        run.write_settings()
        (folder / "manifest.json").write_text(json.dumps(_manifest(), indent=2) + "\n")
        return run

    def write_settings(self) -> None:
        """Write config.toml, whole or not at all."""
        draft = self.folder / ".config.toml.draft"
        draft.write_text(to_toml({"run": vars(self.settings), "config": self.config.as_dict()}))
        draft.replace(self.folder / "config.toml")

    def note_world(self, world: dict[str, Any]) -> None:
        """Keep in manifest.json what whoever loads the agent must know of its world."""
        path = self.folder / "manifest.json"
        manifest = json.loads(path.read_text()) if path.exists() else _manifest()
        draft = self.folder / ".manifest.json.draft"
        draft.write_text(json.dumps({**manifest, "world": world}, indent=2) + "\n")
        draft.replace(path)

    @property
    def world(self) -> dict[str, Any]:
        """What `note_world` kept; raise CommandError if the run never got that far."""
        path = self.folder / "manifest.json"
        try:
            return dict(json.loads(path.read_text())["world"])
        except (OSError, ValueError, KeyError, TypeError):
            raise CommandError(f"{path} is missing or damaged, so the run cannot be loaded", ENVIRONMENT) from None

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Read the run in `folder`; raise CommandError if there is none or its config is damaged."""
        path = folder / "config.toml"
        try:
            document = tomllib.loads(path.read_text())
            return cls(folder, Settings(**document["run"]), Config().with_settings(document["config"]))
        except FileNotFoundError:
            raise CommandError(f"{folder} is not a run: it has no config.toml", ENVIRONMENT) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CommandError(f"{path} cannot be read: {error}", ENVIRONMENT) from None

    @classmethod
    def find(cls, name: str | Path, directory: Path = Path("runs")) -> Run:
        """Return the run that `name` means: a folder, a name under `directory`, or `latest`."""
        known = sorted((path.parent for path in directory.glob("*/config.toml")), key=_last_use)
        if str(name) == "latest":
            if not known:
                raise CommandError(f"there is no run under {directory} yet: make one with rlrun train", ENVIRONMENT)
            return cls.open(known[-1])
        for folder in (Path(name), directory / name):
            if (folder / "config.toml").is_file():
                return cls.open(folder)
            if folder.is_dir() and folder != directory:
                return cls.open(folder)
        hint = nearest(str(name), [path.name for path in known]) if known else ""
        raise CommandError(f"there is no run {str(name)!r} here or under {directory}{hint}", ENVIRONMENT)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process; raise CommandError if another holds it. Freed even by kill -9."""
        try:
            file: IO[str] = open(self.folder / "lock", "a+")  # noqa: SIM115
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise CommandError(f"{self.folder} cannot be written: {reason}", ENVIRONMENT) from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise CommandError(
                    f"{self.folder} is being trained by another process (pid {holder}): stop that one first",
                    ENVIRONMENT,
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def record(self, kind: str, **values: Any) -> None:
        """Append one line to the metrics."""
        append_metrics(self.metrics, [{"kind": kind, **values}])


def append_metrics(path: Path, rows: list[dict[str, Any]]) -> None:
    """Append `rows` as JSON lines, after a line torn by a crash on a line of their own."""
    if not rows:
        return
    with open(path, "ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write("".join(json.dumps(row) + "\n" for row in rows).encode())


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a metrics file; lines torn by a crash are left out."""
    rows = []
    if path.exists():
        for line in path.read_bytes().split(b"\n"):
            with contextlib.suppress(ValueError):
                row = json.loads(line)
                if isinstance(row, dict):
                    rows.append(row)
    return rows


def to_toml(tables: dict[str, dict[str, Any]]) -> str:
    """Return tables of plain values as TOML: for those, JSON's spelling is TOML's."""
    lines = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items()), ""]
    return "\n".join(lines)


def _last_use(folder: Path) -> float:
    """Return when a run was last worked on."""
    metrics = folder / "metrics.jsonl"
    return (metrics if metrics.exists() else folder / "config.toml").stat().st_mtime


def _manifest() -> dict[str, Any]:
    """Return what a run was made with, to repeat it years later."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for package in ("rlrun", "torch", "numpy", "gymnasium", "ale-py"):
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    root = Path(__file__).resolve().parent.parent
    revision = ""
    if (root / ".git").exists():
        with contextlib.suppress(OSError):
            answer = subprocess.run(
                ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
            )
            revision = answer.stdout.strip()
    return {
        "command": sys.argv,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": versions,
        "revision": revision,
    }
