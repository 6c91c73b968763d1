"""Checkpoints: hashed folders of safetensors and JSON, written whole or not at all, read only if no byte is wrong."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

FORMAT = 1
MANIFEST = "manifest.json"
STATE = "state.json"


class CheckpointError(ValueError):
    """A checkpoint that cannot be trusted: one sentence that names the file."""


@dataclass(frozen=True)
class Checkpoint:
    """A folder whose manifest was read; its other files are checked when they are opened."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def step(self) -> int:
        """The agent step that it was made at."""
        return int(self.manifest["step"])

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Return the tensors of the part `name`; raise CheckpointError if a byte of its file is not as written."""
        loaded: dict[str, Tensor] = load_tensors(self._checked(f"{name}.safetensors"))
        return loaded

    def state(self) -> dict[str, Any]:
        """Return the plain values; raise CheckpointError if a byte of their file is not as written."""
        return dict(json.loads(self._checked(STATE)))

    def verify(self) -> None:
        """Read every file once; raise CheckpointError at the first that is not as written."""
        for name in self.manifest["files"]:
            self._checked(name)
        for entry in self.manifest["shared"]:
            self.shared(entry)

    def shared(self, entry: Mapping[str, Any]) -> bytes:
        """Return the bytes of a file that several checkpoints share."""
        return _checked_bytes(self.folder.parent.parent / entry["name"], entry)

    def _checked(self, name: str) -> bytes:
        if name not in self.manifest["files"]:
            raise CheckpointError(f"{self.folder / MANIFEST} does not list {name}")
        return _checked_bytes(self.folder / name, self.manifest["files"][name])


def read(folder: Path) -> Checkpoint:
    """Return the checkpoint in `folder`; raise CheckpointError if it has no manifest of ours."""
    path = folder / MANIFEST
    try:
        document = json.loads(path.read_text())
        body = document["body"]
        if document["sha256"] != _digest(_encode(body)):
            raise CheckpointError(f"{path} is damaged: its contents do not match its own checksum")
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is not a checkpoint manifest: {error}") from None
    if body["format"] != FORMAT:
        raise CheckpointError(f"{path} has format {body['format']}, this version reads {FORMAT}")
    return Checkpoint(folder, body)


def write(
    folder: Path,
    step: int,
    parts: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    shared: list[dict[str, Any]],
) -> Checkpoint:
    """Write a checkpoint as `folder`, atomically: after a crash at any instant it is there whole or not there.

    Args:
        folder: where it is to stand; replaced if it exists.
        step: the agent step.
        parts: name -> tensors, a file each.
        state: plain JSON values.
        shared: entries of files written by `write_shared`, that this checkpoint needs too.

    Raises:
        OSError: no space or no permission; nothing is left behind.

    """
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.draft")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        files = {}
        for name, tensors in parts.items():
            # safetensors refuses views that share memory, and knows no device but the CPU's bytes
            data = save_tensors({key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()})
            files[f"{name}.safetensors"] = _write_bytes(draft / f"{name}.safetensors", data)
        files[STATE] = _write_bytes(draft / STATE, _encode(state))
        body = {"format": FORMAT, "step": step, "files": files, "shared": shared}
        _write_bytes(draft / MANIFEST, _encode({"body": body, "sha256": _digest(_encode(body))}))
        _sync_folder(draft)
        if folder.exists():
            shutil.rmtree(folder)
        draft.rename(folder)
        _sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return Checkpoint(folder, body)


def write_shared(path: Path, data: bytes) -> dict[str, Any]:
    """Write a file that several checkpoints share; return the entry by which they refer to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    try:
        entry = _write_bytes(draft, data)
        draft.rename(path)
        _sync_folder(path.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return {"name": f"{path.parent.name}/{path.name}", **entry}


def candidates(folder: Path) -> Iterator[Path]:
    """Yield the folders of regular checkpoints under `folder`, the newest first."""
    if folder.is_dir():
        yield from sorted((path for path in folder.iterdir() if path.name.startswith("step_")), reverse=True)


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest checkpoint under `folder` whose every byte is right, and why each newer one was refused."""
    refused: list[str] = []
    for path in candidates(folder):
        try:
            checkpoint = read(path)
            checkpoint.verify()
        except CheckpointError as error:
            refused.append(str(error))
        else:
            return checkpoint, refused
    return None, refused


def prune(folder: Path, keep: int) -> None:
    """Remove all but the `keep` newest regular checkpoints, abandoned drafts, and shared files that nobody needs."""
    for path in list(candidates(folder))[keep:]:
        shutil.rmtree(path, ignore_errors=True)
    for draft in folder.glob(".*.draft"):
        shutil.rmtree(draft, ignore_errors=True)
    needed: set[Path] = set()
    owners: set[Path] = set()
    for path in candidates(folder):
        try:
            names = [folder.parent / entry["name"] for entry in read(path).manifest["shared"]]
        except CheckpointError:
            continue
        needed.update(names)
        owners.update(name.parent for name in names)
    for owner in owners:
        for file in owner.iterdir():
            if file not in needed:
                file.unlink(missing_ok=True)


def finite(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether no number in `tensors` is NaN or infinite."""
    return all(bool(torch.isfinite(value).all()) for value in tensors.values() if value.is_floating_point())


def _encode(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write_bytes(path: Path, data: bytes) -> dict[str, Any]:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return {"size": len(data), "sha256": _digest(data)}


def _checked_bytes(path: Path, entry: Mapping[str, Any]) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) != entry["size"]:
        raise CheckpointError(f"{path} is cut: it has {len(data)} bytes instead of {entry['size']}")
    if _digest(data) != entry["sha256"]:
        raise CheckpointError(f"{path} is damaged: its contents do not match their checksum")
    return data


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
