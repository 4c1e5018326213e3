"""wrk, which loads a server from one core's fraction: distinct alerts made in Lua, results told as JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from evals.bench.bodies import STARTED
from evals.bench.servers import HOOK
from evals.lab.stage import LabError

SCRIPT = r"""
local count, run, per_post, fleet = 0, "", 1, 1
function init(args)
  run, per_post, fleet = args[1], tonumber(args[2]), tonumber(args[3])
  wrk.headers["Authorization"] = "Bearer " .. args[4]
  wrk.headers["Content-Type"] = "application/json"
end
local alert = '{"status":"firing","labels":{"alertname":"InstanceDown","case":"%s","instance":"%s:9100","job":"node",'
  .. '"severity":"critical","resource_kind":"Instance","resource_id":"%s"},"annotations":{"summary":'
  .. '"%s does not answer","description":"%s of job node has not answered for more than one minute."},'
  .. '"startsAt":"STARTED","endsAt":"0001-01-01T00:00:00Z","generatorURL":'
  .. '"http://prometheus.example:9090/graph?g0.expr=up+%%3D%%3D+0&g0.tab=1","fingerprint":"%s"}'
local tail = '],"groupLabels":{"alertname":"InstanceDown"},"commonLabels":{"alertname":"InstanceDown","job":"node",'
  .. '"severity":"critical"},"commonAnnotations":{},"externalURL":"http://alertmanager.example:9093","version":"4",'
  .. '"groupKey":"{}:{alertname=\\"InstanceDown\\"}","truncatedAlerts":0}'
function request()
  local made = {}
  for place = 1, per_post do
    local case = run .. string.format("%09d", count)
    local id = string.format("inst-%05d", count % fleet)
    made[place] = string.format(alert, case, id, id, id, id, case)
    count = count + 1
  end
  local alerts = table.concat(made, ",")
  return wrk.format("POST", nil, nil, '{"receiver":"selfheal","status":"firing","alerts":[' .. alerts .. tail)
end
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('{"posts":%d,"seconds":%f,"refused":%d,"broken":%d,"p50_ms":%f,"p99_ms":%f,"max_ms":%f}',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
"""


@dataclass(frozen=True)
class Load:
    """What one run of wrk came to. `refused` are answers that are no 2xx."""

    posts: int
    seconds: float
    refused: int
    broken: int
    p50_ms: float
    p99_ms: float
    max_ms: float

    @property
    def rate(self) -> float:
        """Posts a second that were taken on."""
        return (self.posts - self.refused) / self.seconds


def missing() -> str | None:
    """Why wrk can't be run, or None."""
    return None if shutil.which("wrk") else "wrk is not installed: sudo apt-get install -y wrk"


def load(
    folder: Path, url: str, token: str, run: str, connections: int, seconds: float, per_post: int = 1, fleet: int = 1
) -> Load:
    """Post distinct alerts for that long. `run` begins the fingerprints of this run and no other."""
    script = folder / "alerts.lua"
    script.write_text(SCRIPT.replace("STARTED", STARTED))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "20s", "-s", str(script)]
    command += [f"{url}{HOOK}", "--", run, str(per_post), str(fleet), token]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    told = done.stdout.rpartition("\n{")[2] if "\n{" in done.stdout else ""
    if done.returncode or not told:
        raise LabError(f"wrk failed: {done.stderr[-500:]}{done.stdout[-500:]}")
    return Load(**json.loads("{" + told))
