"""The governor with made-up times: it follows the faster choice and does not chase noise."""

from inference.engine.threads import FIRST_PROBE, LAST_PROBE, ThreadGovernor


def drive(governor: ThreadGovernor, num_steps: int, seconds: dict[int, float]) -> list[int]:
    """Steps that take `seconds[threads]`; which choice each one used."""
    used = []
    for _ in range(num_steps):
        threads = governor.choose("decode")
        governor.learn("decode", threads, seconds[threads])
        used.append(threads)
    return used


def test_all_threads_are_kept_on_an_idle_machine():
    governor = ThreadGovernor(2)
    used = drive(governor, 400, {2: 0.027, 1: 0.041})
    assert governor.current == 2
    assert used.count(1) <= 400 / LAST_PROBE + 4


def test_one_thread_takes_over_as_soon_as_a_core_is_taken():
    governor = ThreadGovernor(2)
    drive(governor, 10, {2: 0.027, 1: 0.041})
    used = drive(governor, 20, {2: 0.160, 1: 0.042})
    assert used[:3] == [2, 1, 1]
    assert used[3:].count(2) == 1  # the next probe


def test_all_threads_come_back_when_the_core_is_free_again():
    governor = ThreadGovernor(2)
    drive(governor, 10, {2: 0.027, 1: 0.041})
    drive(governor, 20, {2: 0.160, 1: 0.042})
    drive(governor, LAST_PROBE + 4, {2: 0.027, 1: 0.041})
    assert governor.current == 2


def test_one_lucky_probe_changes_nothing():
    governor = ThreadGovernor(2)
    drive(governor, FIRST_PROBE, {2: 0.030, 1: 0.010})
    assert drive(governor, 2, {2: 0.030, 1: 0.010})[0] == 1
    other = ThreadGovernor(2)
    drive(other, FIRST_PROBE, {2: 0.030, 1: 0.040})
    other.learn("decode", other.choose("decode"), 0.010)
    other.learn("decode", other.choose("decode"), 0.040)
    assert other.current == 2


def test_steps_of_another_kind_are_not_compared():
    governor = ThreadGovernor(2)
    drive(governor, FIRST_PROBE, {2: 0.027, 1: 0.041})
    assert governor.choose("prefill") == 2
    assert governor.choose("decode") == 1


def test_a_single_thread_leaves_nothing_to_choose():
    governor = ThreadGovernor(1)
    assert set(drive(governor, 100, {1: 0.04})) == {1}
