"""The goals, as data: what each figure is, its bound, and what it says. They are not moved to what is reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Bound = Literal["at least", "at most", "exactly"]


@dataclass(frozen=True)
class Goal:
    """One figure and what it must come to."""

    name: str
    bound: Bound
    value: float
    says: str

    def reached(self, figure: float) -> bool:
        """Whether the figure is as good as was wanted."""
        if self.bound == "exactly":
            return figure == self.value
        return figure >= self.value if self.bound == "at least" else figure <= self.value

    @property
    def shown(self) -> str:
        """`≥ 0.6`, `≤ 8`, `= 0`."""
        return f"{ {'at least': '≥', 'at most': '≤', 'exactly': '='}[self.bound] } {self.value:g}"


GOALS: tuple[Goal, ...] = (
    Goal("accept_ratio_c16", "at least", 0.60, "posts of 1 alert a second, 16 at once, as a share of the ceiling's"),
    Goal("accept_ratio_c64", "at least", 0.60, "the same, 64 at once"),
    Goal(
        "accept50_ratio_c16", "at least", 0.40, "posts of 50 alerts a second, 16 at once, as a share of the ceiling's"
    ),
    Goal("accept_p99_over_ceiling_c16", "at most", 5, "p99 of posts of 1 alert, over the ceiling's"),
    Goal("storm_incidents", "exactly", 500, "incidents that 10,000 posts of 500 distinct alerts give"),
    Goal("storm_total", "exactly", 10_000, "alerts counted in these incidents"),
    Goal("storm_seconds", "at most", 8, "until the last of the 10,000 is answered"),
    Goal("probe_max_ms", "at most", 50, "slowest answer of /healthz meanwhile"),
    Goal("burst_dropped", "exactly", 0, "of 3,000 distinct alerts in 60 posts of 50: missing though answered 2xx"),
    Goal("kill9_lost", "exactly", 0, "alerts answered 202 and missing, over SIGKILLs under load"),
    Goal("kill9_doubled", "exactly", 0, "side effects in the target's own log more than once, over these kills"),
    Goal("first_action_ms_p50_local", "at most", 50, "post to first action: known cause, no model, 8 queries, local"),
    Goal("first_action_ms_p50_ssh", "at most", 150, "the same over SSH"),
    Goal("overhead_ms_p50", "at most", 40, "a heal's time less its tools' and models' spans, commits durable"),
    Goal("overhead_ms_p99", "at most", 100, "the same, p99"),
    Goal("heals_per_s_1", "at least", 30, "whole heals a second with no-op tools, one worker"),
    Goal("llm_inflight_share", "at least", 0.9, "heals of three 2 s model calls, 64 in flight: share of the ideal"),
    Goal("scale_2", "at least", 1.9, "two workers' heals over one's, PostgreSQL, 2 s model"),
    Goal("scale_4", "at least", 3.6, "four workers' heals over one's, PostgreSQL, 2 s model"),
    Goal("double_claims", "exactly", 0, "legs that two workers ran"),
    Goal("cold_start_s", "at most", 1.5, "from the start of the process to its first 202"),
    Goal("rss_idle_mib", "at most", 160, "resident memory at rest, after one heal"),
    Goal("rss_1000_queued_delta_mib", "at most", 10, "more of it with 1,000 incidents queued"),
    Goal("rss_1000_waiting_delta_mib", "at most", 2, "more of it with 1,000 plans waiting for a human"),
    Goal("disk_per_waiting_kib", "at most", 64, "disk a waiting plan takes, evidence aside"),
    Goal("history_accept_ratio", "at least", 0.8, "accept rate with 100k closed incidents over that with 1k"),
    Goal("history_overhead_ratio", "at most", 1.2, "a heal's overhead with 100k closed incidents over that with 1k"),
    Goal("lookup_p99_ms", "at most", 1, "finding the open incident of a resource among 100k closed ones, p99"),
)
