import pytest
from mcp_gateway_variables_keyring import mcp_gateway_commands, mcp_gateway_variable_sources
from mcp_gateway_variables_keyring.secrets import write_secret

from mcp_gateway_testkit import CommandContract, VariableSourceContract


class TestKeyring(VariableSourceContract):
    (source,) = mcp_gateway_variable_sources()

    @pytest.fixture
    def values(self, kept):
        write_secret("github.TOKEN", "s3cr3t")
        return {"github.TOKEN": "s3cr3t"}


class TestSecret(CommandContract):
    (command,) = mcp_gateway_commands()
