"""Compressed JSON in a column: what is read seldom and should take little room."""

from __future__ import annotations

import json
import zlib
from typing import Any

FASTER, SMALLER = 6, 9

# Keys and words that nearly every story has, so that a short one is compressed as well as a long one. Part of the
# format: what was written with it can only be read with it. Another one needs another number.
_WORDS_1 = (
    b'"self-heal""runbook""llm:""systemctl restart journalctl sudo -n service failed running active succeeded '
    b'{"title":"","resource":{"id":"","kind":"Instance","address":"10.0.0.","group":"","ssh":{"user":"","key_file":"",'
    b'"known_hosts":""},"provider":{"name":"ec2","region":"","instance_id":"i-0"},"services":[""],"health":[{"http":"'
    b'http://"},{"service":""}]},"model":null,"alerts":[{"status":"resolved","labels":{"alertname":"","instance":"",'
    b'"job":"","severity":"critical","resource_kind":"Instance","resource_id":""},"annotations":{"summary":"",'
    b'"description":""},"startsAt":"","endsAt":null,"generatorURL":"http://","fingerprint":"","count":1,"first_at":'
    b'"","last_at":"2026-"}],"attempts":[{"number":1,"suspected_cause":"","plan_fingerprint":"","actions":[""],'
    b'"target":"","acted":true,"first_action_at":"","why_ended":"","rolled_back":true,"ended_at":""}],"evidence":[{'
    b'"id":"E1","source":"metrics","asked":"","observed_at":"","status":"observed","text":"","facts":{},"raw_ref":"",'
    b'"seconds":0.0}],"diagnosis":{"suspected_cause":"","issue_type":"service_down","summary":"","confidence":0.9,'
    b'"evidence_ids":["E1","E2"],"ruled_out":{},"target":"","author":"runbook","diagnosed_at":"","contradicts":""},'
    b'"plan":{"steps":[{"action":"","params":{"unit":""},"why":"","expect":"","rendered":"","risk":"disruptive",'
    b'"judged_by":"resource","undo":null}],"summary":"","author":"runbook","attempt":1,"planned_at":"",'
    b'"beyond_remedies":""},"gate":{"decision":"run","reason":"","rule":"policy","until":null,"plan_fingerprint":""},'
    b'"verification":{"status":"healthy","criteria":[{"name":"","status":"pass","before":"","after":"","neighbour":'
    b'false}],"reason":"all  criteria pass, held for  s","started_at":"","observed_at":"","passing_since":"",'
    b'"held_seconds":30.0,"look_again_at":null,"made_worse":""},"actions":[{"idempotency_key":"","attempt":1,"action":'
    b'"","rendered":"","plan_fingerprint":"","undo":false,"started_at":"","finished_at":"","status":"succeeded",'
    b'"output":"","proven_by_probe":false}],"plans":{},"comments":{},"timeline":[{"id":1,"at":"2026-","node":"gather_context",'
    b'"author":"self-heal","sentence":"asked  sources, got  facts"},"diagnose""suspects ""plan""plans (disruptive): '
    b'""gate""approve""execute""verify""seen healthy: ""wait""retry""rollback""escalate""escalated to a human: '
    b'""close""mitigated: ""server""alertmanager""received  firing since  UTC""resolved"'
)


def packed(value: Any, level: int = FASTER) -> bytes:
    """The value as compressed JSON. Its first byte says how."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    data = text.encode("utf-8", "surrogatepass")
    if level == SMALLER:
        compress = zlib.compressobj(SMALLER, zdict=_WORDS_1)
        return b"\x01" + compress.compress(data) + compress.flush()
    return b"\x00" + zlib.compress(data, level)


def unpacked(data: bytes) -> Any:
    """The value that was packed. Raises ValueError, zlib.error where it is none."""
    how, rest = data[:1], data[1:]
    if how == b"\x01":
        decompress = zlib.decompressobj(zdict=_WORDS_1)
        text = decompress.decompress(rest) + decompress.flush()
    elif how == b"\x00":
        text = zlib.decompress(rest)
    else:
        raise ValueError(f"a later release has packed this (format {how!r})")
    return json.loads(text.decode("utf-8", "surrogatepass"))
