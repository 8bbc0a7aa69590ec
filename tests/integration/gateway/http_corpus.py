"""Bad HTTP input: every case must be answered with 2xx or 4xx, without a stack trace, and without holding the loop."""

import gzip
import json
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from gateway import ids

JSON = "application/json"
OK_QUERY = "{ __typename }"


@dataclass(frozen=True, slots=True)
class Case:
    """One request; `code` is the error that it must be answered with, `status` the status."""

    name: str
    method: str = "POST"
    body: bytes | None = None
    query_string: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    code: str | None = None
    status: int | None = None


def post(name: str, body: Any, *, code: str | None = None, status: int | None = None, **headers: str) -> Case:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Case(name, body=raw, headers={"Content-Type": JSON, **named}, code=code, status=status)


def document(name: str, text: str, *, code: str | None = None, variables: Any = None) -> Case:
    return post(name, {"query": text, "variables": variables}, code=code)


def cases() -> Iterator[Case]:
    """Return the whole corpus."""
    yield from bodies()
    yield from encodings()
    yield from types_and_methods()
    yield from gets()
    yield from syntax()
    yield from invalid()
    yield from monsters()
    yield from variables()
    yield from bad_ids()
    yield from headers()
    yield from persisted()
    yield from noise()


def bodies() -> Iterator[Case]:
    for text in ("null", "1", '"abc"', "true", "[]", "[{}]", "{}", "", " ", "{", "}", "nul", "'a'", "{]", "[1,", "NaN"):
        yield post(f"body {text!r}", text.encode(), code="BAD_REQUEST", status=400)
    for value in (1, 1.5, True, [], {}, ["{ __typename }"]):
        yield post(f"query is {value!r}", {"query": value}, code="BAD_REQUEST", status=400)
        yield post(f"operationName is {value!r}", {"query": OK_QUERY, "operationName": value}, status=400)
    for value in (1, "x", True, [], [1]):
        yield post(f"variables is {value!r}", {"query": OK_QUERY, "variables": value}, code="BAD_REQUEST", status=400)
        yield post(f"extensions is {value!r}", {"query": OK_QUERY, "extensions": value}, code="BAD_REQUEST", status=400)
    yield post("100,000 brackets", b"[" * 60_000, code="BAD_REQUEST", status=400)
    yield post("60,000 braces", b'{"a":' * 12_000, code="BAD_REQUEST", status=400)
    yield post("deep object", b'{"query":"{__typename}","variables":' + b'{"a":' * 9_000 + b"1" + b"}" * 9_000 + b"}")
    yield post("half a body", b'{"query": "{ __ty', code="BAD_REQUEST", status=400)
    yield post("two bodies", b'{"query":"{__typename}"}{"query":"{__typename}"}', code="BAD_REQUEST", status=400)
    yield post("duplicate keys", b'{"query":"{__typename}","query":"{__typename}"}')
    yield post("lone surrogate", b'{"query":"{ user(username: \\"\\ud800\\") { id } }"}')
    yield post(
        "surrogate in a variable", b'{"query":"query($a:String){user(username:$a){id}}","variables":{"a":"\\udfff"}}'
    )
    yield post("NUL in the query", {"query": "{ __typename \0 }"}, code="GRAPHQL_PARSE_FAILED")
    yield post("NUL in a variable", {"query": "query($a:String){user(username:$a){id}}", "variables": {"a": "a\0b"}})
    yield post("a body of 65 KiB", b'{"query":"' + b" " * 65 * 1024 + b'"}', code="BODY_TOO_LARGE", status=413)
    yield post("a body of 900 KB", b"x" * 900_000, code="BODY_TOO_LARGE", status=413)
    yield post("a long number", b'{"query":"{__typename}","variables":{"a":' + b"9" * 50_000 + b"}}")
    yield document("a subscription by POST", "subscription { live { __typename } }", code="SUBSCRIPTION_BY_HTTP")
    yield post("a batch", [{"query": OK_QUERY}] * 100, code="BAD_REQUEST", status=400)


def encodings() -> Iterator[Case]:
    good = json.dumps({"query": OK_QUERY}).encode()
    yield post("invalid UTF-8", b'{"query":"\xff\xfe"}', code="BAD_REQUEST", status=400)
    yield post("overlong UTF-8", b'{"query":"\xc0\xaf"}', code="BAD_REQUEST", status=400)
    yield post("byte order mark", b"\xef\xbb\xbf" + good)
    yield post("UTF-16", json.dumps({"query": OK_QUERY}).encode("utf-16"), code="BAD_REQUEST", status=400)
    yield post("UTF-32", json.dumps({"query": OK_QUERY}).encode("utf-32"), code="BAD_REQUEST", status=400)
    for charset in ("utf-16", "latin-1", "klingon", '"', "utf-8; charset=utf-16"):
        yield Case(f"charset {charset}", body=good, headers={"Content-Type": f"{JSON}; charset={charset}"})
    yield post("gzip", gzip.compress(good), Content_Encoding="gzip", status=415)
    yield post("gzip bomb", gzip.compress(b" " * 50_000_000), Content_Encoding="gzip")
    yield post("deflate", zlib.compress(good), Content_Encoding="deflate", status=415)
    yield post("gzip that is none", good, Content_Encoding="gzip")
    yield post("unknown encoding", good, Content_Encoding="rot13", status=415)


def types_and_methods() -> Iterator[Case]:
    good = json.dumps({"query": OK_QUERY}).encode()
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/xml",
        "",
        "json",
        "application/json+x",
        "text/html",
        "application/octet-stream",
        "*/*",
        ";;;",
    ):
        yield Case(f"type {kind!r}", body=good, headers={"Content-Type": kind}, status=415)
    for method in ("PUT", "DELETE", "PATCH", "HEAD", "TRACE", "PROPFIND", "QUERY"):
        yield Case(f"method {method}", method=method, status=405)
    yield Case("bare preflight", method="OPTIONS", status=204)
    for origin in ("https://evil.example", "null", "https://app.example.evil.example", "http://app.example", "file://"):
        yield Case(f"preflight of {origin}", method="OPTIONS", headers={"Origin": origin}, status=403)
        yield post(f"origin {origin}", {"query": OK_QUERY}, Origin=origin, status=403)


def gets() -> Iterator[Case]:
    yield Case("GET without a query", "GET", status=400)
    yield Case("GET with an empty query", "GET", query_string="query=")
    yield Case("GET of a mutation", "GET", query_string="query=" + quote("mutation { __typename }"), status=405)
    yield Case(
        "GET of a subscription",
        "GET",
        query_string="query=" + quote("subscription { live { __typename } }"),
        code="SUBSCRIPTION_BY_HTTP",
    )
    for name, value in (("variables", "{"), ("variables", "1"), ("extensions", "[]"), ("variables", "%FF")):
        yield Case(f"GET with {name} {value}", "GET", query_string=f"query={quote(OK_QUERY)}&{name}={value}")
    yield Case("GET with two queries", "GET", query_string="query=a&query=b")
    yield Case("GET of 7,000 characters", "GET", query_string="query=" + "a" * 7_000)
    yield Case("GET of 20,000 characters", "GET", query_string="query=" + "a" * 20_000)


def syntax() -> Iterator[Case]:
    for text in (
        "",
        " ",
        "{",
        "}",
        "{}",
        "{ }",
        "{ a",
        "query",
        "query {",
        "query ($a) { b }",
        "{ a(: 1) }",
        "{ a(b: ) }",
        "{ ...  }",
        "fragment",
        "fragment on on User { id }",
        "fragment a on User",
        "mutation {",
        '{ a(b: "',
        '{ a(b: """',
        "{ a @ }",
        "{ a(b: 01) }",
        "{ a(b: 1.) }",
        "{ a(b: -) }",
        "{ a(b: $) }",
        "\u202e{ a }",
        "{ a # }",
        "type A { b: C }",
        "\ufeff",
        "{ a(b: {c: }) }",
        "{ é }",
        "subscription",
        "{ a: : b }",
        "extend type Query { a: Int }",
        "{ ... on { a } }",
    ):
        yield document(f"syntax {text!r}", text)


def invalid() -> Iterator[Case]:
    for text in (
        "{ nothing }",
        "{ viewer }",
        "{ viewer { nothing } }",
        "{ viewer { id { id } } }",
        "{ feed(first: 1.5) { isStale } }",
        '{ feed(first: "1") { isStale } }',
        "{ feed(frist: 1) { isStale } }",
        "{ post { id } }",
        "{ post(id: {}) { id } }",
        "query ($a: Nothing) { viewer { id } }",
        "query ($a: User) { viewer { id } }",
        "{ viewer { ...A } }",
        "fragment A on User { id } { viewer { id } }",
        "{ viewer { ... on Post { id } } }",
        "{ viewer @nothing { id } }",
        "{ viewer @skip { id } }",
        "{ a: viewer { id } a: post(id: 1) { id } }",
        "query A { viewer { id } } query A { viewer { id } }",
        "query ($a: Int, $a: Int) { feed(first: $a) { isStale } }",
        "{ feed(first: $a) { isStale } }",
        "mutation { nothing }",
        "subscription { live { __typename } inbox { __typename } }",
        "query A { viewer { id } } { viewer { id } }",
        "fragment A on User { ...A } { viewer { ...A } }",
        "{ __type(name: 1) { name } }",
        "{ feed @defer { isStale } }",
    ):
        yield document(f"invalid {text!r}", text, code="GRAPHQL_VALIDATION_FAILED")
    yield document(
        "two operations and no name", "query A { viewer { id } } query B { viewer { id } }", code="OPERATION_UNKNOWN"
    )
    yield post("a name that is not there", {"query": OK_QUERY, "operationName": "A"}, code="OPERATION_UNKNOWN")


def doubling(count: int) -> str:
    links = "".join(f"fragment f{i} on User{{...f{i + 1} ...f{i + 1}}}" for i in range(count))
    return "{viewer{...f0}}" + links + f"fragment f{count} on User{{id}}"


def monsters() -> Iterator[Case]:
    too_much = "QUERY_TOO_COMPLEX"
    for count in (12, 20, 30, 300):
        yield document(f"fragments that double {count} times", doubling(count), code=too_much)
    yield document(
        "748 bytes of doubling fragments",
        "{viewer{...a0}}"
        + "".join(f"fragment a{i} on User{{...a{i + 1} ...a{i + 1} }}" for i in range(18))
        + "fragment a18 on User{username}",
        code=too_much,
    )
    yield document(
        "doubling with aliases",
        "{viewer{"
        + "".join(f"x{i}:posts{{...p}}" for i in range(100))
        + "}}fragment p on PostConnection{edges{node{id}}}",
        code=too_much,
    )
    yield document(
        "fragments in a ring",
        "{viewer{...a}} fragment a on User{...b} fragment b on User{...c} fragment c on User{...a}",
    )
    yield document(
        "a fragment that spreads itself 500 times", "{viewer{...a}} fragment a on User{id " + "...a " * 500 + "}"
    )
    for depth in (25, 200, 5_000):
        yield document(
            f"{depth} levels",
            "{viewer" + "{posts{edges{node{author" * (depth // 4) + "{id}" + "}}}}" * (depth // 4) + "}",
        )
    yield document("20,000 opening braces", "{a" * 20_000)
    yield document("lists in lists", "{ post(id: " + "[" * 5_000 + "]" * 5_000 + ") { id } }")
    yield document("objects in objects", "{ post(id: " + "{a:" * 5_000 + "1" + "}" * 5_000 + ") { id } }")
    for count in (61, 1_000, 4_000):
        yield document(
            f"{count} aliases",
            "{" + " ".join(f"a{i}:__typename" for i in range(count)) + "}",
            code=None if count > 1_000 else too_much,
        )
    yield document("700 fields", "{viewer{" + "id " * 700 + "}}", code=too_much)
    yield document("15,000 fields", "{viewer{" + "id " * 15_000 + "}}")
    yield document("100 directives on a field", "{ viewer { id" + " @skip(if: false)" * 100 + " } }", code=too_much)
    yield document("directives on spreads", "{ viewer {" + " ... @skip(if: true) { id }" * 100 + " } }", code=too_much)
    yield document("directives on the operation", "query " + "@a " * 1_000 + "{ __typename }")
    yield document("1,000 operations", " ".join(f"query q{i} {{ __typename }}" for i in range(1_000)))
    yield document("25 operations", " ".join(f"query q{i} {{ __typename }}" for i in range(25)), code=too_much)
    yield document("2,000 variables", "query (" + " ".join(f"$a{i}: Int" for i in range(2_000)) + ") { __typename }")
    yield document("100 unused variables", "query (" + " ".join(f"$a{i}: Int" for i in range(100)) + ") { __typename }")
    yield document("1,000 arguments", "{ feed(" + " ".join(f"a{i}: 1" for i in range(1_000)) + ") { isStale } }")
    yield document("60,000 commas", "{" + "," * 60_000 + "__typename}")
    yield document("30,000 comments", "{" + "#\n" * 15_000 + "__typename}")
    yield document("a string of 60,000 characters", '{ user(username: "' + "a" * 60_000 + '") { id } }')
    yield document("30,000 escaped quotes in a string that never ends", '"\\"' * 30_000)
    yield document("a block string that never ends", '{ a(b: """' + '\\"""' * 12_000)
    yield document("2,000 names", "{" + " a" * 2_000 + "}", code=too_much)
    yield document("a block string", '{ user(username: """' + "\n " * 20_000 + '""") { id } }')
    yield document("a name of 60,000 letters", "{ " + "a" * 60_000 + " }")
    yield document("500 unknown names", "{" + " ".join(f"nothing{i}" for i in range(500)) + "}")
    yield document(
        "names that are almost right", "{" + " ".join(f"story{'x' * (i % 9)}Tray{i}" for i in range(400)) + "}"
    )
    yield document(
        "the same field 500 times with arguments",
        "{viewer{" + "".join(f"...on User{{posts(first:{i % 50 + 1}){{edges{{cursor}}}}}}" for i in range(150)) + "}}",
    )
    yield document(
        "lists of lists of lists",
        "{feed(first:50){edges{node{author{posts(first:50){edges{node{author{posts(first:50){edges{node{id}}}}}}}}}}}}",
        code=too_much,
    )
    yield document("21 root fields", "{" + " ".join(f"a{i}: viewer {{ id }}" for i in range(21)) + "}", code=too_much)
    yield document("introspection in circles", "{__schema{types{" + "fields{type{" * 8 + "name" + "}}" * 8 + "}}}")
    yield document("inline fragments 1,000 deep", "{viewer{" + "... on User{" * 1_000 + "id" + "}" * 1_000 + "}}")
    yield document(
        "pairs that overlap",
        "{viewer{" + "".join(f"...on User{{a{i % 7}:username a{i % 7}:displayName}}" for i in range(80)) + "}}",
    )


def variables() -> Iterator[Case]:
    for value in ("x", 1.5, [], {}, True, 2**40, -(2**40), "9" * 1_000):
        yield document(
            f"first is {str(value)[:20]!r}",
            "query ($a: Int) { feed(first: $a) { isStale } }",
            variables={"a": value},
            code="BAD_USER_INPUT",
        )
    yield document("a required variable is missing", "query ($a: ID!) { post(id: $a) { id } }", code="BAD_USER_INPUT")
    yield document(
        "a required variable is null",
        "query ($a: ID!) { post(id: $a) { id } }",
        variables={"a": None},
        code="BAD_USER_INPUT",
    )
    create = "mutation ($i: CreatePostInput!) { createPost(input: $i) { post { id } } }"
    for value in (
        None,
        1,
        [],
        {},
        {"uploadId": 1},
        {"uploadId": "a", "idempotencyKey": "b", "more": 1},
        {"uploadId": [], "idempotencyKey": {}},
    ):
        yield document(f"input is {value!r}", create, variables={"i": value}, code="BAD_USER_INPUT")
    nested: Any = 1
    for _ in range(400):
        nested = {"a": nested}
    yield document("a deep input", create, variables={"i": nested}, code="BAD_USER_INPUT")
    yield document("10,000 wrong list items", "query ($a: [Int]) { __typename }", variables={"a": ["x"] * 5_000})
    yield document(
        "an enum that is none",
        'mutation { createUpload(input: {kind: NOTHING, contentType: "a", byteSize: 1}) { upload { id } } }',
        code="GRAPHQL_VALIDATION_FAILED",
    )
    yield document(
        "a caption of 50,000",
        create,
        variables={
            "i": {
                "uploadId": ids.encode("Upload", "20000000-0000-4000-8000-000000000001"),
                "idempotencyKey": "k",
                "caption": "a" * 50_000,
            }
        },
        code="CAPTION_TOO_LONG",
    )
    yield document("extra variables", OK_QUERY, variables={f"a{i}": i for i in range(2_000)})


def bad_ids() -> Iterator[Case]:
    for one in (
        "",
        "x",
        "=",
        "UG9zdDox=",
        "UG9zdDo",
        "UG9zdDow",
        "UG9zdDotMQ",
        "VXNlcjox",
        "../../etc/passwd",
        "a" * 10_000,
        "é",
        "%00",
        ids.encode("Post", 2**63),
        ids.encode("Post", 2**200),
        ids.encode("Post", "1'; drop table posts; --"),
        ids.encode("Post", "1\n2"),
        ids.encode("", ""),
        ids.encode("Post", "٣"),
    ):
        yield document(
            f"id {one[:30]!r}", "query ($a: ID!) { post(id: $a) { id } }", variables={"a": one}, code="ID_INVALID"
        )
    for after in ("", " ", "a" * 2_000, "\n", "é", "\0"):
        yield document(
            f"cursor {after[:10]!r}", "query ($a: String) { feed(after: $a) { isStale } }", variables={"a": after}
        )


def headers() -> Iterator[Case]:
    good = {"query": OK_QUERY}
    for value in (
        "",
        "Bearer",
        "Bearer ",
        "Basic eDp5",
        "Bearer x",
        "Bearer a.b.c",
        "bearer " + "x" * 5_000,
        "Bearer é",
        "x y z",
    ):
        yield post(f"authorization {value[:20]!r}", good, Authorization=value, code="UNAUTHENTICATED", status=401)
    for value in ("text/html", "image/*", "application/xml;q=1", "x", ";"):
        yield post(f"accept {value}", good, Accept=value, status=406)
    yield post("a header of 9,000 characters", good, X_Long="x" * 9_000)
    yield post("200 headers", good, **{f"X_{i}": "y" for i in range(200)})
    for value in ("x", "00-zz-1-1", "00-" + "0" * 32 + "-1-01", "00-" + "é" * 32 + "-1-01"):
        yield post(f"traceparent {value!r}", good, traceparent=value)
    yield post("expect", good, Expect="something")
    yield Case("upgrade that is none", "GET", headers={"Upgrade": "websocket", "Connection": "Upgrade"})
    yield Case("upgrade to another thing", "GET", headers={"Upgrade": "h2c", "Connection": "Upgrade"}, status=400)


def persisted() -> Iterator[Case]:
    def ask(sha256: Any, query: str | None = None) -> dict[str, Any]:
        return {"query": query, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256}}}

    yield post("an unknown hash", ask("0" * 64), code="PERSISTED_QUERY_NOT_FOUND")
    yield post("the hash of another text", ask("0" * 64, OK_QUERY), code="PERSISTED_QUERY_MISMATCH")
    for value in (1, None, [], {}, True):
        yield post(f"hash {value!r}", ask(value), code="INVALID_ARGUMENT")
    yield post("persistedQuery is a list", {"extensions": {"persistedQuery": []}}, code="INVALID_ARGUMENT")
    yield post("extensions of another kind", {"extensions": {"a": 1}}, code="INVALID_ARGUMENT")


def noise() -> Iterator[Case]:
    """Good requests with bytes knocked out, the same ones every time."""
    chance = random.Random(7)
    good = json.dumps(
        {"query": "query A($a: Int) { feed(first: $a) { edges { node { id } } } }", "variables": {"a": 3}}
    )
    for index in range(20):
        raw = bytearray(good.encode())
        for _ in range(chance.randint(1, 6)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        yield post(f"noise {index}", bytes(raw))
