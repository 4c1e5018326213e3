"""The lab's load and its hosts' CPUs: a rate that is kept, and numbers as the kernel writes them."""

from __future__ import annotations

import threading
import time

import pytest

from evals.lab.cgroups import cpu_numbers
from evals.lab.load import Turns


@pytest.mark.parametrize(
    ("text", "numbers"), [("0-1\n", [0, 1]), ("0-1,4", [0, 1, 4]), ("3", [3]), ("0,2-3", [0, 2, 3])]
)
def test_cpu_lists_are_read_as_the_kernel_writes_them(text: str, numbers: list[int]) -> None:
    assert cpu_numbers(text) == numbers


def test_turns_are_handed_out_no_faster_than_the_rate_however_many_ask() -> None:
    turns = Turns(50, time.monotonic() + 0.5, threading.Event())
    taken: list[int] = []

    def take() -> None:
        taken.extend(1 for _ in turns)

    clients = [threading.Thread(target=take) for _ in range(6)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(10)
    assert 0 < len(taken) <= 26


def test_a_load_that_is_over_hands_out_no_more_turns() -> None:
    over = threading.Event()
    over.set()
    assert list(Turns(50, time.monotonic() + 60, over)) == []
