from mcp_gateway_ranker_hybrid import mcp_gateway_rankers

from mcp_gateway_testkit import RankerContract


class TestHybrid(RankerContract):
    (provider,) = mcp_gateway_rankers()
