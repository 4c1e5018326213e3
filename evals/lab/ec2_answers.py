"""EC2's XML: what moto answers, corrected by what the hosts really do, and the answers that moto only makes up.

Shapes: the Amazon EC2 API Reference, version 2016-11-15. Pure: all that is asked of the world comes in as a value.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from evals.lab.power import PowerState

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
CODES: Mapping[PowerState, int] = {"pending": 0, "running": 16, "stopping": 64, "stopped": 80}
CheckStatus = Literal["ok", "impaired", "initializing", "not-applicable"]


@dataclass(frozen=True)
class Observed:
    """What was seen of one instance just now. `impaired_since` is set when a check fails."""

    instance_id: str
    state: PowerState
    by_guest: bool = False
    instance_check: CheckStatus = "ok"
    system_check: CheckStatus = "ok"
    impaired_since: datetime | None = None


def corrected(answer: bytes, seen: Mapping[str, Observed]) -> bytes:
    """moto's DescribeInstances with the instances' states and reasons as they are. `seen` is by instance id."""
    root = ET.fromstring(answer)
    # moto answers in the namespace of an older version of the API, which boto3 doesn't mind
    space = root.tag.partition("}")[0] + "}"
    for item in root.iter(f"{space}item"):
        state = item.find(f"{space}instanceState")
        observed = seen.get(item.findtext(f"{space}instanceId", ""))
        if state is None or observed is None:
            continue
        _set(state, f"{space}code", str(CODES[observed.state]))
        _set(state, f"{space}name", observed.state)
        if observed.state == "stopped" and observed.by_guest:
            # a guest that powers itself off leaves no transition reason, only a state reason
            _set(item, f"{space}reason", "")
            reason = _child(item, f"{space}stateReason")
            _set(reason, f"{space}code", "Client.InstanceInitiatedShutdown")
            _set(reason, f"{space}message", "Client.InstanceInitiatedShutdown: Instance initiated shutdown")
    return b"<?xml version='1.0' encoding='UTF-8'?>\n" + ET.tostring(root, default_namespace=space.strip("{}"))


def instance_status(seen: Sequence[Observed], zone: str) -> bytes:
    """DescribeInstanceStatus."""
    items = "".join(
        f"<item><instanceId>{o.instance_id}</instanceId><availabilityZone>{zone}</availabilityZone>"
        f"<instanceState><code>{CODES[o.state]}</code><name>{o.state}</name></instanceState>"
        f"<systemStatus>{_check(o.system_check, o.impaired_since)}</systemStatus>"
        f"<instanceStatus>{_check(o.instance_check, o.impaired_since)}</instanceStatus></item>"
        for o in seen
    )
    return _response("DescribeInstanceStatus", f"<instanceStatusSet>{items}</instanceStatusSet>")


def console_output(instance_id: str, encoded: str, at: datetime) -> bytes:
    """GetConsoleOutput; `encoded` is base64."""
    return _response(
        "GetConsoleOutput",
        f"<instanceId>{instance_id}</instanceId><timestamp>{_stamp(at)}</timestamp><output>{encoded}</output>",
    )


def refused(code: str, message: str) -> bytes:
    """An error as EC2 words it; boto3 raises it as ClientError with that code."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
        f"<Code>{code}</Code><Message>{escape(message)}</Message></Error></Errors>"
        f"<RequestID>{uuid.uuid4()}</RequestID></Response>"
    ).encode()


def _check(status: CheckStatus, since: datetime | None) -> str:
    if status == "not-applicable":
        return "<status>not-applicable</status>"
    passed = {"ok": "passed", "impaired": "failed", "initializing": "initializing"}[status]
    when = f"<impairedSince>{_stamp(since)}</impairedSince>" if status == "impaired" and since else ""
    return (
        f"<status>{status}</status><details><item><name>reachability</name><status>{passed}</status>{when}"
        "</item></details>"
    )


def _response(action: str, inner: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{action}Response xmlns="{NAMESPACE}">'
        f"<requestId>{uuid.uuid4()}</requestId>{inner}</{action}Response>"
    ).encode()


def _set(parent: ET.Element, tag: str, text: str) -> None:
    _child(parent, tag).text = text


def _child(parent: ET.Element, tag: str) -> ET.Element:
    child = parent.find(tag)
    return ET.SubElement(parent, tag) if child is None else child


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
