"""OpenAPI documents of several servers in one, and old documents in the new form."""

from __future__ import annotations

from typing import Any

from kubetree.api.openapi.convert import to_v3
from kubetree.api.openapi.merge import filtered, merged
from kubetree.api.openapi.shared_parameters import share

Document = dict[str, Any]
KINDS = "x-kubernetes-group-version-kind"


def document(path: str, uses: str, **definitions: Document) -> Document:
    schema = {"$ref": f"#/definitions/{uses}"}
    operation = {"produces": ["application/json"], "responses": {"200": {"description": "OK", "schema": schema}}}
    return {"swagger": "2.0", "info": {"title": "x"}, "paths": {path: {"get": operation}}, "definitions": definitions}


def reference(found: Document, path: str) -> str:
    ref: str = found["paths"][path]["get"]["responses"]["200"]["schema"]["$ref"]
    return ref.rpartition("/")[2]


def test_definitions_of_one_name_and_two_meanings_are_both_kept() -> None:
    ours = document("/a", "Meta", Meta={"type": "object"})
    theirs = document("/b", "Thing", Thing={"properties": {"m": {"$ref": "#/definitions/Meta"}}}, Meta={"type": "string"})
    found = merged(ours, theirs)
    assert found["definitions"]["Meta"] == {"type": "object"}
    assert found["definitions"]["Meta_v2"] == {"type": "string"}
    assert found["definitions"]["Thing"]["properties"]["m"] == {"$ref": "#/definitions/Meta_v2"}
    assert theirs["definitions"]["Thing"]["properties"]["m"] == {"$ref": "#/definitions/Meta"}
    again = merged(found, document("/c", "Meta", Meta={"type": "string"}))
    assert reference(again, "/c") == "Meta_v2"
    third = merged(found, document("/c", "Meta", Meta={"type": "integer"}))
    assert reference(third, "/c") == "Meta_v3"


def test_a_definition_that_differs_in_its_kinds_only_is_one_for_all_of_them() -> None:
    def options(group: str) -> Document:
        return {"type": "object", KINDS: [{"group": group, "version": "v1", "kind": "DeleteOptions"}]}

    found = merged(document("/a", "Options", Options=options("b")), document("/b", "Options", Options=options("a")))
    assert [kind["group"] for kind in found["definitions"]["Options"][KINDS]] == ["a", "b"]
    assert reference(found, "/b") == "Options"


def test_paths_that_are_there_win_and_what_only_they_needed_stays_away() -> None:
    theirs = document("/a", "Evil", Evil={"type": "string"}, Good={"type": "object"})
    theirs["paths"]["/b"] = document("/b", "Good")["paths"]["/b"]
    found = merged(document("/a", "Ours", Ours={}), theirs)
    assert reference(found, "/a") == "Ours"
    assert sorted(found["definitions"]) == ["Good", "Ours"]


def test_a_server_is_asked_about_its_own_paths_only() -> None:
    theirs = document("/apis/g/v1/things", "Thing", Thing={"items": {"$ref": "#/definitions/Part"}}, Part={}, Other={}, Unused={})
    theirs["paths"]["/version/"] = document("/version/", "Other")["paths"]["/version/"]
    found = filtered(theirs, "/apis/g/v1/")
    assert list(found["paths"]) == ["/apis/g/v1/things"]
    assert sorted(found["definitions"]) == ["Part", "Thing", "Unused"]


def test_shared_parameters_are_named_as_upstreams() -> None:
    pretty = {
        "uniqueItems": True,
        "type": "string",
        "description": "d",
        "name": "pretty",
        "in": "query",
    }
    own = {"name": "name", "in": "path", "type": "string"}
    paths = {"/a": {"parameters": [dict(pretty), own], "get": {"parameters": [dict(pretty)]}}}
    found = share(paths)
    (name,) = found
    assert found[name] == pretty and name.startswith("pretty-") and len(name) == len("pretty-") + 8
    assert paths["/a"]["parameters"] == [{"$ref": f"#/parameters/{name}"}, own]


def test_the_new_form_has_bodies_contents_and_wrapped_references() -> None:
    old = document("/a", "Thing", Thing={"properties": {"m": {"$ref": "#/definitions/Meta", "description": "d"}}}, Meta={})
    body = {"name": "body", "in": "body", "schema": {"$ref": "#/definitions/Thing"}}
    old["paths"]["/a"]["post"] = {
        "consumes": ["application/json"],
        "parameters": [body, {"$ref": "#/parameters/limit-1"}],
        "responses": {"200": {"description": "OK"}},
    }
    old["parameters"] = {"limit-1": {"name": "limit", "in": "query", "type": "integer", "uniqueItems": True}}
    new = to_v3(old)
    post = new["paths"]["/a"]["post"]
    assert post["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Thing"}
    assert post["parameters"] == [{"name": "limit", "in": "query", "schema": {"type": "integer", "uniqueItems": True}}]
    content = new["paths"]["/a"]["get"]["responses"]["200"]["content"]
    assert content == {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
    field = new["components"]["schemas"]["Thing"]["properties"]["m"]
    assert field == {"allOf": [{"$ref": "#/components/schemas/Meta"}], "description": "d"}
