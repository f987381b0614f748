"""Choosing tokens: exact cases by hand, distributions by a test with a stated rate of false alarms."""

import math

import torch

from inference.engine.sampler import NOT_FINITE, sample
from inference.engine.sequence import Sequence
from tests.inference.engine.support import ask, generate, prompt_of, run, tokens_of

PROBS = torch.tensor([0.5, 0.3, 0.15, 0.05])


def sequence(tokens=(0,), **sampling) -> Sequence:
    return Sequence.begin(ask("a", list(tokens), **sampling), 10)


def counts(num_draws: int, **sampling) -> torch.Tensor:
    one = sequence(temperature=1.0, seed=3, **sampling)
    drawn = [sample(PROBS.log()[None].clone(), [one])[0] for _ in range(num_draws)]
    return torch.bincount(torch.tensor(drawn), minlength=4)


def test_greedy_takes_the_best_token():
    assert sample(torch.tensor([[0.0, 2.0, 1.0]]), [sequence()]) == [1]


def test_draws_follow_the_probabilities():
    """Chi-square with 3 degrees of freedom: above 16.27 once in 1,000; the seed makes it fixed."""
    found, expected = counts(4000), PROBS * 4000
    assert ((found - expected) ** 2 / expected).sum() < 16.27


def test_top_p_keeps_the_fewest_tokens_that_reach_it():
    assert (counts(300, top_p=0.5) > 0).tolist() == [True, False, False, False]
    assert (counts(300, top_p=0.79) > 0).tolist() == [True, True, False, False]
    assert (counts(300, top_p=0.81) > 0).tolist() == [True, True, True, False]


def test_a_nucleus_wider_than_the_shortlist_is_complete():
    logits = torch.zeros(1, 5000)
    one = sequence(temperature=1.0, top_p=0.99, seed=1)
    drawn = {sample(logits.clone(), [one])[0] for _ in range(400)}
    assert max(drawn) > 2000 and len(drawn) > 350


def test_low_temperature_is_nearly_greedy():
    one = sequence(temperature=0.01, seed=1)
    assert {sample(PROBS.log()[None].clone(), [one])[0] for _ in range(50)} == {0}


def test_repetition_penalty_lowers_seen_tokens():
    """Seen 0: 3 / 2 = 1.5 falls below 2. Seen 1: -1 * 2 = -2 falls below -1.5."""
    assert sample(torch.tensor([[3.0, 2.0]]), [sequence([0], repetition_penalty=2.0)]) == [1]
    assert sample(torch.tensor([[-1.5, -1.0]]), [sequence([1], repetition_penalty=2.0)]) == [0]


def test_rows_are_penalised_by_their_own_tokens():
    rows = torch.tensor([[3.0, 2.0], [3.0, 2.0]])
    both = [sequence([0], repetition_penalty=2.0), sequence([1], repetition_penalty=2.0)]
    assert sample(rows, both) == [1, 0]


def test_a_row_that_is_not_finite_is_marked():
    rows = torch.tensor([[0.0, math.nan], [0.0, math.inf], [1.0, 0.0]])
    assert sample(rows, [sequence(), sequence(temperature=1.0), sequence()]) == [NOT_FINITE, NOT_FINITE, 0]


def test_a_seed_gives_the_same_answer_alone_and_in_a_batch(make_engine):
    prompt, sampling = prompt_of(20), {"temperature": 1.5, "seed": 11, "max_tokens": 20}
    alone = generate(make_engine(), prompt, **sampling)
    others = [ask(f"o{n}", prompt_of(9, seed=n), temperature=1.0, max_tokens=30) for n in range(4)]
    assert tokens_of(run(make_engine(), [*others, ask("a", prompt, **sampling)])["a"]) == alone


def test_another_seed_gives_another_answer(make_engine):
    prompt, engine = prompt_of(20), make_engine()
    answers = {tuple(generate(engine, prompt, temperature=1.5, seed=seed)) for seed in (1, 2, None, None)}
    assert len(answers) == 4


def test_a_preempted_sampled_answer_is_unchanged(make_engine):
    prompts = {f"r{n}": prompt_of(20, seed=n) for n in range(6)}
    sampling = {"temperature": 1.0, "seed": 5, "max_tokens": 40}
    alone = {name: generate(make_engine(), prompt, **sampling) for name, prompt in prompts.items()}
    engine = make_engine(kv_tokens=160)
    deltas = run(engine, [ask(name, prompt, **sampling) for name, prompt in prompts.items()])
    assert engine.stats()["num_preemptions"] > 0
    assert {name: tokens_of(found) for name, found in deltas.items()} == alone
