"""What a claimed command on a host came to, in the words of results and probes."""

from __future__ import annotations

from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import ActionContext, place
from tools.actions.claims import Claim, claim_and_run, look_at_claim, marker_root, parse
from tools.clients.host import HostUnreachable
from tools.redaction import condense, redact

OUTPUT_CHARS = 4000
_CLIENT_MARGIN_SECONDS = 8.0
_TIMEOUT_STATUSES = (124, 137)


async def run_claimed(context: ActionContext, resource: Resource, key: str, command: str, seconds: int) -> ActionOutput:
    """Claim `key` on the host and run `command` there for `seconds` at most. Raises HostUnreachable."""
    line = claim_and_run(marker_root(resource, context.marker_root), key, command, seconds, context.memory)
    result = await context.hosts.run(resource, line, seconds + _CLIENT_MARGIN_SECONDS)
    claim = parse(result.stdout)
    if claim is None:
        said = told(f"{result.stdout}\n{result.stderr}")
        return ActionOutput("unknown", f"{place(resource)} did not tell how the command ended; it said: {said}")
    return _output_of(claim, resource, seconds)


def _output_of(claim: Claim, resource: Resource, seconds: int) -> ActionOutput:
    where, said = place(resource), told(claim.output)
    if claim.status == "ended" and claim.exit_status == 0:
        return ActionOutput("succeeded", said or "done, without a word")
    if claim.status == "ended":
        late = f", after {seconds} s were over" if claim.exit_status in _TIMEOUT_STATUSES else ""
        return ActionOutput("failed", f"exit status {claim.exit_status}{late}: {said}{_remedy(said)}")
    if claim.status == "taken":
        return ActionOutput("unknown", f"claimed on {where} before, by another worker or an earlier run: not run again")
    if claim.status == "impossible":
        return ActionOutput("failed", f"nothing was run: the claim could not be written on {where}: {said}")
    return ActionOutput("unknown", f"begun on {where}, but it left no exit status; its output: {said}")


def _remedy(said: str) -> str:
    if "sudo: a password is required" in said or "is not allowed to execute" in said:
        return " (allow this command without password in sudoers, or set ssh.sudo)"
    return ""


async def claim_of(context: ActionContext, resource: Resource, key: str) -> Claim:
    """What became of `key` on the host. Raises HostUnreachable, also where the host's answer makes no sense."""
    result = await context.hosts.run(
        resource, look_at_claim(marker_root(resource, context.marker_root), key, context.memory)
    )
    claim = parse(result.stdout)
    if claim is None:
        raise HostUnreachable(
            f"{place(resource)}: did not tell of the claim; it said: {told(result.stdout + result.stderr)}", "closed"
        )
    return claim


def probe_of_claim(claim: Claim, resource: Resource) -> Probe | None:
    """What the claim alone proves, or None for one that was begun and did not record its end."""
    if claim.status == "absent":
        return Probe("no_effect", f"it was never begun on {place(resource)}: no claim there")
    if claim.status == "ended":
        said = f"the command ended with exit status {claim.exit_status}: {told(claim.output)}".strip(": ")
        return Probe("took_effect", said, claim.exit_status)
    return None


def told(output: str) -> str:
    """A host's output, fit for records: redacted and bounded."""
    return condense(redact(output.strip()), OUTPUT_CHARS)
