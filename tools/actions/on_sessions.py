"""What ending sessions of a database has in common, whatever its engine."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from graph.ports import ActionOutput
from graph.records import Resource
from tools.actions.action import Action, NotAllowed, P
from tools.actions.on_database import client_of
from tools.clients.databases.database import DatabaseError, Row, database_of, database_place
from tools.clients.databases.sessions import SESSION_ORDERS, SessionOrders

DEADLINE_SECONDS = 30.0


class OnSessions(Action[P]):
    """One statement that chooses and ends."""

    def admit(self, resource: Resource, params: P) -> P:
        """For engines whose sessions can be chosen and ended in one statement."""
        if resource.database is None:
            raise NotAllowed("action", f"{resource.key} declares no database")
        if resource.database.engine not in SESSION_ORDERS:
            known = " or ".join(SESSION_ORDERS)
            raise NotAllowed("action", f"{resource.key} is {resource.database.engine}; this is for {known}")
        return params

    @abstractmethod
    def statement(self, resource: Resource, params: P) -> str:
        """What is sent, whole."""

    def render(self, resource: Resource, params: P) -> str:
        """`mariadb://selfheal@10.0.0.7:3306/…> BEGIN NOT ATOMIC …`."""
        return f"{database_place(resource)}> {self.statement(resource, params)}"

    async def baseline(self, resource: Resource, params: P) -> dict[str, Any]:
        """How many connections there are."""
        try:
            status = await client_of(self.context, resource).status(resource)
        except DatabaseError as error:
            return {"unknown": str(error)[:200]}
        return {"connections_used": status.connections_used, "idle_in_transaction": status.idle_in_transaction}

    async def ask(self, resource: Resource, statement: str, *params: str | int | float) -> tuple[Row, ...]:
        """Raises DatabaseError."""
        return await client_of(self.context, resource).execute(resource, statement, params)


def ended(rows: tuple[Row, ...], none: str) -> ActionOutput:
    """What came of it, by the rows of the statement."""
    ids = " ".join(str(row["id"]).strip() for row in rows if row["ended"])
    return ActionOutput("succeeded", f"ended: {ids}") if ids else ActionOutput("failed", none)


def orders_for(resource: Resource) -> SessionOrders:
    """The statements of its engine."""
    return SESSION_ORDERS[database_of(resource).engine]
