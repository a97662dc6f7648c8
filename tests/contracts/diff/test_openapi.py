"""Operations, parameters, headers, media types, statuses, problems and security, each in both directions."""

import pytest

from contracts.diff.compare import Verdict, compare
from contracts.problems import kind_of
from tests.contracts.diff.trees import Json, closed, exchange, operation, pact, shop, tree

TEXT = {"type": "string"}
READ: Json = {"method": "GET", "path": "/orders/ord-1"}


def told(base: Json, head: Json, *interactions: Json) -> list[tuple[str, Verdict]]:
    """What is said of the change for a portal with these interactions; `shop: ` is left out."""
    compared = compare(tree("base", base, pact(*interactions)), tree("head", head))
    assert compared.remarks == ()
    return [(change.sentence.removeprefix("shop: "), change.verdict) for change in compared.changes]


def test_an_operation_that_goes_breaks_who_calls_it() -> None:
    both, one = shop(operation(), operation()), shop(operation())
    assert told(both, one, exchange(**READ)) == [
        ("GET /orders/{order_id} is gone; the portal calls it", Verdict.SOMEBODY)
    ]
    assert told(both, one, exchange()) == [("GET /orders/{order_id} is gone", Verdict.NOBODY)]
    assert told(one, both, exchange()) == [("GET /orders/{order_id} is new", Verdict.COMPATIBLE)]


def test_a_document_that_goes_takes_its_operations_along() -> None:
    compared = compare(tree("base", shop(operation()), pact(exchange())), tree("head"))
    assert [change.sentence for change in compared.changes] == ["shop: POST /orders is gone; the portal calls it"]


def test_the_name_of_a_path_parameter_is_nobodys_business() -> None:
    def read(name: str, schema: Json) -> Json:
        parameter = {"name": name, "in": "path", "required": True, "schema": schema}
        return {"paths": {f"/orders/{{{name}}}": {"get": operation(parameters=[parameter])}}}

    assert told(read("order_id", TEXT), read("id", TEXT), exchange(**READ)) == []
    assert told(read("order_id", TEXT), read("id", {**TEXT, "maxLength": 3}), exchange(**READ)) == [
        (
            "GET /orders/{order_id} now takes at most 3 characters for the path parameter `order_id`, before any; "
            "the portal sends 'ord-1'",
            Verdict.SOMEBODY,
        )
    ]


@pytest.mark.parametrize(
    ("location", "named", "sent"),
    [
        ("query", "the query parameter `size`", {"query": {"size": ["5"]}}),
        ("header", "the header `size`", {"headers": {"Size": ["5"]}}),
    ],
)
def test_a_parameter_that_is_required_breaks_who_does_not_send_it(location: str, named: str, sent: Json) -> None:
    without, optional, required = (
        shop(operation(parameters=parameters))
        for parameters in (
            [],
            [{"name": "Size" if location == "header" else "size", "in": location, "schema": {"type": "integer"}}],
            [{"name": "size", "in": location, "required": True, "schema": {"type": "integer"}}],
        )
    )
    sentence = f"POST /orders now requires {named}"
    assert told(without, required, exchange()) == [(f"{sentence}; the portal does not send it", Verdict.SOMEBODY)]
    assert told(optional, required, exchange()) == [(f"{sentence}; the portal does not send it", Verdict.SOMEBODY)]
    assert told(without, required, exchange(**sent)) == [(sentence, Verdict.NOBODY)]
    assert told(without, optional, exchange()) == [(f"POST /orders now accepts {named}", Verdict.COMPATIBLE)]
    assert told(required, optional, exchange()) == [(f"POST /orders no longer requires {named}", Verdict.COMPATIBLE)]


def test_a_query_parameter_that_goes_breaks_who_sends_it_a_header_nobody() -> None:
    def taking(location: str) -> Json:
        return shop(operation(parameters=[{"name": "size", "in": location, "schema": TEXT}]))

    assert told(taking("query"), shop(operation()), exchange(query={"size": ["5"]})) == [
        ("POST /orders no longer accepts the query parameter `size`; the portal sends it", Verdict.SOMEBODY)
    ]
    assert told(taking("header"), shop(operation()), exchange(headers={"size": ["5"]})) == [
        ("POST /orders no longer reads the header `size`", Verdict.COMPATIBLE)
    ]


def test_numbers_and_lists_in_a_query_are_read_as_their_schema_says() -> None:
    def taking(schema: Json) -> Json:
        return shop(operation(parameters=[{"name": "size", "in": "query", "schema": schema}]))

    base, head = taking({"type": "integer", "maximum": 9}), taking({"type": "integer", "maximum": 5})
    sentence = "POST /orders now takes values up to 5 for the query parameter `size`, before up to 9"
    assert told(base, head, exchange(query={"size": ["5"]})) == [(sentence, Verdict.NOBODY)]
    assert told(base, head, exchange(query={"size": ["7"]})) == [
        (f"{sentence}; the portal sends '7'", Verdict.SOMEBODY)
    ]
    base, head = taking({"type": "array"}), taking({"type": "array", "maxItems": 1})
    sentence = "POST /orders now takes at most 1 elements of the query parameter `size`, before any"
    assert told(base, head, exchange(query={"size": ["5"]})) == [(sentence, Verdict.NOBODY)]
    assert told(base, head, exchange(query={"size": ["5", "6"]})) == [
        (f'{sentence}; the portal sends ["5","6"]', Verdict.SOMEBODY)
    ]


def test_a_body_that_is_asked_for_from_now_on() -> None:
    none, body = shop(operation()), shop(operation(request=closed({})))
    assert told(none, body, exchange()) == [
        ("POST /orders now requires a body; the portal does not send it", Verdict.SOMEBODY)
    ]
    assert told(body, none, exchange(sends={})) == [
        ("POST /orders no longer accepts a body; the portal sends it", Verdict.SOMEBODY)
    ]


def test_a_media_type_that_is_no_longer_taken_or_answered() -> None:
    def of(media_type: str, *, answer: bool) -> Json:
        content = {"content": {media_type: {"schema": TEXT}}}
        return shop(operation(responses={"200": content}) if answer else operation(requestBody=content))

    assert told(of("application/json", answer=False), of("text/csv", answer=False), exchange(sends="x")) == [
        ("POST /orders no longer takes application/json; the portal sends it", Verdict.SOMEBODY),
        ("POST /orders now takes text/csv", Verdict.COMPATIBLE),
    ]
    assert told(of("application/json", answer=True), of("text/csv", answer=True), exchange(reads="x")) == [
        ("POST /orders 200 no longer answers application/json; the portal reads it", Verdict.SOMEBODY),
        ("POST /orders 200 may now answer text/csv", Verdict.COMPATIBLE),
    ]


def answering(*statuses: str, **more: Json) -> Json:
    return shop(operation(responses={**{status: {"description": ""} for status in statuses}, **more}))


def test_a_status_that_goes_breaks_who_expects_it() -> None:
    base, head = answering("200", "201"), answering("200")
    assert told(base, head, exchange(status=201)) == [
        ("POST /orders no longer answers 201; the portal expects 201", Verdict.SOMEBODY)
    ]
    assert told(base, head, exchange(status=200)) == [("POST /orders no longer answers 201", Verdict.NOBODY)]


def test_a_new_success_breaks_who_handles_it_not_a_new_refusal_who_handles_its_class() -> None:
    assert told(answering("200"), answering("200", "202"), exchange(status=200)) == [
        ("POST /orders now answers 202; the portal handles no 202", Verdict.SOMEBODY)
    ]
    assert told(answering("200"), answering("200", "202"), exchange(status=200), exchange(status=202)) == [
        ("POST /orders now answers 202", Verdict.NOBODY)
    ]
    assert told(answering("200"), answering("200", "429"), exchange(status=200)) == [
        ("POST /orders now answers 429; the portal handles no 429", Verdict.SOMEBODY)
    ]
    assert told(answering("200"), answering("200", "429"), exchange(status=422)) == [
        ("POST /orders now answers 429", Verdict.NOBODY)
    ]


def test_problem_types_count_like_statuses() -> None:
    def refusing(*problems: str) -> Json:
        return answering(**{"422": {"x-problems": list(problems)}})

    one, two = refusing("unknown-sku"), refusing("unknown-sku", "unknown-unit")
    problem = {"type": kind_of("unknown-unit").type}
    assert told(two, one, exchange(status=422, reads=problem)) == [
        ("POST /orders 422 no longer answers the problem unknown-unit; the portal expects it", Verdict.SOMEBODY)
    ]
    assert told(two, one, exchange(status=422)) == [
        ("POST /orders 422 no longer answers the problem unknown-unit", Verdict.NOBODY)
    ]
    assert told(one, two, exchange(status=200)) == [
        ("POST /orders 422 now answers the problem unknown-unit; the portal handles no 422", Verdict.SOMEBODY)
    ]
    assert told(one, two, exchange(status=422)) == [
        ("POST /orders 422 now answers the problem unknown-unit", Verdict.NOBODY)
    ]


def test_a_header_of_an_answer_that_goes_breaks_who_reads_it() -> None:
    none = answering("200")
    promised = answering(**{"200": {"headers": {"Location": {"required": True, "schema": TEXT}}}})
    reading = {**exchange(), "response": {"status": 200, "headers": {"location": ["/orders/1"]}}}
    assert told(promised, none, reading) == [
        ("POST /orders 200 no longer has the header `location`; the portal reads it", Verdict.SOMEBODY)
    ]
    assert told(promised, none, exchange()) == [
        ("POST /orders 200 no longer has the header `location`", Verdict.NOBODY)
    ]
    assert told(none, promised, exchange()) == [("POST /orders 200 now has the header `location`", Verdict.COMPATIBLE)]


def test_authentication_breaks_who_comes_without() -> None:
    def secured(scheme: str, *options: Json) -> Json:
        return shop(operation(security=list(options)), securitySchemes={"token": {"type": "http", "scheme": scheme}})

    open_shop, closed_shop = secured("bearer"), secured("bearer", {"token": []})
    bearing: Json = {"headers": {"Authorization": ["Bearer x"]}}
    sentence = "POST /orders now requires authentication (token)"
    assert told(open_shop, closed_shop, exchange()) == [
        (f"{sentence}; the portal sends no Authorization", Verdict.SOMEBODY)
    ]
    assert told(open_shop, closed_shop, exchange(**bearing)) == [(sentence, Verdict.NOBODY)]
    assert told(closed_shop, open_shop, exchange(**bearing)) == [
        ("POST /orders no longer requires authentication", Verdict.COMPATIBLE)
    ]
    assert told(closed_shop, secured("basic", {"token": []}), exchange(**bearing)) == [
        ("POST /orders no longer takes authentication by token as it was; the portal calls it", Verdict.SOMEBODY),
        ("POST /orders now takes authentication by token", Verdict.COMPATIBLE),
    ]


def test_what_nobody_compares_is_said_so() -> None:
    base, head = shop(operation()), shop(operation(callbacks={"done": {}}))
    assert told(base, head, exchange()) == [("POST /orders changes `callbacks`; the portal calls it", Verdict.UNJUDGED)]


def test_how_a_parameter_is_written_is_said_so() -> None:
    def styled(explode: bool) -> Json:
        parameter = {"name": "sku", "in": "query", "explode": explode, "schema": {"type": "array"}}
        return shop(operation(parameters=[parameter]))

    assert told(styled(True), styled(False), exchange(query={"sku": ["A", "B"]})) == [
        ("POST /orders changes explode of the query parameter `sku` from true to false", Verdict.UNJUDGED)
    ]


def test_a_default_answer_stands_for_any_status() -> None:
    def failing(schema: Json) -> Json:
        return answering("200", default={"content": {"application/json": {"schema": closed({"why": schema})}}})

    base, head = failing(TEXT), failing({"type": ["string", "null"]})
    assert told(base, head, exchange(status=500, reads={"why": "x"})) == [
        ("POST /orders default now answers null for `why`; the portal reads it", Verdict.SOMEBODY)
    ]
    assert told(answering("200"), base, exchange()) == [
        ("POST /orders now answers default; the portal calls it", Verdict.SOMEBODY)
    ]


def test_a_deprecation_is_told() -> None:
    assert told(shop(operation()), shop(operation(deprecated=True)), exchange()) == [
        ("POST /orders is now deprecated", Verdict.COMPATIBLE)
    ]
