from mcp_gateway_ranker_bm25 import mcp_gateway_rankers

from mcp_gateway_testkit import RankerContract


class TestBm25(RankerContract):
    (provider,) = mcp_gateway_rankers()
