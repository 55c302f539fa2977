from mcp_gateway_ranker_regex import mcp_gateway_rankers

from mcp_gateway_testkit import RankerContract


class TestRegex(RankerContract):
    (provider,) = mcp_gateway_rankers()
