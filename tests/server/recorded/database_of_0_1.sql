BEGIN TRANSACTION;
CREATE TABLE acknowledgements (
	id INTEGER NOT NULL, 
	incident_id VARCHAR(36) NOT NULL, 
	call_id INTEGER NOT NULL, 
	"by" TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	comment TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE alerts (
	id INTEGER NOT NULL, 
	incident_id VARCHAR(36) NOT NULL, 
	fingerprint VARCHAR(200) NOT NULL, 
	starts_at FLOAT, 
	status VARCHAR(10) NOT NULL, 
	body JSON NOT NULL, 
	count INTEGER NOT NULL, 
	first_at FLOAT NOT NULL, 
	last_at FLOAT NOT NULL, 
	news_at FLOAT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (incident_id, fingerprint), 
	FOREIGN KEY(incident_id) REFERENCES incidents (id)
);
INSERT INTO "alerts" VALUES(1,'01a21b8d-653d-752a-bf87-300df798c0d3','d4c98390840917fe',NULL,'firing','{"status": "firing", "labels": {"alertname": "InstanceDown", "resource_kind": "Instance", "resource_id": "inst-1"}, "annotations": {}, "startsAt": null, "endsAt": null, "generatorURL": "", "fingerprint": "d4c98390840917fe"}',1,1767225600.0,1767225600.0,1767225600.0);
INSERT INTO "alerts" VALUES(2,'01a21b8d-6555-703c-a121-47a5f7783d2b','344effc4fb666ab4',NULL,'firing','{"status": "firing", "labels": {"alertname": "InstanceDown", "resource_kind": "Instance", "resource_id": "inst-2"}, "annotations": {}, "startsAt": null, "endsAt": null, "generatorURL": "", "fingerprint": "344effc4fb666ab4"}',1,1767225600.0,1767225600.0,1767225600.0);
INSERT INTO "alerts" VALUES(3,'01a21b8d-6569-7572-b806-e82a7e366385','051eaab70b711bc5',NULL,'firing','{"status": "firing", "labels": {"alertname": "InstanceDown", "resource_kind": "Instance", "resource_id": "inst-9"}, "annotations": {}, "startsAt": null, "endsAt": null, "generatorURL": "", "fingerprint": "051eaab70b711bc5"}',1,1767225600.0,1767225600.0,1767225600.0);
CREATE TABLE approvals (
	id INTEGER NOT NULL, 
	incident_id VARCHAR(36) NOT NULL, 
	asked_fingerprint VARCHAR(64) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	request JSON NOT NULL, 
	"plan" JSON NOT NULL, 
	asked_at FLOAT NOT NULL, 
	expires_at FLOAT NOT NULL, 
	plan_fingerprint VARCHAR(64), 
	decision VARCHAR(20), 
	decided_by TEXT, 
	decided_at FLOAT, 
	comment TEXT, 
	answer JSON, 
	PRIMARY KEY (id)
);
INSERT INTO "approvals" VALUES(1,'01a21b8d-653d-752a-bf87-300df798c0d3','b9cdae9e1d8b2c24','waiting','{"action_requests": []}','{"steps": [{"action": "restart_service", "params": {}, "why": "", "expect": "", "rendered": "restart_service", "risk": "disruptive", "judged_by": "resource", "undo": null}], "summary": "try it", "author": "", "attempt": 1, "planned_at": null, "beyond_remedies": ""}',1767225600.0,2082585600.0,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	who TEXT NOT NULL, 
	what VARCHAR(100) NOT NULL, 
	incident_id VARCHAR(36), 
	detail JSON NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "audit" VALUES(1,1767225600.0,'ada','pause',NULL,'{"reason": "the move", "scope": "group:web", "until": null}');
CREATE TABLE calls (
	id INTEGER NOT NULL, 
	incident_id VARCHAR(36) NOT NULL, 
	event VARCHAR(30) NOT NULL, 
	"key" VARCHAR(200) NOT NULL, 
	at FLOAT NOT NULL, 
	payload JSON NOT NULL, 
	told JSON NOT NULL, 
	ended_at FLOAT, 
	ended_why TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "calls" VALUES(1,'01a21b8d-653d-752a-bf87-300df798c0d3','approval_wanted','b9cdae9e1d8b2c24',1767225600.0,'{"event": "approval_wanted", "incident_id": "01a21b8d-653d-752a-bf87-300df798c0d3", "number": 1, "resource": "Instance/inst-1", "issue_types": ["service_down"], "reason": "no policy", "at": "2026-01-01T00:00:00+00:00", "key": "b9cdae9e1d8b2c24", "plan_fingerprint": "b9cdae9e1d8b2c24", "steps": ["restart_service"], "expires_at": "2035-12-30T00:00:00+00:00"}','[]',NULL,NULL);
INSERT INTO "calls" VALUES(2,'01a21b8d-6569-7572-b806-e82a7e366385','escalated','opened',1767225600.0,'{"event": "escalated", "incident_id": "01a21b8d-6569-7572-b806-e82a7e366385", "number": 3, "resource": "Instance/inst-9", "issue_types": ["service_down"], "reason": "label resource_id=''inst-9'' names no declared Instance: add it to `resources` in selfheal.yaml", "at": "2026-01-01T00:00:00+00:00", "key": "opened"}','[]',NULL,NULL);
CREATE TABLE command_texts (
	digest VARCHAR(64) NOT NULL, 
	command TEXT NOT NULL, 
	PRIMARY KEY (digest)
);
CREATE TABLE commands (
	id INTEGER NOT NULL, 
	incident_id VARCHAR(36) NOT NULL, 
	purpose VARCHAR(20) NOT NULL, 
	step VARCHAR(200) NOT NULL, 
	target VARCHAR(500) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	first_at FLOAT NOT NULL, 
	last_at FLOAT NOT NULL, 
	count INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (incident_id, purpose, step, target, digest)
);
CREATE TABLE confirmations (
	id INTEGER NOT NULL, 
	incident_id VARCHAR(36) NOT NULL, 
	"by" TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	cause VARCHAR(200) NOT NULL, 
	"right" INTEGER, 
	comment TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE demotions (
	id INTEGER NOT NULL, 
	resource_kind VARCHAR(200) NOT NULL, 
	issue_type VARCHAR(50) NOT NULL, 
	at FLOAT NOT NULL, 
	why TEXT NOT NULL, 
	incident_id VARCHAR(36) NOT NULL, 
	lifted_at FLOAT, 
	lifted_by TEXT, 
	PRIMARY KEY (id)
);
CREATE TABLE evidence_raw (
	ref VARCHAR(300) NOT NULL, 
	incident_id VARCHAR(36) NOT NULL, 
	source VARCHAR(100) NOT NULL, 
	raw TEXT NOT NULL, 
	PRIMARY KEY (ref)
);
CREATE TABLE incidents (
	number INTEGER NOT NULL, 
	id VARCHAR(36) NOT NULL, 
	resource_kind VARCHAR(200) NOT NULL, 
	resource_id VARCHAR(3000) NOT NULL, 
	phase VARCHAR(20) NOT NULL, 
	leg INTEGER NOT NULL, 
	holder VARCHAR(200), 
	lease_until FLOAT, 
	begun_at FLOAT, 
	wake_at FLOAT, 
	wait_reason TEXT, 
	failures INTEGER NOT NULL, 
	fresh INTEGER NOT NULL, 
	recheck INTEGER NOT NULL, 
	cancel_by TEXT, 
	withdrawn INTEGER NOT NULL, 
	issue_types JSON NOT NULL, 
	resource JSON, 
	attempts JSON NOT NULL, 
	outcome JSON, 
	received_at FLOAT NOT NULL, 
	updated_at FLOAT NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (id)
);
INSERT INTO "incidents" VALUES(1,'01a21b8d-653d-752a-bf87-300df798c0d3','Instance','inst-1','waiting_approval',2,NULL,NULL,1767225600.0,2082585600.0,'waiting for approval: no policy',0,0,0,NULL,0,'["service_down"]','{"id": "inst-1", "kind": "Instance", "address": "192.0.2.1", "group": "", "transport": "ssh", "ssh": {"user": "ops", "key_file": "k", "known_hosts": "h", "port": 22, "sudo": null}, "provider": {"name": "none", "region": null, "instance_id": null, "endpoint_url": null}, "service_manager": {"name": "systemd", "config": null, "command": null}, "services": [], "health": [], "host": null, "volumes": [], "cleanup": {"log_roots": ["/var/log"], "tmp_roots": ["/tmp", "/var/tmp"], "core_roots": ["/var/lib/systemd/coredump", "/var/crash"], "package_cache": true, "journal_keep_mib": 64, "min_age_minutes": 60, "restart_units": []}, "security_groups": [], "scaling": {"instance_types": [], "auto_scaling_group": null, "max_capacity": null}, "failover": null, "network": {"interface": null, "gateway": null, "ports": [], "nameservers": [], "resolve": [], "service": "systemd-networkd"}, "depends_on": [], "database": null, "thresholds": {"disk_used_percent": 90.0, "inodes_used_percent": 95.0, "cpu_percent": 85.0}, "traffic": null}','[]','null',1767225600.0,1767225600.0);
INSERT INTO "incidents" VALUES(2,'01a21b8d-6555-703c-a121-47a5f7783d2b','Instance','inst-2','closed',2,NULL,NULL,1767225600.0,NULL,NULL,0,0,0,NULL,0,'["service_down"]','{"id": "inst-2", "kind": "Instance", "address": "192.0.2.1", "group": "", "transport": "ssh", "ssh": {"user": "ops", "key_file": "k", "known_hosts": "h", "port": 22, "sudo": null}, "provider": {"name": "none", "region": null, "instance_id": null, "endpoint_url": null}, "service_manager": {"name": "systemd", "config": null, "command": null}, "services": [], "health": [], "host": null, "volumes": [], "cleanup": {"log_roots": ["/var/log"], "tmp_roots": ["/tmp", "/var/tmp"], "core_roots": ["/var/lib/systemd/coredump", "/var/crash"], "package_cache": true, "journal_keep_mib": 64, "min_age_minutes": 60, "restart_units": []}, "security_groups": [], "scaling": {"instance_types": [], "auto_scaling_group": null, "max_capacity": null}, "failover": null, "network": {"interface": null, "gateway": null, "ports": [], "nameservers": [], "resolve": [], "service": "systemd-networkd"}, "depends_on": [], "database": null, "thresholds": {"disk_used_percent": 90.0, "inodes_used_percent": 95.0, "cpu_percent": 85.0}, "traffic": null}','[]','{"status": "mitigated", "reason": "so it ended", "rule": "", "attempts": 0, "times": {"fired": null, "received": null, "diagnosed": null, "approved": null, "first_action": null, "verified": "2026-01-01T00:00:00Z", "closed": null}}',1767225600.0,1767225600.0);
INSERT INTO "incidents" VALUES(3,'01a21b8d-6569-7572-b806-e82a7e366385','Instance','inst-9','escalated',1,NULL,NULL,NULL,NULL,NULL,0,0,0,NULL,0,'["service_down"]','null','[]','{"status": "escalated", "reason": "label resource_id=''inst-9'' names no declared Instance: add it to `resources` in selfheal.yaml", "rule": "unplaced", "attempts": 0, "times": {"fired": null, "received": "2026-01-01T00:00:00Z", "diagnosed": null, "approved": null, "first_action": null, "verified": null, "closed": "2026-01-01T00:00:00Z"}}',1767225600.0,1767225600.0);
CREATE TABLE journal (
	idempotency_key VARCHAR(200) NOT NULL, 
	incident_id VARCHAR(36) NOT NULL, 
	resource VARCHAR(3300) NOT NULL, 
	attempt INTEGER NOT NULL, 
	action VARCHAR(100) NOT NULL, 
	rendered TEXT NOT NULL, 
	plan_fingerprint VARCHAR(64) NOT NULL, 
	holder VARCHAR(200) NOT NULL, 
	undo INTEGER NOT NULL, 
	starts INTEGER NOT NULL, 
	started_at FLOAT NOT NULL, 
	deadline_at FLOAT NOT NULL, 
	baseline JSON NOT NULL, 
	result JSON, 
	finished_at FLOAT, 
	PRIMARY KEY (idempotency_key)
);
INSERT INTO "journal" VALUES('01a21b8d-6555-703c-a121-47a5f7783d2b:1:0','01a21b8d-6555-703c-a121-47a5f7783d2b','Instance/inst-2',1,'restart_service','systemctl restart web','b9cdae9e1d8b2c24','w:2',0,1,1767225600.0,1767225630.0,'{"invocation_id": "a"}','{"idempotency_key": "01a21b8d-6555-703c-a121-47a5f7783d2b:1:0", "action": "restart_service", "params": {}, "step": 0, "status": "succeeded", "rendered": "systemctl restart web", "output": "", "rule": "", "started_at": null, "finished_at": "2026-01-01T00:00:00Z", "look_again_at": null, "undo": false, "proven_by_probe": false}',1767225600.0);
CREATE TABLE leases (
	target VARCHAR(3300) NOT NULL, 
	incident_id VARCHAR(36) NOT NULL, 
	PRIMARY KEY (target)
);
INSERT INTO "leases" VALUES('Instance/inst-1','01a21b8d-653d-752a-bf87-300df798c0d3');
CREATE TABLE meta (
	schema_version INTEGER NOT NULL
);
INSERT INTO "meta" VALUES(1);
CREATE TABLE model_calls (
	id INTEGER NOT NULL, 
	incident_id VARCHAR(36) NOT NULL, 
	at FLOAT NOT NULL, 
	purpose VARCHAR(20) NOT NULL, 
	attempt INTEGER NOT NULL, 
	model VARCHAR(200) NOT NULL, 
	prompt VARCHAR(100) NOT NULL, 
	method VARCHAR(20) NOT NULL, 
	messages JSON NOT NULL, 
	answer TEXT NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	problem TEXT NOT NULL, 
	input_tokens INTEGER NOT NULL, 
	output_tokens INTEGER NOT NULL, 
	reported INTEGER NOT NULL, 
	seconds FLOAT NOT NULL, 
	cost_usd FLOAT, 
	PRIMARY KEY (id)
);
CREATE TABLE model_texts (
	digest VARCHAR(64) NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (digest)
);
CREATE TABLE notifications (
	id INTEGER NOT NULL, 
	incident_id VARCHAR(36) NOT NULL, 
	resource VARCHAR(3300) NOT NULL, 
	event VARCHAR(30) NOT NULL, 
	dedup VARCHAR(300) NOT NULL, 
	target VARCHAR(100) NOT NULL, 
	call_id INTEGER, 
	payload JSON NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	folded INTEGER NOT NULL, 
	tries INTEGER NOT NULL, 
	created_at FLOAT NOT NULL, 
	next_at FLOAT NOT NULL, 
	sent_at FLOAT, 
	problem TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (incident_id, event, dedup, target)
);
CREATE TABLE one_time_tokens (
	digest VARCHAR(64) NOT NULL, 
	made_at FLOAT NOT NULL, 
	expires_at FLOAT NOT NULL, 
	used_at FLOAT, 
	PRIMARY KEY (digest)
);
CREATE TABLE outbox (
	id INTEGER NOT NULL, 
	payload JSON NOT NULL, 
	tries INTEGER NOT NULL, 
	next_at FLOAT NOT NULL, 
	sent_at FLOAT, 
	PRIMARY KEY (id)
);
INSERT INTO "outbox" VALUES(1,'{"event": "approval_wanted", "incident_id": "01a21b8d-653d-752a-bf87-300df798c0d3", "number": 1, "resource": "Instance/inst-1", "issue_types": ["service_down"], "reason": "no policy", "at": "2026-01-01T00:00:00+00:00", "key": "b9cdae9e1d8b2c24", "plan_fingerprint": "b9cdae9e1d8b2c24", "steps": ["restart_service"], "expires_at": "2035-12-30T00:00:00+00:00"}',0,1767225600.0,NULL);
INSERT INTO "outbox" VALUES(2,'{"event": "mitigated", "incident_id": "01a21b8d-6555-703c-a121-47a5f7783d2b", "number": 2, "resource": "Instance/inst-2", "issue_types": ["service_down"], "reason": "so it ended", "at": "2026-01-01T00:00:00+00:00", "key": "leg:1"}',0,1767225600.0,NULL);
INSERT INTO "outbox" VALUES(3,'{"event": "escalated", "incident_id": "01a21b8d-6569-7572-b806-e82a7e366385", "number": 3, "resource": "Instance/inst-9", "issue_types": ["service_down"], "reason": "label resource_id=''inst-9'' names no declared Instance: add it to `resources` in selfheal.yaml", "at": "2026-01-01T00:00:00+00:00", "key": "opened"}',0,1767225600.0,NULL);
CREATE TABLE past_heals (
	incident_id VARCHAR(36) NOT NULL, 
	number INTEGER NOT NULL, 
	resource_kind VARCHAR(200) NOT NULL, 
	resource_id VARCHAR(3000) NOT NULL, 
	suspected_cause VARCHAR(200) NOT NULL, 
	target TEXT, 
	alertnames JSON NOT NULL, 
	outcome VARCHAR(20) NOT NULL, 
	rule VARCHAR(100) NOT NULL, 
	attempts JSON NOT NULL, 
	reopened INTEGER NOT NULL, 
	comment TEXT NOT NULL, 
	closed_at FLOAT NOT NULL, 
	PRIMARY KEY (incident_id)
);
INSERT INTO "past_heals" VALUES('01a21b8d-6555-703c-a121-47a5f7783d2b',2,'Instance','inst-2','',NULL,'["InstanceDown"]','mitigated','','[{"actions": ["restart_service"], "cause": "", "held": true, "why": ""}]',0,'',1767225600.0);
CREATE TABLE pauses (
	scope VARCHAR(3300) NOT NULL, 
	"by" TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	until FLOAT, 
	PRIMARY KEY (scope)
);
INSERT INTO "pauses" VALUES('group:web','ada','the move',1767225600.0,NULL);
CREATE TABLE plots (
	incident_id VARCHAR(36) NOT NULL, 
	at FLOAT NOT NULL, 
	body JSON NOT NULL, 
	PRIMARY KEY (incident_id)
);
CREATE TABLE sessions (
	digest VARCHAR(64) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	via VARCHAR(20) NOT NULL, 
	role VARCHAR(20) NOT NULL, 
	grant JSON NOT NULL, 
	address VARCHAR(100) NOT NULL, 
	created_at FLOAT NOT NULL, 
	last_seen_at FLOAT NOT NULL, 
	expires_at FLOAT NOT NULL, 
	PRIMARY KEY (digest)
);
CREATE TABLE sign_in_failures (
	"key" TEXT NOT NULL, 
	failures INTEGER NOT NULL, 
	last_at FLOAT NOT NULL, 
	until FLOAT NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE silences (
	id INTEGER NOT NULL, 
	incident_id VARCHAR(36) NOT NULL, 
	fingerprint VARCHAR(200) NOT NULL, 
	silence_id VARCHAR(100) NOT NULL, 
	until FLOAT NOT NULL, 
	lifted INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (incident_id, fingerprint)
);
CREATE TABLE switches (
	name VARCHAR(50) NOT NULL, 
	"by" TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE takings (
	id INTEGER NOT NULL, 
	incident_id VARCHAR(36) NOT NULL, 
	"by" TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	until FLOAT NOT NULL, 
	comment TEXT NOT NULL, 
	ended_at FLOAT, 
	PRIMARY KEY (id)
);
CREATE TABLE timeline (
	id INTEGER NOT NULL, 
	incident_id VARCHAR(36) NOT NULL, 
	"key" VARCHAR(300) NOT NULL, 
	at FLOAT NOT NULL, 
	node VARCHAR(50) NOT NULL, 
	author TEXT NOT NULL, 
	sentence TEXT NOT NULL, 
	records JSON NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (incident_id, "key")
);
INSERT INTO "timeline" VALUES(1,'01a21b8d-653d-752a-bf87-300df798c0d3','received',1767225600.0,'server','alertmanager','received InstanceDown: firing','{}');
INSERT INTO "timeline" VALUES(2,'01a21b8d-6555-703c-a121-47a5f7783d2b','received',1767225600.0,'server','alertmanager','received InstanceDown: firing','{}');
INSERT INTO "timeline" VALUES(3,'01a21b8d-6569-7572-b806-e82a7e366385','received',1767225600.0,'server','alertmanager','received InstanceDown: firing','{}');
INSERT INTO "timeline" VALUES(4,'01a21b8d-6569-7572-b806-e82a7e366385','outcome',1767225600.0,'server','self-heal','escalated to a human: label resource_id=''inst-9'' names no declared Instance: add it to `resources` in selfheal.yaml','{"outcome": {"status": "escalated", "reason": "label resource_id=''inst-9'' names no declared Instance: add it to `resources` in selfheal.yaml", "rule": "unplaced", "attempts": 0, "times": {"fired": null, "received": "2026-01-01T00:00:00Z", "diagnosed": null, "approved": null, "first_action": null, "verified": null, "closed": "2026-01-01T00:00:00Z"}}}');
CREATE INDEX incidents_by_phase ON incidents (phase, wake_at);
CREATE UNIQUE INDEX one_open_incident_per_resource ON incidents (resource_kind, resource_id) WHERE phase != 'closed';
CREATE INDEX ix_evidence_raw_incident_id ON evidence_raw (incident_id);
CREATE INDEX ix_model_calls_incident_id ON model_calls (incident_id);
CREATE INDEX ix_model_calls_at ON model_calls (at);
CREATE INDEX ix_journal_incident_id ON journal (incident_id);
CREATE INDEX recent_actions ON journal (resource, started_at);
CREATE INDEX past_of_resource_and_cause ON past_heals (resource_kind, resource_id, suspected_cause, closed_at);
CREATE INDEX past_of_resource ON past_heals (resource_kind, resource_id, closed_at);
CREATE INDEX past_of_cause ON past_heals (resource_kind, suspected_cause, closed_at);
CREATE INDEX ix_approvals_incident_id ON approvals (incident_id);
CREATE INDEX ix_leases_incident_id ON leases (incident_id);
CREATE INDEX notifications_due ON notifications (state, target, next_at);
CREATE INDEX ix_calls_incident_id ON calls (incident_id);
CREATE INDEX ix_calls_ended_at ON calls (ended_at);
CREATE INDEX ix_acknowledgements_incident_id ON acknowledgements (incident_id);
CREATE INDEX ix_takings_incident_id ON takings (incident_id);
CREATE INDEX ix_confirmations_incident_id ON confirmations (incident_id);
CREATE INDEX demoted_pairs ON demotions (resource_kind, issue_type);
CREATE INDEX ix_sessions_expires_at ON sessions (expires_at);
CREATE INDEX ix_sign_in_failures_last_at ON sign_in_failures (last_at);
CREATE INDEX known_firings ON alerts (fingerprint, starts_at);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_no_insert BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
COMMIT;
