"""The lab's cloud: an EC2-compatible endpoint whose orders reach the hosts and whose answers are really observed.

moto's server keeps the books (instances, tags, permissions, errors for unknown ids), but moto's success proves nothing:
it changes only its own records. So this endpoint stands in front, forwards, and also acts and probes.
"""

from __future__ import annotations

import base64
import http.client
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode

from evals.lab import ec2_answers
from evals.lab.cloud_network import CloudNetwork
from evals.lab.ec2_answers import Observed, refused
from evals.lab.power import INITIALIZING, Power, ssh_greets
from evals.lab.sizes import CPUS

REGION = "eu-west-1"
_ZONE = f"{REGION}a"
_VERSION = "2016-11-15"
_MOTO_WAIT = 20.0
_MOST_BODY = 1 << 20
_NO_TERMINATION = "The lab's cloud terminates no instances: their disks are all there is of them."

Answer = tuple[int, bytes]
Form = Mapping[str, Sequence[str]]


class Cloud:
    """The endpoint on a free loopback port of the calling thread's network. `powers` is by instance id."""

    def __init__(self, moto: tuple[str, int], powers: Mapping[str, Power], network: CloudNetwork) -> None:
        self._moto = moto
        self._powers = dict(powers)
        self.network = network
        self.volumes: dict[str, Callable[[int], None]] = {}
        """What makes the disk of that volume id larger, to so many GiB."""
        self.out_of_capacity: set[str] = set()
        """Instances that can't be started just now, as there is no machine for them."""
        self.denied = False
        """Whether every call is refused, as where the caller's role lost its rights."""
        self.broken: set[str] = set()
        """Instances on a machine that is broken: told by the check of what is beneath them."""
        self._impaired_since: dict[str, datetime] = {}
        self._booked: dict[str, str] = {}
        # the boot, known by its init's process id, in which an instance has answered
        self._answered: dict[str, int | None] = {}
        self._server: ThreadingHTTPServer | None = None
        self.url = ""

    def up(self) -> None:
        cloud = self

        class Handler(_Handler):
            def answer(self, body: bytes) -> Answer:
                return cloud.answer(body, dict(self.headers.items()))

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        # handlers' threads are children of this one, and so in the same network
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True, name="lab-cloud").start()

    def down(self) -> None:
        """Stop answering. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def answer(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """(status, XML) for one call of the EC2 Query API."""
        if self.denied:
            return 403, refused("UnauthorizedOperation", "You are not authorized to perform this operation.")
        form = parse_qs(body.decode(errors="replace"), keep_blank_values=True)
        action = form.get("Action", [""])[0]
        ids = [i for i in _listed(form, "InstanceId") if i in self._powers]
        if _service(headers) != "ec2":
            return self._forward(body, headers)
        special: dict[str, Callable[[], Answer]] = {
            "RebootInstances": lambda: self._ordered(body, headers, ids, lambda p: p.reboot()),
            "StopInstances": lambda: self._ordered(
                body, headers, ids, lambda p: p.stop(form.get("Force", [""])[0].lower() == "true")
            ),
            "StartInstances": lambda: self._started(body, headers, ids),
            "AuthorizeSecurityGroupIngress": lambda: self._regrouped(body, headers, form),
            "RevokeSecurityGroupIngress": lambda: self._regrouped(body, headers, form),
            "AssociateAddress": lambda: self._led(body, headers, form.get("InstanceId", [""])[0]),
            "DisassociateAddress": lambda: self._led(body, headers, None),
            "TerminateInstances": lambda: (403, refused("UnauthorizedOperation", _NO_TERMINATION)),
            "DescribeInstances": lambda: self._described(body, headers),
            "DescribeInstanceStatus": lambda: self._statuses(body, headers, form),
            "GetConsoleOutput": lambda: self._console(body, headers, form),
            "ModifyVolume": lambda: self._grown(body, headers, form),
            "ModifyInstanceAttribute": lambda: self._modified(body, headers, form),
        }  # fmt: skip
        return special.get(action, lambda: self._forward(body, headers))()

    def _grown(self, body: bytes, headers: Mapping[str, str], form: Form) -> Answer:
        status, answer = self._forward(body, headers)
        grow, size = self.volumes.get(form.get("VolumeId", [""])[0]), form.get("Size", [""])[0]
        if status == 200 and grow is not None and size.isdigit():
            grow(int(size))
        return status, answer

    def _ordered(self, body: bytes, headers: Mapping[str, str], ids: Sequence[str],
                 order: Callable[[Power], bool]) -> Answer:  # fmt: skip
        self._sync(headers)
        status, answer = self._forward(body, headers)
        if status != 200:  # unknown instance, dry run …: then nothing may happen
            return status, answer
        for instance_id in ids:
            power = self._powers[instance_id]
            # moto has booked what it was asked, which an instance on its way need not come to
            self._booked.pop(instance_id, None)
            if not order(power):
                return 400, refused(
                    "IncorrectInstanceState",
                    f"The instance '{instance_id}' is not in a state from which it can do that: {power.state()}",
                )
        return status, answer

    def _modified(self, body: bytes, headers: Mapping[str, str], form: Form) -> Answer:
        """A change of type gives the host the CPUs of that type, and is refused for one that is not stopped."""
        instance_id, wanted = form.get("InstanceId", [""])[0], form.get("InstanceType.Value", [""])[0]
        power = self._powers.get(instance_id)
        if power is None or not wanted:
            return self._forward(body, headers)
        if wanted not in CPUS:
            return 400, refused("InvalidInstanceAttributeValue", f"The lab's cloud has no type '{wanted}'.")
        if power.state() != "stopped":
            return 400, refused(
                "IncorrectInstanceState", f"The instance '{instance_id}' is not in the 'stopped' state."
            )
        self._sync(headers)
        status, answer = self._forward(body, headers)
        if status == 200:
            power.machine.give_cpus(CPUS[wanted])
        return status, answer

    def _started(self, body: bytes, headers: Mapping[str, str], ids: Sequence[str]) -> Answer:
        if any(instance_id in self.out_of_capacity for instance_id in ids):
            return 500, refused("InsufficientInstanceCapacity", f"There is no machine for it in {_ZONE} just now.")
        return self._ordered(body, headers, ids, lambda power: power.start())

    def _regrouped(self, body: bytes, headers: Mapping[str, str], form: Form) -> Answer:
        status, answer = self._forward(body, headers)
        if status == 200:
            asked = {"Action": "DescribeSecurityGroups", "Version": _VERSION, "GroupId.1": form["GroupId"][0]}
            told, groups = self._forward(urlencode(asked).encode(), headers)
            if told == 200:
                self.network.regroup(groups)
        return status, answer

    def _led(self, body: bytes, headers: Mapping[str, str], instance_id: str | None) -> Answer:
        status, answer = self._forward(body, headers)
        if status == 200:
            self.network.lead(instance_id)
        return status, answer

    def _described(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        # filters by state are applied by moto: its books must be right first
        self._sync(headers)
        status, answer = self._forward(body, headers)
        if status == 200:
            answer = ec2_answers.corrected(answer, {i: self._state(i) for i in self._powers})
        return status, answer

    def _statuses(self, body: bytes, headers: Mapping[str, str], form: Form) -> Answer:
        self._sync(headers)
        status, answer = self._forward(body, headers)
        if status != 200:
            return status, answer
        wanted = _listed(form, "InstanceId") or list(self._powers)
        with ThreadPoolExecutor(max_workers=8) as pool:
            seen = list(pool.map(self._observe, [i for i in wanted if i in self._powers]))
        if form.get("IncludeAllInstances", [""])[0].lower() != "true":
            seen = [o for o in seen if o.state == "running"]
        return 200, ec2_answers.instance_status(seen, _ZONE)

    def _console(self, body: bytes, headers: Mapping[str, str], form: Form) -> Answer:
        status, answer = self._forward(body, headers)
        instance_id = form.get("InstanceId", [""])[0]
        if status != 200 or instance_id not in self._powers:
            return status, answer
        text = base64.b64encode(self._powers[instance_id].machine.console()).decode()
        return 200, ec2_answers.console_output(instance_id, text, datetime.now(UTC))

    def _state(self, instance_id: str) -> Observed:
        power = self._powers[instance_id]
        return Observed(instance_id, power.state(), power.stopped_by == "guest")

    def _observe(self, instance_id: str) -> Observed:
        power, state = self._powers[instance_id], self._state(instance_id)
        if state.state != "running":
            self._impaired_since.pop(instance_id, None)
            return Observed(
                instance_id, state.state, state.by_guest,
                instance_check="not-applicable", system_check="not-applicable",
            )  # fmt: skip
        leader = power.machine.leader()
        # what is under the host works, as a rule: the power is on
        beneath: ec2_answers.CheckStatus = "impaired" if instance_id in self.broken else "ok"
        if ssh_greets(power.machine.address):
            self._impaired_since.pop(instance_id, None)
            self._answered[instance_id] = leader
            return state
        booting = power.machine.up_seconds() < INITIALIZING and self._answered.get(instance_id) != leader
        if leader is None or booting:
            return Observed(instance_id, "running", instance_check="initializing", system_check=beneath)
        since = self._impaired_since.setdefault(instance_id, datetime.now(UTC))
        return Observed(
            instance_id, "running", instance_check="impaired", system_check=beneath, impaired_since=since
        )  # fmt: skip

    def _sync(self, headers: Mapping[str, str]) -> None:
        """Tell moto of hosts that went off or on without it."""
        for instance_id, power in self._powers.items():
            state = power.state()
            if state in ("running", "stopped"):
                verb = "StartInstances" if state == "running" else "StopInstances"
                if self._booked.get(instance_id) != state:
                    self._forward(_form(verb, instance_id), headers)
                    self._booked[instance_id] = state

    def _forward(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection(*self._moto, timeout=_MOTO_WAIT)
        kept = {k: v for k, v in headers.items() if k.lower() not in ("host", "content-length", "connection", "expect")}
        try:
            host = f"{_service(headers)}.{REGION}.amazonaws.com"
            connection.request("POST", "/", body=body, headers=kept | {"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError as error:
            return 503, refused("Unavailable", f"the lab's moto server at {self._moto} does not answer: {error}")
        finally:
            connection.close()


def _form(action: str, instance_id: str) -> bytes:
    return urlencode({"Action": action, "Version": _VERSION, "InstanceId.1": instance_id}).encode()


def _service(headers: Mapping[str, str]) -> str:
    """`ec2` of `… Credential=KEY/20261126/eu-west-1/ec2/aws4_request, …`: what the caller signed for."""
    signed = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
    scope = signed.partition("Credential=")[2].partition(",")[0].split("/")
    return scope[3] if len(scope) == 5 and re.fullmatch("[a-z0-9]+", scope[3]) else "ec2"


def _listed(form: Form, name: str) -> list[str]:
    keys = sorted((k for k in form if k.startswith(f"{name}.")), key=lambda k: int(k.rpartition(".")[2] or 0))
    return [form[key][0] for key in keys]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # without these two every answer waits 40 ms for the client's delayed acknowledgement
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 30

    def answer(self, body: bytes) -> Answer:
        raise NotImplementedError

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MOST_BODY:
            status, answer = 413, refused("RequestTooLarge", f"{length} bytes; at most {_MOST_BODY} are taken")
        else:
            status, answer = self.answer(self.rfile.read(length))
        self.send_response(status)
        self.send_header("Content-Type", "text/xml;charset=UTF-8")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the callers log their calls."""
