"""Where a message begins and ends, RFC 9112. In doubt the connection is refused: two readings are a smuggler's way in.

A refusal from here has no problem document: it comes from below the application.
"""

from tests.hostile.requests import API_KEY, Case, Requests

# What is sent is the whole request. <list> is where things are created and listed, <host> and <key> are good headers.
GETS = [
    Case("HTTP/1.0 without Host", b"GET <list> HTTP/1.0\r\n<key>\r\n", 200),
    Case("an empty line before the request", b"\r\nGET <list> HTTP/1.1\r\n<host><key>\r\n", 200),  # RFC 9112 §2.2
    Case("an empty header", b"GET <list> HTTP/1.1\r\n<host><key>X-Empty:\r\n\r\n", 200),
    Case("a hundred headers", b"GET <list> HTTP/1.1\r\n<host><key>" + b"X: y\r\n" * 100 + b"\r\n", 200),
    Case("a wish for HTTP/2", b"GET <list> HTTP/1.1\r\n<host><key>Connection: Upgrade, HTTP2-Settings\r\n"
         b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", 200),
    Case("a wish for a WebSocket", b"GET <list> HTTP/1.1\r\n<host><key>Connection: Upgrade\r\nUpgrade: websocket\r\n"
         b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", 200),
    Case("no Host", b"GET <list> HTTP/1.1\r\n<key>\r\n", 400),
    Case("two Hosts", b"GET <list> HTTP/1.1\r\n<host><key>Host: elsewhere\r\n\r\n", 400),
    Case("one Host twice", b"GET <list> HTTP/1.1\r\n<host><host><key>\r\n", 400),
    Case("a Host that is none", b"GET <list> HTTP/1.1\r\nHost: a b\r\n<key>\r\n", 400),
    Case("a Host with a path", b"GET <list> HTTP/1.1\r\nHost: a/b\r\n<key>\r\n", 400),
    Case("a Host with a user", b"GET <list> HTTP/1.1\r\nHost: user@test\r\n<key>\r\n", 400),
    Case("bare line feeds", b"GET <list> HTTP/1.1\nHost: test\n\n", 400),
    Case("one bare line feed", b"GET <list> HTTP/1.1\r\n<host><key>X-One: 1\nX-Two: 2\r\n\r\n", 400),
    Case("a bare line feed at the end", b"GET <list> HTTP/1.1\r\n<host><key>\n", 400),
    Case("a bare carriage return", b"GET <list> HTTP/1.1\r\n<host><key>X-One: 1\rX-Two: 2\r\n\r\n", 400),
    Case("a folded header", b"GET <list> HTTP/1.1\r\n<host><key>X-Folded: a\r\n b\r\n\r\n", 400),
    Case("a header folded with a tab", b"GET <list> HTTP/1.1\r\n<host><key>X-Folded: a\r\n\tb\r\n\r\n", 400),
    Case("a first header that is folded", b"GET <list> HTTP/1.1\r\n X: y\r\n<host><key>\r\n", 400),
    Case("a header without a colon", b"GET <list> HTTP/1.1\r\n<host><key>X-None\r\n\r\n", 400),
    Case("a header without a name", b"GET <list> HTTP/1.1\r\n<host><key>: x\r\n\r\n", 400),
    Case("a space before the colon", b"GET <list> HTTP/1.1\r\n<host><key>X-Space : x\r\n\r\n", 400),
    Case("a space in a name", b"GET <list> HTTP/1.1\r\n<host><key>X Space: x\r\n\r\n", 400),
    Case("a name that is not ASCII", b"GET <list> HTTP/1.1\r\n<host><key>X-\xe9: x\r\n\r\n", 400),
    Case("NUL in a name", b"GET <list> HTTP/1.1\r\n<host><key>X-\0: x\r\n\r\n", 400),
    Case("NUL in a value", b"GET <list> HTTP/1.1\r\n<host><key>X-Nul: a\0b\r\n\r\n", 400),
    Case("no version", b"GET <list>\r\n<host><key>\r\n", 400),
    Case("a version that is not", b"GET <list> HTTP/1.9\r\n<host><key>\r\n", 400),
    Case("a version in small letters", b"GET <list> http/1.1\r\n<host><key>\r\n", 400),
    Case("a version and more", b"GET <list> HTTP/1.1 x\r\n<host><key>\r\n", 400),
    Case("HTTP/2 in an HTTP/1 request", b"GET <list> HTTP/2.0\r\n<host><key>\r\n", 400),
    Case("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 400),
    Case("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)), 400),
    Case("SSH", b"SSH-2.0-OpenSSH_9.2\r\n", 400),
    Case("Redis", b"*1\r\n$4\r\nPING\r\n", 400),
    Case("NULs", b"\0" * 1_000, 400),
]  # fmt: skip

# What is sent is the headers that say how long the body is, and then the body. <body> creates one more, of <length> bytes.
POSTS = [
    Case("a length", b"Content-Length: <length>\r\n\r\n<body>", 201),
    Case("zeros before a length", b"Content-Length: 000<length>\r\n\r\n<body>", 201),  # RFC 9110 §8.6: 1*DIGIT
    Case("chunks", b"Transfer-Encoding: chunked\r\n\r\n<size>\r\n<body>\r\n0\r\n\r\n", 201),
    Case("chunks in capitals", b"Transfer-Encoding: CHUNKED\r\n\r\n<size>\r\n<body>\r\n0\r\n\r\n", 201),
    Case("a chunk with an extension", b"Transfer-Encoding: chunked\r\n\r\n<size>;a=b\r\n<body>\r\n0\r\n\r\n", 201),
    Case("a trailer", b"Transfer-Encoding: chunked\r\n\r\n<size>\r\n<body>\r\n0\r\nX-Sum: 1\r\n\r\n", 201),
    Case("no length at all", b"\r\n<body>", 400, "malformed-json"),  # RFC 9112 §6.3: then there is no body
    Case("a length of 0", b"Content-Length: 0\r\n\r\n", 400, "malformed-json"),
    Case("a length of 0 and a body", b"Content-Length: 0\r\n\r\n<body>", 400, "malformed-json"),
    Case("only the last chunk", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "malformed-json"),
    Case("a length and chunks", b"Content-Length: <length>\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    Case("chunks and a length", b"Transfer-Encoding: chunked\r\nContent-Length: <length>\r\n\r\n0\r\n\r\n", 400),
    Case("two lengths", b"Content-Length: <length>\r\nContent-Length: 1\r\n\r\n<body>", 400),
    Case("one length twice", b"Content-Length: <length>\r\nContent-Length: <length>\r\n\r\n<body>", 400),
    Case("a list of lengths", b"Content-Length: <length>, <length>\r\n\r\n<body>", 400),
    Case("a negative length", b"Content-Length: -1\r\n\r\n<body>", 400),
    Case("a length with a plus", b"Content-Length: +<length>\r\n\r\n<body>", 400),
    Case("a length in hexadecimal", b"Content-Length: 0x20\r\n\r\n<body>", 400),
    Case("a length with a fraction", b"Content-Length: <length>.0\r\n\r\n<body>", 400),
    Case("an empty length", b"Content-Length:\r\n\r\n<body>", 400),
    Case("a length of 2^64", b"Content-Length: 18446744073709551616\r\n\r\n<body>", 400),
    Case("a length and a space before the colon", b"Content-Length : <length>\r\n\r\n<body>", 400),
    Case("a coding that nobody knows", b"Transfer-Encoding: gzip\r\n\r\n<body>", 400),
    Case("a coding that starts like the right one", b"Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n", 400),
    Case("a coding after the last", b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    Case("no coding by name", b"Transfer-Encoding: identity\r\n\r\n<body>", 400),
    Case("an empty coding", b"Transfer-Encoding:\r\n\r\n<body>", 400),
    Case("chunks twice over", b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    Case("two headers of codings", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", 400),
    Case("a chunk size that is none", b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n<body>\r\n0\r\n\r\n", 400),
    Case("an empty chunk size", b"Transfer-Encoding: chunked\r\n\r\n\r\n<body>\r\n0\r\n\r\n", 400),
    Case("a negative chunk size", b"Transfer-Encoding: chunked\r\n\r\n-1\r\n<body>\r\n0\r\n\r\n", 400),
    Case("a chunk size as C writes it", b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", 400),
    Case("a chunk size beyond 64 bits", b"Transfer-Encoding: chunked\r\n\r\n" + b"F" * 17 + b"\r\n<body>", 400),
    Case("a chunk longer than its size", b"Transfer-Encoding: chunked\r\n\r\n1\r\n<body>\r\n0\r\n\r\n", 400),
    Case("a chunk that ends in a bare line feed", b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\n0\r\n\r\n", 400),
    Case("a chunk size that ends in one", b"Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n", 400),
    Case("a folded trailer", b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n b\r\n\r\n", 400),
    Case("a trailer without a colon", b"Transfer-Encoding: chunked\r\n\r\n0\r\nX\r\n\r\n", 400),
]


def whole(target: Requests, template: bytes) -> bytes:
    body = target.body()
    for name, value in {
        b"<list>": target.collection.encode(),
        b"<host>": b"Host: test\r\n",
        b"<key>": b"Authorization: Bearer %s\r\n" % API_KEY.encode(),
        b"<length>": b"%d" % len(body),
        b"<size>": b"%x" % len(body),
        b"<body>": body,
    }.items():
        template = template.replace(name, value)
    return template


def posted(target: Requests, framing: bytes) -> bytes:
    head = target.post(headers={"Content-Length": []}).partition(b"\r\n\r\n")[0]
    return head + b"\r\n" + whole(target, framing)


# A proxy before us may end these elsewhere than we do.
IN_DOUBT = [case for case in POSTS if case.status == 400 and not case.problem]
