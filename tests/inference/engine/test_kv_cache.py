"""Exact bookkeeping of blocks: ids, users, order of eviction, and what a prefix may match."""

import pytest
import torch

from inference.engine.config import ModelConfig
from inference.engine.kv_cache import BlockPool, KVCache, root_digest
from tests.inference.engine.support import TINY


def seal_all(pool: BlockPool, blocks: list[int], tokens: list[int], salt: str = "") -> None:
    parent = root_digest(salt)
    for index, block in enumerate(blocks):
        parent = pool.seal(block, parent, tokens[index * pool.block_size : (index + 1) * pool.block_size])


@pytest.fixture
def pool() -> BlockPool:
    return BlockPool(num_blocks=6, block_size=2)


def test_blocks_are_handed_out_in_order(pool):
    assert pool.allocate(2) == [0, 1]
    assert pool.allocate(1) == [2]
    assert pool.num_free == 3


def test_blank_blocks_are_taken_before_sealed_ones(pool):
    sealed, blank = pool.allocate(2), pool.allocate(1)
    seal_all(pool, sealed, [1, 2, 3, 4])
    pool.release(sealed + blank)
    assert pool.allocate(4) == [2, 3, 4, 5]
    assert pool.num_evicted == 0


def test_eviction_takes_the_oldest_sequence_first_and_its_tail_before_its_head(pool):
    old, new = pool.allocate(3), pool.allocate(3)
    seal_all(pool, old, [1, 2, 3, 4, 5, 6])
    seal_all(pool, new, [9, 9, 8, 8, 7, 7])
    pool.release(old)
    pool.release(new)
    assert pool.allocate(4) == [2, 1, 0, 5]
    assert pool.match("", [9, 9, 8, 8, 7, 7, 0]) == [3, 4]


def test_a_hit_makes_a_prefix_young_again(pool):
    old, new = pool.allocate(3), pool.allocate(3)
    seal_all(pool, old, [1, 2, 3, 4, 5, 6])
    seal_all(pool, new, [9, 9, 8, 8, 7, 7])
    pool.release(old)
    pool.release(new)
    hits = pool.match("", [1, 2, 3, 4, 5, 6, 0])
    pool.share(hits)
    pool.release(hits)
    assert pool.allocate(3) == [5, 4, 3]


def test_a_shared_block_is_free_only_after_its_last_user(pool):
    blocks = pool.allocate(2)
    seal_all(pool, blocks, [1, 2, 3, 4])
    pool.share(blocks)
    pool.release(blocks)
    assert (pool.num_free, pool.num_users[:2]) == (4, [1, 1])
    pool.release(blocks)
    assert (pool.num_free, pool.num_users[:2]) == (6, [0, 0])


def test_releasing_twice_is_a_defect(pool):
    blocks = pool.allocate(1)
    pool.release(blocks)
    with pytest.raises(AssertionError, match="released twice"):
        pool.release(blocks)


def test_a_match_leaves_a_token_to_compute(pool):
    seal_all(pool, pool.allocate(2), [1, 2, 3, 4])
    assert pool.match("", [1, 2, 3, 4]) == [0]
    assert pool.match("", [1, 2, 3, 4, 5]) == [0, 1]


def test_a_match_ends_at_the_first_other_token(pool):
    seal_all(pool, pool.allocate(3), [1, 2, 3, 4, 5, 6])
    assert pool.match("", [1, 2, 3, 9, 5, 6, 7]) == [0]


def test_the_same_tokens_after_another_beginning_do_not_match(pool):
    seal_all(pool, pool.allocate(2), [1, 2, 3, 4])
    assert pool.match("", [3, 4, 3, 4, 5]) == []


def test_tenants_do_not_share(pool):
    seal_all(pool, pool.allocate(2), [1, 2, 3, 4], salt="a")
    assert pool.match("b", [1, 2, 3, 4, 5]) == []
    assert pool.match("a", [1, 2, 3, 4, 5]) == [0, 1]


def test_tokens_are_checked_again_when_digests_collide(pool, monkeypatch):
    monkeypatch.setattr("inference.engine.kv_cache.chain_digest", lambda parent, chunk: b"same")
    seal_all(pool, pool.allocate(1), [1, 2])
    assert pool.match("", [1, 2, 0]) == [0]
    assert pool.match("", [7, 8, 0]) == []


def test_an_evicted_block_is_not_found(pool):
    blocks = pool.allocate(6)
    seal_all(pool, blocks, list(range(12)))
    pool.release(blocks)
    pool.allocate(6)
    assert pool.match("", list(range(13))) == []
    assert pool.num_sealed == 0


def test_the_first_holder_of_a_content_keeps_it(pool):
    first, second = pool.allocate(1), pool.allocate(1)
    seal_all(pool, first, [1, 2])
    seal_all(pool, second, [1, 2])
    pool.release(second)
    assert pool.match("", [1, 2, 3]) == first
    assert pool.num_sealed == 1


def test_gather_returns_what_was_written_block_by_block():
    config = ModelConfig.parse(TINY | {"architectures": ["Qwen2ForCausalLM"]})
    cache = KVCache(config, num_blocks=5, block_size=2, dtype=torch.float32, device="cpu")
    slots = torch.tensor([3 * 2, 3 * 2 + 1, 1 * 2])  # three tokens in blocks 3 and 1
    written = torch.randn(3, 4, config.head_dim)  # token, (2 keys, 2 values), D
    cache.layers[0].index_copy_(0, cache.write_rows(slots), written.reshape(-1, config.head_dim))
    found = cache.gather(0, cache.read_rows(torch.tensor([[3, 1]])), num_streams=1)
    assert found.shape == (2, 1, 2, 4, config.head_dim)
    tokens = found[:, 0, :, :3].permute(2, 0, 1, 3).reshape(3, 4, -1)
    assert torch.equal(tokens, written)
