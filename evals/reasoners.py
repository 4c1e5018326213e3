"""Who is measured: the runbook, a model alone, the model with the runbook behind it (as in production), or a baseline.

What a model is, and where, comes from the settings, as for `selfheal serve`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from pydantic import SecretStr

from agents.reasoning.budget import Budget, BudgetLimits
from agents.reasoning.fallback import FallbackReasoner
from agents.reasoning.ledger import MemoryLedger
from agents.reasoning.llm import LlmReasoner
from agents.reasoning.llm import LlmSettings as ModelSettings
from evals.baselines import BASELINES, AlwaysUnknown
from evals.case import Case
from graph.ports import HealSettings, InquiryLimits, Reasoner
from server.settings import CONFIG_VARIABLE, DEFAULT_CONFIG, PREFIX, LlmSettings, Settings, load
from server.wiring import REASONER_TIMEOUTS, make_reasoner

Name = Literal["runbook", "llm", "fallback"]
NAMES: tuple[Name, ...] = get_args(Name)
DEFAULT_MODEL = "gpt-4.1"
KEY = "OPENAI_API_KEY"


class NoModel(Exception):
    """A model is to be measured and none is set; the message says how to set one."""


@dataclass(frozen=True)
class Choice:
    """Who is measured. `llm` is the model's settings where there is one."""

    name: str
    """`runbook`, `llm`, `fallback`, or a baseline's."""
    llm: LlmSettings | None = None
    scripted: str = ""
    """The part a scripted server plays; empty for a real model. Such a server has an address a case."""
    concurrency: int = 8
    """Cases a model is asked about at the same time."""

    @property
    def asks_a_model(self) -> bool:
        return self.llm is not None

    @property
    def measures_a_model(self) -> bool:
        return self.asks_a_model and not self.scripted

    @property
    def label(self) -> str:
        """As results name it: `runbook`, `llm:<model>` …"""
        return f"{self.name}:{self.llm.model}" if self.llm else self.name

    def of(self, case: Case) -> Choice:
        """The choice for this case: a scripted server has its answers by the case's address."""
        if not self.scripted or self.llm is None:
            return self
        return replace(self, llm=self.llm.model_copy(update={"base_url": f"{self.llm.base_url}/{case.id}/v1"}))


def choose(name: str, config: Path | None = None, model: str | None = None, base_url: str | None = None) -> Choice:
    """Who is meant. A model is the `llm` block of the settings, or the key or `base_url` given; `model` and `base_url`
    overrule the block. Raises NoModel, ConfigError, and ValueError for a name that nobody has."""
    if name == "runbook" or name in BASELINES:
        return Choice(name)
    if name not in NAMES:
        raise ValueError(f"no reasoner is named {name!r}; there are: {', '.join((*NAMES, *BASELINES))}")
    known, key = _from_settings(config), os.environ.get(KEY)
    if known is None:
        if base_url is None and not key:
            raise NoModel(
                f"--reasoner {name} asks a model, and none is set: put an `llm` block into the settings, set {KEY}, or "
                "give --base-url of a server that speaks OpenAI's chat completions"
            )
        known = LlmSettings(model=model or DEFAULT_MODEL)
    if key and known.api_key is None:
        known = known.model_copy(update={"api_key": SecretStr(key)})
    given = {name: value for name, value in (("model", model), ("base_url", base_url)) if value is not None}
    chosen = LlmSettings.model_validate(known.model_dump() | given)
    if chosen.base_url is None and chosen.api_key is None:
        raise NoModel(f"--reasoner {name} asks {chosen.model!r} at OpenAI, which wants a key: set {KEY}")
    return Choice(name, chosen)


def make(choice: Choice, ledger: MemoryLedger) -> Reasoner:
    """The reasoner, which puts its calls on record in `ledger`. Raises ConfigError."""
    if choice.name in BASELINES:
        return BASELINES[choice.name]()
    if choice.llm is None:
        return make_reasoner(None)
    # the day's budget is production's: a measurement must not end in the middle
    settings = choice.llm.model_copy(
        update={"budget": choice.llm.budget.model_copy(update={"day_calls": None, "day_tokens": None})}
    )
    if choice.name == "fallback":
        return make_reasoner(settings, ledger)
    model = ModelSettings(**settings.model_dump(exclude={"when", "investigate", "budget"}))
    alone = LlmReasoner(model, Budget(BudgetLimits(**settings.budget.model_dump()), ledger))
    return FallbackReasoner(alone, AlwaysUnknown(), deadline_seconds=REASONER_TIMEOUTS * settings.timeout_seconds)


def heal_settings(choice: Choice) -> HealSettings:
    """As in production: only a model asks for more than is gathered."""
    if choice.llm is None:
        return HealSettings(inquiries=InquiryLimits(calls=0))
    return HealSettings(inquiries=InquiryLimits(**choice.llm.investigate.model_dump()))


def _from_settings(config: Path | None) -> LlmSettings | None:
    """The `llm` block, where there are settings; without a file, what the variables make of it."""
    if config or os.environ.get(CONFIG_VARIABLE) or Path(DEFAULT_CONFIG).exists():
        return load(config).llm
    if any(name.upper().startswith(f"{PREFIX}LLM") for name in os.environ):
        return Settings().llm
    return None
