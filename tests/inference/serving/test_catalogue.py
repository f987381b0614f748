import re

import pytest

from inference.serving.catalogue import DEFAULT_MODEL, EMBEDDING_MODEL, ModelError, catalogue, find


def test_the_default_and_the_embedder_are_in_the_catalogue() -> None:
    assert find(DEFAULT_MODEL).kind == "chat"
    assert find(EMBEDDING_MODEL).kind == "embeddings"


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_every_entry_says_what_it_is_and_pins_its_bytes(name: str) -> None:
    model = find(name)
    assert model.licence == "Apache-2.0"
    assert model.languages and model.context_length > 0 and model.hub.count("/") == 1
    for file in model.files:
        pins = [file.sha256, *(wheel.sha256 for wheel in file.wheels)]
        assert all(re.fullmatch("[0-9a-f]{64}", pin) for pin in pins)
        assert file.wheels and file.size > 0


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(ModelError, match=r"did you mean 'smollm2-135m-instruct'"):
        find("smollm-135m-instruct")
    with pytest.raises(ModelError, match="known are"):
        find("zzz")
