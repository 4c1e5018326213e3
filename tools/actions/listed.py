"""The catalogue's content. A new action is one file beside this one and one line here."""

from __future__ import annotations

from typing import Any

from tools.actions.action import Action
from tools.actions.clean_files import CleanLogs, CleanTmp, RemoveCoreDumps
from tools.actions.clean_stores import CleanPackageCache, VacuumJournal
from tools.actions.end_idle_sessions import EndIdleSessions
from tools.actions.end_session import EndSession
from tools.actions.expand_volume import ExpandVolume
from tools.actions.fail_over import FailBack, FailOver
from tools.actions.fence_primary import FencePrimary
from tools.actions.firewall_rules import RemoveFirewallRule, RestoreFirewallRule
from tools.actions.hard_reboot import HardReboot
from tools.actions.on_capacity import AddInstances, RemoveInstances
from tools.actions.on_ingress import AllowIngress, RevokeIngress
from tools.actions.on_managed_database import PromoteDatabase, RebootDatabase
from tools.actions.on_patroni import PatroniFailover, PatroniReinitialize, PatroniRestart
from tools.actions.promote_mariadb import PromoteMariaDb
from tools.actions.promote_postgres import PromotePostgres
from tools.actions.rebuild_mariadb import RebuildMariaDb, RestoreReplicaData
from tools.actions.rebuild_postgres import RebuildPostgres, RestorePostgresData
from tools.actions.reload_replication import ReloadReplication
from tools.actions.replication_slots import DropSlot, RecreateSlot
from tools.actions.repoint_replica import RepointReplica
from tools.actions.resize_instance import ResizeInstance, ShrinkInstance
from tools.actions.resolver import PutBackDns, RestoreDns
from tools.actions.restart_holder import RestartHolder
from tools.actions.restart_networking import RestartNetworking
from tools.actions.restart_receiver import RestartReceiver
from tools.actions.restart_replication import RestartReplication
from tools.actions.restart_service import RestartService
from tools.actions.resume_replay import ResumeReplay
from tools.actions.rotate_logs import RotateLogs
from tools.actions.routes import AddRoute, RemoveRoute
from tools.actions.soft_reboot import SoftReboot
from tools.actions.start_instance import StartInstance
from tools.actions.start_replication import StartReplication
from tools.actions.start_service import StartService
from tools.actions.start_unit import StartUnit
from tools.actions.stop_process import StopProcess
from tools.actions.stop_unit import StopUnit
from tools.actions.wait import Wait

CATALOG: tuple[type[Action[Any]], ...] = (
    RestartService,
    StartService,
    SoftReboot,
    HardReboot,
    StartInstance,
    Wait,
    CleanLogs,
    RotateLogs,
    VacuumJournal,
    CleanPackageCache,
    CleanTmp,
    RemoveCoreDumps,
    RestartHolder,
    ExpandVolume,
    StopUnit,
    StopProcess,
    StartUnit,
    StartReplication,
    RestartReplication,
    RepointReplica,
    EndSession,
    EndIdleSessions,
    RebuildMariaDb,
    RestoreReplicaData,
    FencePrimary,
    PromoteMariaDb,
    ResizeInstance,
    ShrinkInstance,
    AddInstances,
    RemoveInstances,
    AllowIngress,
    RevokeIngress,
    FailOver,
    FailBack,
    RebootDatabase,
    PromoteDatabase,
    ResumeReplay,
    ReloadReplication,
    RestartReceiver,
    RecreateSlot,
    DropSlot,
    RebuildPostgres,
    RestorePostgresData,
    PromotePostgres,
    PatroniRestart,
    PatroniReinitialize,
    PatroniFailover,
    RemoveFirewallRule,
    RestoreFirewallRule,
    RestartNetworking,
    RestoreDns,
    PutBackDns,
    AddRoute,
    RemoveRoute,
)
