"""What each target usually gets: there fuzzing begins."""

from __future__ import annotations

import gzip
import zlib

POST = (
    b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    b"accept: application/json, text/event-stream\r\n"
)
GET = b"GET /mcp HTTP/1.1\r\nhost: localhost\r\n\r\n"

SEEDS: dict[str, tuple[bytes, ...]] = {
    "server_file": (
        b'{"servers": [{"name": "a", "command": "x", "args": ["${HOME}"], "env": {"A": "1"}, "timeout": 3}]}',
        b'{"mcpServers": {"My Server!": {"url": "http://h/mcp", "headers": {"A": "${EMPTY:-x}"}, "timeout": 5000}}}',
        b'// comment\n{"servers": {"b": {"type": "http", "url": "https://h:1/", "disabled": true,},},}',
    ),
    "environment": (b"servers.json\nstdio\nmemory\nbm25\n10\nauto\n300\nstateless\n30\n3", b"\nhttp\nredis"),
    "variables": (b"${A}", b"$${A}", b"${B:-${A}}", b"${env:A}", b"${A:-}"),
    "frame": (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a__b","arguments":{"x":1.0},"_meta":{"a":1}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"x","_meta":{"a":"b"}}}',
        b'{"tool_name":"a__b","arguments":{"x":[null,"\\u00e9"]}}',
        b'{"jsonrpc":"2.0","id":"x","result":{"content":[{"type":"text","text":"a"}],"isError":false,"big":1e400}}',
        b'{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"no","data":{}}}',
    ),
    "lines": (
        b'\x05\x20\x01\x40{"jsonrpc":"2.0","id":12,"result":{}}\n\n{"a":"'
        + b"x" * 100
        + b'","id":"s","jsonrpc":"2.0"}\nr',
    ),
    "child_line": (
        b'{"jsonrpc":"2.0","id":1,"result":{"text":"\\ud83d\\ude00 \\ud83d","x":NaN}}',
        b'{"result":{"content":[]},"jsonrpc":"2.0","id":12}',
        b'[{"id":"7","error":{"code":"x"}}]',
        b'\xef\xbb\xbf{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}',
    ),
    "child_output": (
        b'\x05\x20\x01\x40banner\n{"jsonrpc":"2.0","method":"m"}\r\n\n{"jsonrpc":"2.0","id":1,"result":{}}\n{"id":2.0,"result":1',
        b'\x05\x20\x01\x40{"jsonrpc":"2.0","id":1,"result":"'
        + b"x" * 1200
        + b'"}\n{"result":[1],"jsonrpc":"2.0","id":2}\n',
        b'\x05\x20\x01\x40{"jsonrpc":"2.0","id":"q","method":"ping","params":"' + b"x" * 1200 + b'"}\n',
    ),
    "client_lines": (
        b'\x05\x20\x01\x40{"jsonrpc":"2.0","id":1,"method":"ping"}\r\n\n\xef\xbb\xbf{"a":"\\ud83d"}\n[{"id":1}]\nx\xff\n{"b":1}',
        b'\x90\x20\x01\x40{"jsonrpc":"2.0","id":"q","method":"ping","params":"' + b"x" * 1200 + b'"}\n{"c":NaN}\n',
    ),
    "arguments": (
        b'{"query":"x","max_results":3,"use_regex":true,"server":["a"],"explain":false}',
        b'{"server_name":"a"}',
        b'{"tool_name":"a__b","arguments":"{\\"x\\": 1}","auth_header":"Bearer x"}',
    ),
    "definitions": (
        b'{"tools":[{"name":"t","inputSchema":{"type":"object","properties":{"p":{"type":"string"}}}}]}',
        b'{"tools":[{"name":"","description":7},{"name":"a__b c\\u00e9"}],"hints":{"tools":[1,"public"]}}',
    ),
    "names": (b"alpha\ntool", b"My Server!\n" + b"x" * 80, b"a_b\nc__d", b"__\n"),
    "events": (
        b"\x03\x07\x02\x09id: 1\r\ndata: {\ndata: }\n\n: comment\nretry: 10\nevent: message\rdata\r\rdata:x\n\n",
    ),
    "response": (
        b"\x09\x20\x08\x01HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
        b"\x09\x20\x08\x01HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\ndata: 2\n\n",
        b"\x09\x20\x08\x01HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n[1, 2, 3]\r\n0\r\n\r\n",
        b"\x00\x00\x00\x00HTTP/1.0 404\r\nContent-Encoding: gzip\r\n\r\nxx",
        b"\x20\x20\x20\x20HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: application/json\r\n\r\n"
        + gzip.compress(b'{"jsonrpc":"2.0","id":5,"result":{}}', mtime=0),
        b"\x20\x20\x20\x20HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Type: text/event-stream\r\n\r\n"
        + zlib.compress(b'data: {"jsonrpc":"2.0","id":5,"result":{}}\n\n'),
        (
            b"\x20\x20\x20\x20HTTP/1.1 103\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 41\r\n\r\n"
            b'\xef\xbb\xbf[{"jsonrpc":"2.0","id":"5","result":{}}]  '
        ),
        (
            b"\x20\x20\x20\x20HTTP/1.1 400 No\r\nContent-Length: 62\r\n\r\n"
            b'{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"no"}}'
        ),
        b"\x20\x20\x20\x20HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer error=x\r\nContent-Length: 0\r\n\r\n",
        b"\x20\x20\x20\x20HTTP/1.1 307 Go\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
        b"\x20\x20\x20\x20HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Type: text/plain\r\n\r\nbusy",
        (
            b"\x20\x20\x20\x20HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: 1\nretry: 5\ndata: "
            b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\n'
            b'data: {"jsonrpc":"2.0","id":5.0,"error":"x"}\n\n'
        ),
    ),
    "requests": (
        b"\x05\x20\x60\x40"
        + POST
        + b'content-length: 9\r\n\r\n{"a":"b"}'
        + POST
        + b'content-length: 9\r\n\r\n{"a":"c"}',
        b"\x90\x10\x04\x02"
        + POST
        + b'transfer-encoding: chunked\r\n\r\n5;x=y\r\n{"a":\r\n4\r\n"b"}\r\n0\r\nt: x\r\n\r\n',
        b"\x70\x30\x08\x01" + POST + b'expect: 100-continue\r\ncontent-length: 12\r\n\r\n\xef\xbb\xbf[{"a":1}]' + GET,
        b"\x01\x01\x01\x01" + GET + POST.replace(b"1.1", b"1.0") + b"content-length: 2\r\n\r\n{}" + GET,
    ),
    "query": (b"\x03read a file", b"\x83^tool_[0-4]$", b"\x01(a|b){2,}?.*[^x]\\d+(?i)", b"\x05alpha__tool_1 serch"),
}
