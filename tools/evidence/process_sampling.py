"""The one command that measures who uses a host's CPU: two looks at /proc a second apart, in POSIX sh and awk.

Sorting is done on the host, as a busy one may have thousands of processes. A process's name is hostile: it may hold
line breaks and brackets. So each stat file is read whole, its fields are counted from behind the last bracket, and all
but harmless bytes of the name become `?`, as they do wherever that name is compared (`SAFE_NAME`).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from tools.process_names import SAFE_NAME

TOP_PROCESSES = 6
TOP_UNITS = 5
ASKED_UNITS = 3

# From `grep -H` over stat, cgroup and status files: `p pid ppid ticks child-ticks start unit uid name`, each process.
# grep puts the file's true name before each line and passes over processes that end meanwhile, at which an awk that
# reads for itself may die. The outermost service or scope of a cgroup's path is what systemd knows and could stop.
_LOOK = r"""
{
  pid = $0; sub(/^\/proc\//, "", pid); file = pid; sub(/\/.*/, "", pid)
  sub(/^[0-9]+\//, "", file); sub(/:.*/, "", file)
  row = $0; sub(/^[^:]*:/, "", row)
  if (file == "stat") stat[pid] = stat[pid] " " row
  else if (file == "status") { split(row, f); uid[pid] = f[3] }
  else if (row ~ /^[0-9]+:name=systemd:/ || !(pid in path)) { sub(/^[0-9]+:[^:]*:/, "", row); path[pid] = row }
}
function unit_of(pid,    n, parts, i) {
  n = split(path[pid], parts, "/")
  for (i = 1; i <= n; i++) if (parts[i] ~ /^[A-Za-z0-9_@:.\\-]+\.(service|scope)$/) return parts[i]
  return "-"
}
END {
  for (pid in stat) {
    name = stat[pid]; sub(/^[^(]*\(/, "", name); sub(/\)[^)]*$/, "", name); gsub(/[^SAFE]/, "?", name)
    if (name == "") name = "?"
    rest = stat[pid]; sub(/.*\) /, "", rest); n = split(rest, f, " ")
    if (n < 20) continue
    who = pid in uid ? uid[pid] : "-"
    print "p", pid, f[2], f[12] + f[13], f[14] + f[15], f[20], unit_of(pid), who, substr(name, 1, 64)
  }
}
""".replace("SAFE", SAFE_NAME.replace("/", r"\/"))

# Reads two looks with `==` between them. What a parent has of its ended children counts as its own, less what they had
# been seen to use themselves. Our own processes are left out.
_COMPARE = r"""
function ours(pid,    n) {
  for (n = 0; n < 64 && pid > 1; n++) { if (pid == me) return 1; pid = parent[pid] }
  return 0
}
/^==$/ { second = 1; next }
!second { looked++; was[$2] = $6; own[$2] = $4; kids[$2] = $5; by[$2] = $3; next }
{
  here[$2] = $6; parent[$2] = $3; used[$2] = $4; reaped[$2] = $5; unit[$2] = $7; uid[$2] = $8; name[$2] = $9
}
END {
  if (looked < 2) exit
  for (pid in was) if (here[pid] != was[pid]) gone[by[pid]] += own[pid] + kids[pid]
  for (pid in here) {
    if (ours(pid)) continue
    total++
    old = (was[pid] == here[pid])
    delta = used[pid] - (old ? own[pid] : 0)
    brief = old ? reaped[pid] - kids[pid] - gone[pid] : delta
    if (brief < 0) brief = 0
    if (old) delta += brief
    ticks[pid] = delta; all += delta
    if (unit[pid] == "-") continue
    sum[unit[pid]] += delta; count[unit[pid]]++; short[unit[pid]] += brief
    if (!old) born[unit[pid]]++
  }
  print "total", total, all + 0
  for (n = 0; n < TOP_P; n++) {
    best = ""; for (pid in ticks) if (ticks[pid] > 0 && (best == "" || ticks[pid] > ticks[best])) best = pid
    if (best == "") break
    print "process", best, parent[best], here[best], ticks[best], unit[best], uid[best], name[best]
    delete ticks[best]
  }
  for (n = 0; n < TOP_U; n++) {
    best = ""; for (u in sum) if (best == "" || sum[u] > sum[best]) best = u
    if (best == "") break
    print "unit", best, sum[best], count[best], born[best] + 0, short[best] + 0
    delete sum[best]
  }
}
""".replace("TOP_P", str(TOP_PROCESSES)).replace("TOP_U", str(TOP_UNITS))

_FIGURES = (
    "echo clock $(cat /proc/uptime); grep -E '^(cpu|processes)' /proc/stat; grep '^Tcp: [0-9]' /proc/net/snmp; "
    "for file in /sys/fs/cgroup/cpu.stat /sys/fs/cgroup/cpu/cpu.stat /sys/fs/cgroup/cpu,cpuacct/cpu.stat; do "
    "[ -r $file ] && { cat $file; break; }; done; echo last $(sh -c 'echo $$')"
)
_ASK_SYSTEMD = (
    f"top=$(printf '%s\\n' \"$out\" | awk '/^unit / && n++ < {ASKED_UNITS} {{ print $2 }}'); [ -z \"$top\" ] || "
    "systemctl show --no-pager -p Id,MainPID,Transient -- $top 2>/dev/null"
)


CALM = "calm"
_LEAST_LOAD = 0.7


def sampling_command(unless_calm: bool = False) -> str:
    """The command. Changes nothing; its answer is for `parse_sample`.

    With `unless_calm`, a host whose load is below its CPUs says CALM at once: for trouble that is hardly of the CPU,
    where a second more is a second lost.
    """
    calm = (
        'read -r load rest </proc/loadavg; awk -v one="$load" -v cpus="$(grep -c \'^cpu[0-9]\' /proc/stat)" '
        f"'BEGIN {{ exit (one + 0 < {_LEAST_LOAD} * cpus) ? 1 : 0 }}' || {{ echo {CALM}; exit 0; }}; "
    )

    first = f"$({_grep('/proc/[0-9]*', ('stat',))} | awk {shlex.quote(_LOOK)})"
    second = f"$({_grep('/proc/[0-9]*', ('stat', 'cgroup', 'status'))} | awk {shlex.quote(_LOOK)})"
    return (
        f"{calm if unless_calm else ''}LC_ALL=C; export LC_ALL; getconf CLK_TCK || echo 100; cat /proc/loadavg; "
        f"{_FIGURES}; "
        f"before={first}; sleep 1; echo --; {_FIGURES}; after={second}; "
        f'out=$(printf \'%s\\n\' "$before" == "$after" | awk -v me=$$ {shlex.quote(_COMPARE)}); '
        f"echo --; printf '%s\\n' \"$out\"; echo --; {_ASK_SYSTEMD}"
    )


def look_command(pids: Sequence[int]) -> str:
    """What tells who these processes are, for `parse_look`. Changes nothing."""
    looks = "; ".join(_grep(f"/proc/{int(pid)}", ("stat", "cgroup")) for pid in pids)
    return (
        f"LC_ALL=C; export LC_ALL; seen=$({{ {looks}; }} | awk {shlex.quote(_LOOK)}); "
        "printf '%s\\n' \"$seen\"; echo --; "
        "units=$(printf '%s\\n' \"$seen\" | awk '$7 != \"-\" { print $7 }' | sort -u); "
        '[ -z "$units" ] || systemctl show --no-pager -p Id,MainPID,Transient -- $units 2>/dev/null'
    )


def _grep(folders: str, files: Sequence[str]) -> str:
    """Every line of stat files, and of the others those that are needed, each behind its file's name."""
    wanted = {"stat": "''", "cgroup": "-E '^(0::|[0-9]+:name=systemd:)'", "status": "'^Uid:'"}
    each = "; ".join(f"grep -aHs {wanted[file]} {folders}/{file}" for file in files)
    return f"{{ {each}; }} 2>/dev/null"
