"""GGUF files: the same model as its safetensors, and int4 blocks whose codes survive."""

import gguf
import numpy as np
import pytest
import torch
import transformers
from gguf.constants import GGML_QUANT_SIZES
from gguf.constants import GGMLQuantizationType as Kind

from inference.engine import Engine, EngineConfig, ModelRefused
from inference.engine.convert import convert_weights
from inference.engine.gguf import DECODERS, GgufSource
from inference.engine.linear import unpack_affine
from tests.inference.engine.gguf_files import write_gguf
from tests.inference.engine.support import generate, oracle_tokens, prompt_of


@pytest.fixture
def oracle(tiny_source):
    return transformers.AutoModelForCausalLM.from_pretrained(tiny_source, dtype=torch.float32).eval()


def test_a_gguf_file_gives_transformers_tokens(oracle, tmp_path):
    file = write_gguf(oracle, tmp_path / "model.gguf")
    folder = convert_weights(file, tmp_path / "f32", quantization="f32")
    config = EngineConfig(quantization="f32", max_context=256, kv_tokens=1024)
    prompt = prompt_of(50)
    assert generate(Engine.load(folder, config), prompt) == oracle_tokens(oracle, prompt, 12)


@pytest.mark.parametrize("kind", [Kind.Q4_0, Kind.Q4_1, Kind.Q5_0, Kind.Q8_0, Kind.F16])
def test_stored_types_are_read_as_the_gguf_package_reads_them(oracle, tmp_path, kind):
    source = GgufSource(write_gguf(oracle, tmp_path / "model.gguf", kind))
    name = "model.layers.1.mlp.down_proj.weight"
    original = oracle.state_dict()[name].numpy()
    expected = gguf.quants.dequantize(gguf.quants.quantize(original, kind), kind)
    assert np.array_equal(source.dense(name).numpy(), expected)


@pytest.mark.parametrize("kind", list(DECODERS), ids=lambda kind: kind.name)
def test_affine_blocks_keep_their_codes(kind):
    """Random blocks: our codes times scale plus zero are what the gguf package computes."""
    _, block_bytes = GGML_QUANT_SIZES[kind]
    rows = np.random.default_rng(1).integers(0, 256, (8, 2 * block_bytes), dtype=np.uint8)
    factors = rows.reshape(-1, block_bytes)[:, : 2 if kind == Kind.Q4_0 else 4]
    factors[:] = np.full(factors.shape[1] // 2, 0.01, np.float16).view(np.uint8)
    codes, scale, minimum = DECODERS[kind](rows)
    mine = codes.reshape(-1, 32) * scale.reshape(-1, 1) + minimum.reshape(-1, 1)
    expected = gguf.quants.dequantize(rows, kind).reshape(-1, 32)
    assert codes.max() <= 15
    assert np.allclose(mine, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [Kind.Q4_0, Kind.Q4_1])
def test_transcoding_loses_only_the_rounding_of_scales(oracle, tmp_path, kind):
    source = GgufSource(write_gguf(oracle, tmp_path / "model.gguf", kind))
    name = "model.layers.0.self_attn.q_proj.weight"
    affine = source.affine(name)
    mine, stored = unpack_affine(affine.codes, affine.packed_scales()), source.dense(name)
    assert (mine - stored).abs().max() <= stored.abs().max() * 2**-7


def test_other_types_have_no_codes_to_keep(oracle, tmp_path):
    source = GgufSource(write_gguf(oracle, tmp_path / "model.gguf", Kind.Q5_0))
    assert source.affine("model.layers.0.self_attn.q_proj.weight") is None


@pytest.mark.parametrize("size", [0, 3, 500, 40_000])
def test_a_file_cut_short_is_refused(oracle, tmp_path, size):
    file = write_gguf(oracle, tmp_path / "model.gguf")
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(ModelRefused):
        convert_weights(file, tmp_path / "out", quantization="f32")
    assert not (tmp_path / "out").exists()


def test_an_unknown_architecture_is_refused(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(ModelRefused, match="mamba"):
        GgufSource(tmp_path / "model.gguf")
