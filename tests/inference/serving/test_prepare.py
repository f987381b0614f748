import json
import shutil
from pathlib import Path

import pytest
import torch

from inference.serving import prepare
from inference.serving.catalogue import ModelError
from inference.serving.folders import ModelFolder
from inference.serving.prepare import prepare_model
from inference.serving.text import ChatText
from tests.inference.serving.conftest import write_source


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "My Model")


def prepare_bf16(source: Path, models_dir: Path) -> ModelFolder:
    return prepare_model(str(source), models_dir, quantization="bf16")


def test_a_folder_of_safetensors_becomes_a_model_that_can_be_served(source: Path, tmp_path: Path) -> None:
    folder = prepare_bf16(source, tmp_path / "models")
    assert folder.path.parent == tmp_path / "models"
    assert (folder.kind, folder.quantization, folder.context_length) == ("chat", "bf16", 512)
    assert folder.name.startswith("my-model-")
    assert ChatText(folder.path).encode_chat([{"role": "user", "content": "hi"}])
    assert json.loads((folder.path / "manifest.json").read_text())["quantization"] == "bf16"


def test_the_second_call_converts_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare_bf16(source, tmp_path / "models")
    monkeypatch.delattr(prepare, "convert")
    assert prepare_bf16(source, tmp_path / "models") == first
    assert prepare_model(str(first.path), tmp_path / "elsewhere") == first


def test_changed_weights_are_another_model(source: Path, tmp_path: Path) -> None:
    first = prepare_bf16(source, tmp_path / "models")
    shutil.copy(source / "model.safetensors", source / "model-2.safetensors")
    (source / "model.safetensors").unlink()
    assert prepare_bf16(source, tmp_path / "models").path != first.path


def test_a_broken_conversion_leaves_nothing_that_looks_ready(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "write_tokenizer", fail)
        with pytest.raises(KeyboardInterrupt):
            prepare_bf16(source, tmp_path / "models")
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".lock"]
    assert prepare_bf16(source, tmp_path / "models").path.exists()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: torch.save({}, folder / "pytorch_model.bin"), "pickle"),
        (lambda folder: (folder / "extra.json").symlink_to("/etc/passwd"), "links out"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "safetensors"),
        (
            lambda folder: (folder / "config.json").write_text('{"auto_map": {"AutoModel": "evil.Model"}}'),
            "auto_map",
        ),
    ],
)
def test_what_is_unsafe_or_half_is_refused(source: Path, tmp_path: Path, spoil: object, words: str) -> None:
    spoil(source)  # type: ignore[operator]
    with pytest.raises(ModelError, match=words):
        prepare_bf16(source, tmp_path / "models")
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".lock"]


@pytest.mark.parametrize("name", ["no-such-model", "/no/such/path.gguf", "a/b/c"])
def test_a_model_that_nobody_knows_is_said_with_what_would_do(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="catalogue name, folder, GGUF file or hub id"):
        prepare_model(name, tmp_path)


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(b"x")
    with pytest.raises(ModelError, match="not a GGUF file"):
        prepare_model(str(path), tmp_path / "models")


def test_a_damaged_gguf_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(ModelError, match=r"broken\.gguf"):
        prepare_model(str(path), tmp_path / "models")


def test_an_unknown_quantization_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="QUANTIZATION='int3'"):
        prepare_model(str(source), tmp_path / "models", quantization="int3")


def test_auto_is_what_the_cpu_serves_best(source: Path, tmp_path: Path) -> None:
    assert prepare_model(str(source), tmp_path / "models", quantization="auto").quantization == "int4"


def test_the_command_ends_with_one_line_of_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_model: ModelFolder
) -> None:
    status = prepare.main([str(tiny_model.path), "--models-dir", str(tiny_model.path.parent), "--json"])
    result = json.loads(capsys.readouterr().out)
    assert (status, result["path"]) == (0, str(tiny_model.path))


def test_the_command_reports_a_failure_in_one_line(
    tiny_model: ModelFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    status = prepare.main(["no-such-model", "--models-dir", str(tiny_model.path.parent), "--json"])
    assert status == 1
    assert "no-such-model" in json.loads(capsys.readouterr().out)["error"]
