"""Contracts for plugins, one for each plugin kind.

Subclass the one of your plugin kind, set `provider`, and pytest runs its tests.
"""

from mcp_gateway_testkit.auth import AuthContract
from mcp_gateway_testkit.client_transport import ClientTransportContract
from mcp_gateway_testkit.commands import CommandContract, RecordingContext
from mcp_gateway_testkit.contract import Contract
from mcp_gateway_testkit.ranker import RankerContract
from mcp_gateway_testkit.reference import reference_server
from mcp_gateway_testkit.server_transport import ServerTransportContract
from mcp_gateway_testkit.storage import StorageContract
from mcp_gateway_testkit.variables import VariableSourceContract
from mcp_gateway_testkit.wire import Session, session

__all__ = [
    "AuthContract",
    "ClientTransportContract",
    "CommandContract",
    "Contract",
    "RankerContract",
    "RecordingContext",
    "ServerTransportContract",
    "Session",
    "StorageContract",
    "VariableSourceContract",
    "reference_server",
    "session",
]
