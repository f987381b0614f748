"""Conversion: whole or not at all, once, and never anything that could run code."""

import json
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file

from inference.engine import Engine, EngineConfig, ModelRefused
from inference.engine.checkpoint import Checkpoint, CheckpointWriter, read_manifest
from inference.engine.convert import convert_weights, source_hash
from inference.engine.quantize import fit_int4
from tests.inference.engine.support import TINY, make_tiny_model


@pytest.fixture
def source(qwen_source, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(qwen_source, tmp_path / "source")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_progress_counts_to_the_end(source, tmp_path):
    seen: list[tuple[int, int]] = []
    convert_weights(source, tmp_path / "out", quantization="int4", progress=lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_manifest_names_source_quantization_and_kernel(source, tmp_path):
    manifest = read_manifest(convert_weights(source, tmp_path / "out", quantization="int4"))
    assert manifest.source_sha256 == source_hash(source)
    assert (manifest.quantization, manifest.kernel) == ("int4", "int4pack-cpu-g32")
    assert manifest.architecture == "Qwen2ForCausalLM"


def test_the_same_conversion_is_not_done_twice(source, tmp_path):
    target = convert_weights(source, tmp_path / "out", quantization="f32")
    before = (target / "ends.safetensors").stat().st_mtime_ns
    convert_weights(source, target, quantization="f32", progress=lambda *at: pytest.fail("converted again"))
    assert (target / "ends.safetensors").stat().st_mtime_ns == before


def test_a_changed_source_is_converted_again(source, tmp_path):
    target = convert_weights(source, tmp_path / "out", quantization="f32")
    before = Checkpoint(target).get("norm").clone()
    make_tiny_model(source, "Qwen2ForCausalLM", rms_norm_eps=1e-5)
    tensors = load_file(source / "model.safetensors")
    tensors["model.norm.weight"] += 1
    from safetensors.torch import save_file

    save_file(tensors, source / "model.safetensors")
    convert_weights(source, target, quantization="f32")
    assert not torch.equal(Checkpoint(target).get("norm"), before)
    assert names(tmp_path) == ["out", "source"]


def test_an_interrupted_conversion_leaves_nothing(source, tmp_path):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_weights(source, tmp_path / "out", quantization="f32", progress=interrupt)
    assert names(tmp_path) == ["source"]


def test_a_killed_conversion_is_never_used(source, tmp_path):
    """What kill -9 leaves behind has another name and no manifest."""
    manifest = read_manifest(convert_weights(source, tmp_path / "whole", quantization="f32"))
    writer = CheckpointWriter(tmp_path / "out", manifest, {})
    assert not (tmp_path / "out").exists()
    with pytest.raises(ModelRefused, match="no converted model"):
        Engine.load(writer.folder, EngineConfig(quantization="f32"))


@pytest.mark.parametrize(
    "file", ["ends.safetensors", "layer-001.safetensors", "manifest.json", "config.json"]
)
def test_a_damaged_folder_is_refused_not_served(source, tmp_path, file):
    target = convert_weights(source, tmp_path / "out", quantization="int4")
    content = (target / file).read_bytes()
    (target / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelRefused):
        Engine.load(target, EngineConfig())


def test_a_folder_of_another_quantization_is_refused(source, tmp_path):
    target = convert_weights(source, tmp_path / "out", quantization="bf16")
    with pytest.raises(ModelRefused, match="quantization='int4'"):
        Engine.load(target, EngineConfig(quantization="int4"))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.pt", "state.pkl"])
def test_a_folder_with_a_pickle_is_refused(source, tmp_path, name):
    (source / name).write_bytes(pickle.dumps({}))
    with pytest.raises(ModelRefused, match="pickle"):
        convert_weights(source, tmp_path / "out", quantization="f32")


def test_remote_code_is_refused(source, tmp_path):
    config = json.loads((source / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling.Evil"}
    (source / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelRefused, match="auto_map"):
        convert_weights(source, tmp_path / "out", quantization="f32")


def test_a_link_out_of_the_folder_is_refused(source, tmp_path):
    secret = tmp_path / "secret.json"
    secret.write_text("{}")
    (source / "tokenizer.json").symlink_to(secret)
    with pytest.raises(ModelRefused, match="links out"):
        convert_weights(source, tmp_path / "out", quantization="f32")


def test_a_folder_without_safetensors_is_refused(source, tmp_path):
    (source / "model.safetensors").unlink()
    with pytest.raises(ModelRefused, match="holds no"):
        convert_weights(source, tmp_path / "out", quantization="f32")


def test_a_missing_tensor_is_named(source, tmp_path):
    from safetensors.torch import save_file

    tensors = load_file(source / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, source / "model.safetensors")
    with pytest.raises(ModelRefused, match=r"layers\.1\.mlp\.up_proj"):
        convert_weights(source, tmp_path / "out", quantization="f32")
    assert names(tmp_path) == ["source"]


def test_a_source_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ModelRefused):
        convert_weights(tmp_path / "nothing", tmp_path / "out", quantization="f32")


def test_fitting_beats_plain_rounding():
    """Mean squared error against min-max rounding, on normal weights: at least 10 % less."""
    torch.manual_seed(1)
    weight = torch.randn(64, 512)
    affine = fit_int4(weight)
    groups = weight.view(64, -1, 32)
    low, high = groups.amin(2, keepdim=True), groups.amax(2, keepdim=True)
    step = (high - low) / 15
    plain = ((groups - low) / step).round() * step + low
    grid = affine.codes.view(64, -1, 32).float() - 8
    fitted = grid * affine.scale.float().unsqueeze(2) + affine.zero.float().unsqueeze(2)
    assert (fitted - groups).square().mean() < 0.9 * (plain - groups).square().mean()


@pytest.mark.parametrize("value", [0.0, 0.25, -3.0])
def test_constant_groups_are_exact(value):
    affine = fit_int4(torch.full((16, 32), value))
    grid = affine.codes.float() - 8
    assert torch.equal(grid * affine.scale.float() + affine.zero.float(), torch.full((16, 32), value))


def test_sizes_that_int4_cannot_pack_are_refused(tmp_path):
    source = make_tiny_model(tmp_path / "odd", "Qwen2ForCausalLM", intermediate_size=TINY["hidden_size"] + 8)
    with pytest.raises(ModelRefused, match="Choose bf16"):
        convert_weights(source, tmp_path / "out", quantization="int4")
