"""Checkpoints in SQLite by a thread of their own: what LangGraph asks of a saver, on a real file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph._internal import _constants
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from agents.checkpoints import NULL_TASK_ID, sqlite_checkpoints
from graph.journal import LeaseLost


class Counted(TypedDict, total=False):
    n: int
    said: str


def graph(saver: Any, ran: list[str]) -> Any:
    def one(state: Counted) -> Counted:
        ran.append("one")
        return {"n": state.get("n", 0) + 1}

    def asks(state: Counted) -> Counted:
        ran.append("asks")
        return {"said": interrupt({"question": "go on?"})}

    def last(state: Counted) -> Counted:
        ran.append("last")
        return {"n": state["n"] + 1}

    made = StateGraph(Counted)
    for node in (one, asks, last):
        made.add_node(node.__name__, node)
    made.add_edge(START, "one").add_edge("one", "asks").add_edge("asks", "last").add_edge("last", END)
    return made.compile(checkpointer=saver)


def of(thread: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread}}


async def test_a_thread_that_asked_is_answered_by_another_process_and_runs_no_node_twice(tmp_path: Path) -> None:
    ran: list[str] = []
    async with sqlite_checkpoints(tmp_path / "checkpoints.db") as kept:
        await graph(kept.saver, ran).ainvoke({"n": 1}, of("a"), durability="sync")
    async with sqlite_checkpoints(tmp_path / "checkpoints.db") as kept:
        resumed = graph(kept.saver, ran)
        snapshot = await resumed.aget_state(of("a"))
        assert snapshot.next == ("asks",) and snapshot.interrupts[0].value == {"question": "go on?"}
        end = await resumed.ainvoke(Command(resume="yes", update={"n": 10}), of("a"), durability="sync")
    assert end == {"n": 11, "said": "yes"}
    assert ran == ["one", "asks", "asks", "last"]


async def test_history_is_listed_pruned_to_the_latest_and_forgotten(tmp_path: Path) -> None:
    async with sqlite_checkpoints(tmp_path / "checkpoints.db") as kept:
        made = graph(kept.saver, [])
        for thread in ("a", "b"):
            await made.ainvoke({"n": 1}, of(thread), durability="sync")
        listed = [item async for item in kept.saver.alist(of("a"))]
        assert [item.metadata["step"] for item in listed] == [1, 0, -1]
        latest = [item async for item in kept.saver.alist(of("a"), limit=1)]
        assert [item.checkpoint["id"] for item in latest] == [listed[0].checkpoint["id"]]
        await kept.pruner.prune_thread("a")
        left = [item async for item in kept.saver.alist(of("a"))]
        assert [item.checkpoint["id"] for item in left] == [listed[0].checkpoint["id"]]
        assert (await made.aget_state(of("a"))).interrupts
        await kept.saver.adelete_thread("a")
        assert await kept.saver.aget_tuple(of("a")) is None
        assert (await made.aget_state(of("b"))).next == ("asks",)


async def test_nothing_is_written_for_who_has_lost_the_lease(tmp_path: Path) -> None:
    lost = False

    def fence(incident_id: str, holder: str) -> None:
        if lost:
            raise LeaseLost(f"{incident_id} is not {holder}'s")

    async with sqlite_checkpoints(tmp_path / "checkpoints.db", fence) as kept:
        made = graph(kept.saver, [])
        await made.ainvoke({"n": 1}, of("a"), durability="sync")
        before = await kept.saver.aget_tuple(of("a"))
        lost = True
        with pytest.raises(LeaseLost):
            await made.ainvoke(Command(resume="yes"), of("a"), durability="sync")
        assert await kept.saver.aget_tuple(of("a")) == before


async def test_a_node_that_failed_is_run_again_and_those_before_it_are_not(tmp_path: Path) -> None:
    ran: list[str] = []

    def first(state: Counted) -> Counted:
        ran.append("first")
        return {"n": 1}

    def second(state: Counted) -> Counted:
        ran.append("second")
        if len(ran) == 2:
            raise RuntimeError("the first time")
        return {"n": state["n"] + 1}

    async with sqlite_checkpoints(tmp_path / "checkpoints.db") as kept:
        made = StateGraph(Counted)
        made.add_node("first", first).add_node("second", second)
        made.add_edge(START, "first").add_edge("first", "second")
        compiled = made.compile(checkpointer=kept.saver)
        with pytest.raises(RuntimeError, match="the first time"):
            await compiled.ainvoke({}, of("a"), durability="sync")
        assert await compiled.ainvoke(None, of("a"), durability="sync") == {"n": 2}
    assert ran == ["first", "second", "second"]


async def test_what_comes_from_no_node_is_known_by_langgraphs_own_name_for_it() -> None:
    assert NULL_TASK_ID == _constants.NULL_TASK_ID
