"""The settings of the model: which one, what it may ask, and what it may cost."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from server.section import Section, http_url


class Investigate(Section):
    """What a model may ask of read-only tools for one diagnosis; it is told these limits."""

    calls: int = Field(default=6, ge=0, le=50)
    tokens: int = Field(default=30_000, ge=0)
    """Of the model, while it looks."""
    seconds: float = Field(default=45.0, ge=0, le=600)
    """For all answers of tools together."""
    bytes_per_result: int = Field(default=1_500, ge=200, le=16_000)


class ModelBudget(Section):
    """What models may cost, by calls and tokens; null: no limit. Over it, the runbook reasoner takes over."""

    incident_calls: int | None = Field(default=24, ge=0)
    incident_tokens: int | None = Field(default=100_000, ge=0)
    day_calls: int | None = Field(default=1_000, ge=0)
    day_tokens: int | None = Field(default=4_000_000, ge=0)


class ModelPrice(Section):
    """In USD; without it the cost is not estimated."""

    input_per_million_tokens: float = Field(ge=0)
    output_per_million_tokens: float = Field(ge=0)


class LlmSettings(Section):
    """An OpenAI-compatible model. Without this block the runbook reasoner works alone."""

    model: str = Field(min_length=1)
    base_url: str | None = None
    when: Literal["always", "unknown_only"] = "always"
    """`unknown_only`: what the declared signatures settle is not asked."""
    structured_output: Literal["auto", "json_schema", "function_calling", "json"] = "auto"
    timeout_seconds: float = Field(default=30.0, gt=0, le=600)
    max_retries: int = Field(default=1, ge=0, le=5)
    temperature: float | None = 0.0
    max_output_tokens: int = Field(default=2000, ge=64)
    api_key: SecretStr | None = None
    """Better left to the variable OPENAI_API_KEY, which is taken where this is absent."""
    investigate: Investigate = Investigate()
    budget: ModelBudget = ModelBudget()
    price: ModelPrice | None = None

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, url: str | None) -> str | None:
        return None if url is None else http_url(url)
