"""Last lines of services as journalctl (systemd 252, `-o short-iso`) and supervisord give them."""

from __future__ import annotations

SYSTEMD_KILLED = """\
2026-11-24T14:20:43+0000 lab-1 systemd[1]: shopd.service: Sent signal SIGKILL to main process 269 (shopd) on client \
request.
2026-11-24T14:20:43+0000 lab-1 systemd[1]: shopd.service: Main process exited, code=killed, status=9/KILL
2026-11-24T14:20:43+0000 lab-1 systemd[1]: shopd.service: Failed with result 'signal'.
2026-11-24T14:20:45+0000 lab-1 systemd[1]: shopd.service: Scheduled restart job, restart counter is at 3.
2026-11-24T14:20:45+0000 lab-1 systemd[1]: Stopped shopd.service - Demo shop API.
2026-11-24T14:20:45+0000 lab-1 systemd[1]: Started shopd.service - Demo shop API.
2026-11-24T14:20:45+0000 lab-1 systemd[1]: shopd.service: Sent signal SIGKILL to main process 339 (shopd) on client \
request.
2026-11-24T14:20:45+0000 lab-1 systemd[1]: shopd.service: Main process exited, code=killed, status=9/KILL
2026-11-24T14:20:45+0000 lab-1 systemd[1]: shopd.service: Failed with result 'signal'.
2026-11-24T14:20:46+0000 lab-1 systemd[1]: shopd.service: Scheduled restart job, restart counter is at 4.
2026-11-24T14:20:46+0000 lab-1 systemd[1]: Stopped shopd.service - Demo shop API.
2026-11-24T14:20:46+0000 lab-1 systemd[1]: shopd.service: Start request repeated too quickly.
2026-11-24T14:20:46+0000 lab-1 systemd[1]: shopd.service: Failed with result 'signal'.
2026-11-24T14:20:46+0000 lab-1 systemd[1]: Failed to start shopd.service - Demo shop API.
"""

SYSTEMD_STOPPED = (
    SYSTEMD_KILLED
    + """\
2026-11-24T14:20:48+0000 lab-1 systemd[1]: Started shopd.service - Demo shop API.
2026-11-24T14:20:48+0000 lab-1 shopd[472]: shopd: listening on 0.0.0.0:8080, config /etc/shopd.json, pid 472
2026-11-24T14:20:49+0000 lab-1 shopd[472]: shopd: stopping on SIGTERM
2026-11-24T14:20:49+0000 lab-1 systemd[1]: Stopping shopd.service - Demo shop API...
2026-11-24T14:20:49+0000 lab-1 systemd[1]: shopd.service: Deactivated successfully.
2026-11-24T14:20:49+0000 lab-1 systemd[1]: Stopped shopd.service - Demo shop API.
"""
)

SYSTEMD_ENDED_BY_ITSELF = """\
2026-11-24T14:01:00+0000 h1 systemd[1]: Started shopd.service - The shop.
2026-11-24T14:03:00+0000 h1 systemd[1]: shopd.service: Deactivated successfully.
"""

SYSTEMD_BAD_CONFIG = """\
2026-11-24T14:01:00+0000 h1 systemd[1]: Started shopd.service - The shop.
2026-11-24T14:01:00+0000 h1 shopd[311]: shopd: listening on 0.0.0.0:8080, config /etc/shopd.json, pid 311
2026-11-24T14:04:00+0000 h1 systemd[1]: Stopping shopd.service - The shop...
2026-11-24T14:04:00+0000 h1 systemd[1]: shopd.service: Deactivated successfully.
2026-11-24T14:04:00+0000 h1 systemd[1]: Stopped shopd.service - The shop.
2026-11-24T14:04:00+0000 h1 systemd[1]: Started shopd.service - The shop.
2026-11-24T14:04:00+0000 h1 shopd[400]: shopd: FATAL config error in /etc/shopd.json line 4 column 3: \
Expecting ',' delimiter: "data_dir": "/var/lib/shopd",
2026-11-24T14:04:00+0000 h1 systemd[1]: shopd.service: Main process exited, code=exited, status=2/INVALIDARGUMENT
2026-11-24T14:04:00+0000 h1 systemd[1]: shopd.service: Failed with result 'exit-code'.
2026-11-24T14:04:01+0000 h1 systemd[1]: shopd.service: Scheduled restart job, restart counter is at 5.
2026-11-24T14:04:01+0000 h1 systemd[1]: Stopped shopd.service - The shop.
2026-11-24T14:04:01+0000 h1 systemd[1]: shopd.service: Start request repeated too quickly.
2026-11-24T14:04:01+0000 h1 systemd[1]: shopd.service: Failed with result 'exit-code'.
2026-11-24T14:04:01+0000 h1 systemd[1]: Failed to start shopd.service - The shop.
"""

SYSTEMD_CONFIG_MENDED_THEN_KILLED = SYSTEMD_BAD_CONFIG + SYSTEMD_KILLED

SYSTEMD_OOM = """\
2026-11-24T14:01:00+0000 h1 systemd[1]: Started shopd.service - The shop.
2026-11-24T14:05:00+0000 h1 systemd[1]: shopd.service: A process of this unit has been killed by the OOM killer.
2026-11-24T14:05:00+0000 h1 systemd[1]: shopd.service: Main process exited, code=killed, status=9/KILL
2026-11-24T14:05:00+0000 h1 systemd[1]: shopd.service: Failed with result 'oom-kill'.
"""

SYSTEMD_NGINX_CONFIG = """\
2026-11-24T14:06:00+0000 h1 systemd[1]: Starting nginx.service - A high performance web server...
2026-11-24T14:06:00+0000 h1 nginx[500]: 2026/11/24 14:06:00 [emerg] 500#500: unknown directive "lisen" \
in /etc/nginx/sites-enabled/default:22
2026-11-24T14:06:00+0000 h1 nginx[500]: nginx: configuration file /etc/nginx/nginx.conf test failed
2026-11-24T14:06:00+0000 h1 systemd[1]: nginx.service: Control process exited, code=exited, status=1/FAILURE
2026-11-24T14:06:00+0000 h1 systemd[1]: nginx.service: Failed with result 'exit-code'.
2026-11-24T14:06:00+0000 h1 systemd[1]: Failed to start nginx.service - A high performance web server.
"""

SYSTEMD_NGINX_PORT = """\
2026-11-24T14:06:00+0000 h1 systemd[1]: Starting nginx.service - A high performance web server...
2026-11-24T14:06:00+0000 h1 nginx[500]: nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)
2026-11-24T14:06:02+0000 h1 nginx[500]: nginx: [emerg] still could not bind()
2026-11-24T14:06:02+0000 h1 systemd[1]: nginx.service: Failed with result 'exit-code'.
"""

SYSTEMD_NO_SPACE = """\
2026-11-24T14:07:00+0000 h1 systemd[1]: Started db.service - Database.
2026-11-24T14:07:00+0000 h1 db[600]: FATAL:  could not write lock file "db.pid": No space left on device
2026-11-24T14:07:00+0000 h1 systemd[1]: db.service: Main process exited, code=exited, status=1/FAILURE
2026-11-24T14:07:00+0000 h1 systemd[1]: db.service: Failed with result 'exit-code'.
"""

SYSTEMD_TRACEBACK = """\
2026-11-24T14:08:00+0000 h1 systemd[1]: Started app.service - App.
2026-11-24T14:08:00+0000 h1 app[700]: Traceback (most recent call last):
2026-11-24T14:08:00+0000 h1 app[700]:   File "/opt/app/main.py", line 3, in <module>
2026-11-24T14:08:00+0000 h1 app[700]: json.decoder.JSONDecodeError: Expecting value: line 3 column 9 (char 41)
2026-11-24T14:08:00+0000 h1 systemd[1]: app.service: Main process exited, code=exited, status=1/FAILURE
2026-11-24T14:08:00+0000 h1 systemd[1]: app.service: Failed with result 'exit-code'.
"""

SYSTEMD_HOSTILE = """\
2026-11-24T14:09:00+0000 h1 systemd[1]: Started web.service - Web.
2026-11-24T14:09:01+0000 h1 web[800]: 10.9.9.9 - "GET /?q=config+error+invalid+config HTTP/1.1" 404
2026-11-24T14:09:02+0000 h1 web[800]: systemd[1]: Stopping web.service - Web...
2026-11-24T14:09:03+0000 h1 systemd[1]: web.service: Main process exited, code=killed, status=9/KILL
2026-11-24T14:09:03+0000 h1 systemd[1]: web.service: Failed with result 'signal'.
"""

SUPERVISORD_KILLED = """\
shopd: FATAL config error in /srv/shopd.json line 4: long mended
shopd: listening on 127.0.0.1:22176, config /srv/shopd.json, pid 22757
2026-11-24 14:02:33,525 WARN exited: shopd (terminated by SIGKILL; not expected)
2026-11-24 14:02:33,640 INFO spawned: 'shopd' with pid 22757
2026-11-24 14:02:33,746 WARN exited: shopd (terminated by SIGKILL; not expected)
2026-11-24 14:02:34,925 INFO gave up: shopd entered FATAL state, too many start retries too quickly
"""

SUPERVISORD_STOPPED = """\
shopd: listening on 127.0.0.1:22176, config /srv/shopd.json, pid 22757
shopd: stopping on SIGTERM
2026-11-24 14:02:33,640 INFO spawned: 'shopd' with pid 22757
2026-11-24 14:02:34,795 INFO success: shopd entered RUNNING state, process has stayed up for > than \
1 seconds (startsecs)
2026-11-24 14:02:36,287 INFO waiting for shopd to stop
2026-11-24 14:02:36,298 INFO stopped: shopd (exit status 0)
"""

SUPERVISORD_BAD_CONFIG = """\
shopd: listening on 127.0.0.1:22176, config /srv/shopd.json, pid 22757
shopd: stopping on SIGTERM
shopd: FATAL config error in /srv/shopd.json line 4 column 3: Expecting ',' delimiter: "data_dir": "/srv/data",
shopd: FATAL config error in /srv/shopd.json line 4 column 3: Expecting ',' delimiter: "data_dir": "/srv/data",
2026-11-24 14:02:37,662 INFO waiting for shopd to stop
2026-11-24 14:02:37,674 INFO stopped: shopd (exit status 0)
2026-11-24 14:02:37,677 INFO spawned: 'shopd' with pid 22814
2026-11-24 14:02:37,724 WARN exited: shopd (exit status 2; not expected)
2026-11-24 14:02:38,727 INFO spawned: 'shopd' with pid 22815
2026-11-24 14:02:38,774 WARN exited: shopd (exit status 2; not expected)
2026-11-24 14:02:39,775 INFO gave up: shopd entered FATAL state, too many start retries too quickly
"""

KERNEL = """\
[  100.000000] Out of memory: Killed process 11 (longago) total-vm:1kB
[ 9990.100000] python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
[ 9990.200000] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=h1,mems_allowed=0,oom_memcg=/lab/h1,\
task_memcg=/lab/h1,task=python3,pid=4242,uid=0
[ 9990.300000] Memory cgroup out of memory: Killed process 4242 (python3) total-vm:300000kB, anon-rss:90000kB
[ 9995.200000] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,\
task_memcg=/system.slice/nginx.service,task=nginx,pid=4300,uid=33
[ 9995.300000] Out of memory: Killed process 4300 (nginx) total-vm:300000kB
[ 9996.000000] EXT4-fs error (device vda1): ext4_find_entry:1455: inode #2: comm ls: reading directory lblock 0
"""
