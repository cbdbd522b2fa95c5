from collections.abc import Callable

from qwenchat.engine.local.cpu.thread_tuner import TRIAL, ThreadTuner


def run(pace: ThreadTuner, seconds: Callable[[int], float], pieces: int) -> list[int]:
    """Do pieces that take `seconds(threads)` and tell with how many threads each was done."""
    chosen = []
    for _ in range(pieces):
        chosen.append(pace.choose())
        pace.record(seconds(chosen[-1]), 1)
    return chosen


def test_all_threads_are_used_while_they_are_fastest() -> None:
    chosen = run(ThreadTuner(4), lambda threads: 1 / threads, 2000)
    assert chosen[0] == 4
    assert chosen.count(4) / len(chosen) > 0.97


def test_fewer_threads_are_used_while_another_program_is_in_the_way_and_all_again_when_it_is_gone() -> None:
    pace = ThreadTuner(2)
    run(pace, lambda threads: 1 / threads, 100)
    busy = run(pace, lambda threads: 1.0 if threads == 1 else 4.0, 400)
    assert busy[-100:].count(1) > 90
    quiet = run(pace, lambda threads: 1 / threads, 1200)
    assert quiet[-100:].count(2) > 90


def test_one_core_has_nothing_to_try() -> None:
    assert set(run(ThreadTuner(1), lambda threads: 1.0, 200)) == {1}


def test_a_single_slow_piece_changes_nothing() -> None:
    pace = ThreadTuner(2)
    run(pace, lambda threads: 1 / threads, 18)
    pace.record(50.0, 1)
    assert run(pace, lambda threads: 1 / threads, 200).count(2) > 185


def test_what_is_not_measured_takes_no_part_in_trials() -> None:
    pace = ThreadTuner(2)
    while pace.choose() == 2:
        pace.record(1.0, 1)
    assert (pace.choose(), pace.fastest) == (1, 2)
    for _ in range(TRIAL):
        pace.record(0.5, 1)
    assert pace.fastest == 1


def test_less_work_is_not_taken_for_more_speed() -> None:
    """A new conversation after a long one."""
    pace = ThreadTuner(2)
    while pace.choose() == 2:
        pace.record(4.0, 8)
    for _ in range(TRIAL):
        pace.record(1.0, 1)
    assert pace.fastest == 2
