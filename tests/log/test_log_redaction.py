from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.log import hide, redact, redact_value, redaction, secrets

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl-_"
PLANTED = "pl4nt3d-S3cret"
BOT = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_memory", secrets.Memory())


@pytest.mark.parametrize(
    "text",
    [
        "{s}",
        "before {s} after",
        "{s}{s}",
        "https://h/p?q={quoted}&x=1",
        "form q={plus}",
        "{lower}",
        '{{"k": "{json}"}}',
        '{{"k": "{ascii}"}}',
        "{upper}",
        "b'{bytes}'",
        "{repr}",
        "Basic {b64}",
        "{b64url}",
    ],
)
@pytest.mark.parametrize("secret", ["s3cr,et/%+ ;#=", "گذرواژه؟ من", "quote\"d\\ and 'single'", "line\nbreak\t?"])
def test_a_remembered_secret_is_removed_in_every_form(text: str, secret: str) -> None:
    hide(secret)
    forms = {
        "s": secret,
        "quoted": quote(secret, safe=""),
        "plus": quote_plus(secret),
        "lower": quote(secret, safe="").lower() if secret.isascii() and secret.islower() else quote(secret),
        "json": json.dumps(secret, ensure_ascii=False)[1:-1],
        "ascii": json.dumps(secret)[1:-1],
        "upper": json.dumps(secret).upper()[1:-1].replace("\\U", "\\u") if not secret.isascii() else secret,
        "bytes": repr(secret.encode())[2:-1],
        "repr": repr(secret)[1:-1],
        "b64": base64.b64encode(secret.encode()).decode(),
        "b64url": base64.urlsafe_b64encode(secret.encode()).decode(),
    }
    cleaned = redact(text.format(**forms))
    for form in forms.values():
        assert form.rstrip("=") not in cleaned
    assert "***" in cleaned


def test_overlapping_secrets_leave_nothing_of_either() -> None:
    hide("abcdXY")
    hide("XYefgh")
    hide("abcd")
    hide("dXYe")
    assert redact("-abcdXYefgh-abcd-") == "-***-***-"
    hide("klmnopqrst")
    hide("nopq")
    assert redact("-klmnopqrst-klmnopqrstklmnopqrst") == "-***-***"


def test_a_short_secret_is_removed_as_a_whole_value_only() -> None:
    hide("no")
    hide("")
    assert redact('not now, {"answer": "no", "x": "know"}') == 'not now, {"answer": "***", "x": "know"}'


def test_a_secret_number_is_removed_as_a_whole_number_only() -> None:
    hide("17001")
    assert redact("quantity 170018, captcha was 17001.") == "quantity 170018, captcha was ***."


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ('{"password": "x", "user": "u"}', '{"password": "***", "user": "u"}'),
        ('{"loginName":"u","password":"a\\"b","captcha":{"hash":"h","salt":"s","value":"12345"}}', None),
        ("{'password': 'x', 'user': 'u'}", "{'password': '***', 'user': 'u'}"),
        ("""{'token': "it's", 'user': 'u'}""", """{'token': "***", 'user': 'u'}"""),
        (
            'body "{\\"password\\": \\"x y\\", \\"user\\": \\"u\\"}"',
            'body "{\\"password\\": \\"***\\", \\"user\\": \\"u\\"}"',
        ),
        ('{"accessToken":"abc","isSuccess":true}', '{"accessToken":"***","isSuccess":true}'),
        ('{"token": null, "x": 1}', '{"token": null, "x": 1}'),
        ('{"token": 12345, "x": 1}', '{"token": "***", "x": 1}'),
        ('{"cookies": ["a", "b"], "x": 1}', '{"cookies": "***", "x": 1}'),
        ('{"hashedCaptcha":"h","captchaByteData":"/9j/"}', '{"hashedCaptcha":"***","captchaByteData":"***"}'),
        ('{"password": "cut sho', '{"password": "***'),
        ("GET /login?user=u&password=p%20w&x=1", "GET /login?user=u&password=***&x=1"),
        ("login token=abc, then", "login token=***, then"),
        ('password="two words" x', "password=*** x"),
        ("Cookie: a=b; c=d\r\nHost: h", "Cookie: ***\r\nHost: h"),
        ("Set-Cookie: sid=1; HttpOnly", "Set-Cookie: ***"),
        ("Authorization: Bearer abc\nHost: h", "Authorization: ***\nHost: h"),
        ("{'Authorization': 'Bearer abc'}", "{'Authorization': '***'}"),
        ("sent Bearer abc123 to h", "sent Bearer *** to h"),
        ("sent bearer%20abc123", "sent bearer%20***"),
        (f"token was {JWT}.", "token was ***."),
        (f"https://api.telegram.org/bot{BOT}/sendMessage", "https://api.telegram.org/bot***/sendMessage"),
        (f"https://api.telegram.org/bot{quote(BOT)}/getMe", "https://api.telegram.org/bot***/getMe"),
        ("/bot123:short/getMe", "/bot***/getMe"),
        (f"chat bot {BOT}!", "chat bot ***!"),
        ("https://user:pa:ss@host/x", "https://user:***@host/x"),
        ("postgresql://fb:p@ss@db:5432/fb", "postgresql://fb:***@db:5432/fb"),
        ("-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\nx", "***\nx"),
    ],
)
def test_what_looks_like_a_secret_is_removed(text: str, cleaned: str | None) -> None:
    if cleaned is None:
        cleaned = '{"loginName":"u","password":"***","captcha":"***"}'
    assert redact(text) == cleaned
    assert redact(cleaned) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "WrongPassword: shahr refused the password of user u",
        "the token ended; a bearer token is needed",
        "https://api-shahr.ephoenix.ir:443/api/v2/orders/NewOrder",
        '{"isin": "IRO1MHRN0001", "price": 5860, "volume": 170018, "serialNumber": 99}',
        "2026-11-21T08:45:00.123456+03:30 گروه مالی مهرگان",
        '{"Message": "بازار در وضعیت سفارش گیری نمی باشد.", "Code": 1017}',
        "basic arithmetic",
    ],
)
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_redacted_documents_stay_documents() -> None:
    hide("5860")
    document = {
        "price": 5860,
        "note": "5860",
        "token": "t",
        "captcha": {"value": "12345"},
        "rows": [{"password": None, "cookie": "", "secret": True}, ("bearer abc123", 1.5)],
    }
    assert redact_value(document) == {
        "price": 5860,
        "note": "***",
        "token": "***",
        "captcha": "***",
        "rows": [{"password": None, "cookie": "", "secret": True}, ["bearer ***", 1.5]],
    }


SECRETS = st.text(min_size=4, max_size=20).filter(lambda secret: "*" not in secret and not secret.isdecimal())


@given(st.lists(SECRETS, max_size=4), st.text(max_size=30), st.text(max_size=30))
def test_no_remembered_secret_survives(planted: list[str], before: str, after: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "_memory", secrets.Memory())
        for secret in planted:
            hide(secret)
        text = before + after.join(planted) + before
        cleaned = redact(text)
        assert not [secret for secret in planted if secret in cleaned]
        assert redact(cleaned) == cleaned


WORDS = st.sampled_from(
    [
        "password",
        "token",
        '"',
        "'",
        ":",
        "=",
        " ",
        "\\",
        "{",
        "}",
        "bearer ",
        "://",
        "@",
        "a",
        "1",
        "\n",
        "eyJ",
        "***",
        "cookie",
    ]
)


@given(st.lists(WORDS, max_size=25).map("".join))
def test_redacting_settles(text: str) -> None:
    once = redact(text)
    twice = redact(once)
    assert redact(twice) == twice


@pytest.mark.parametrize(
    "piece",
    [
        '"token": "',
        "bearer+",
        "password\\\\",
        "\\",
        "captcha'",
        "://:",
        "token ",
        '"captcha": {',
        "eyJ",
        "-eyJaaaaaa",
        "eyJaaaaaaaa-.",
        "/bot1:",
        "a_",
    ],
)
def test_hostile_texts_cost_no_more_than_their_length(piece: str) -> None:
    # With a pattern that backtracks, this would take minutes and meet the test's time limit.
    text = piece * (300_000 // len(piece))
    assert len(redact('password\\":\\"' + text)) <= len(text) * 3


@given(st.lists(SECRETS, min_size=1, max_size=4), st.text(max_size=30))
def test_many_secrets_are_found_where_few_are(planted: list[str], between: str) -> None:
    text = between + between.join([*planted, *planted]) + "".join(planted)
    memory = secrets.Memory()
    for secret in planted:
        memory.add(secret)
    with pytest.MonkeyPatch.context() as patch:
        few = sorted(memory.spans(text))
        patch.setattr(secrets, "_FEW", 0)
        assert sorted(memory.spans(text)) == few
    assert few


@pytest.mark.parametrize("before", ["", "u:", "user:"])
@pytest.mark.parametrize("secret", ["s3cr,et/%+ ;#=", "گذرواژه؟ من", "<b>&'\"quoted"])
def test_a_remembered_secret_is_found_within_base64_hex_and_html(before: str, secret: str) -> None:
    hide(secret)
    data = f"{before}{secret}:after".encode()
    for text in (
        base64.b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode(),
        data.hex(),
        data.hex().upper(),
    ):
        assert "***" in redact(text), text
    assert secret.encode() not in base64.b64decode(
        redact(base64.b64encode(data).decode()).replace("***", "AAAA") + "=="
    )
    assert redact(f"<pre>{html.escape(secret)}</pre>") == "<pre>***</pre>"


def test_a_fields_name_is_read_anew_when_another_secret_is_known():
    document = {PLANTED: 1, "token": "x", "a": "b"}
    assert redact_value(document) == {PLANTED: 1, "token": "***", "a": "b"}
    hide(PLANTED)
    assert redact_value(document) == {"***": 1, "token": "***", "a": "b"}


PIECES = [
    *"aeyſK4.:=%+ -\n\"'{}/@",
    "Bearer",
    "authorızation",
    "sessİonı̇d",
    "basıc",
    "basic",
    "eyJhbGciOiJI",
    "token",
    "pwd",
    "pass",
    "wd",
    "api",
    "key",
    "123456",
    "https",
    "/bot",
    "%3a",
    "-----BEGIN PRIVATE KEY-----",
]


@pytest.mark.parametrize(
    "text",
    [
        *(f"{word}=4zZq81" for word in ("password", "passphrase", "pwd", "token", "secret", "captcha", "cookies")),
        *(f"{word}=4zZq81" for word in ("apikey", "api-key", "api_key", "sessionid", "session-id", "session_id")),
        *(f"{word}: 4zZq81" for word in ("authorization", "authorızation", "authorİzation", "set-cookie")),
        *(f"{word} 4zZq81" for word in ("bearer", "basic", "basıc")),
        "/bot1:4zZq81",
        "ws://me:4zZq81@host",
        "-----begin private key-----4zZq81",
        "eyjhbgcioi.4zZq81.x",
        "1234567:4zZq81" + "x" * 20,
        "1234567%3a4zZq81" + "x" * 20,
    ],
)
def test_each_look_of_a_secret_is_enough_in_whatever_letters(text):
    before, _, after = text.partition("4zZq81")
    for written in (text, f"{before.upper()}4zZq81{after}", f"«شروع» {text}"):
        assert "4zZq81" not in redact(written)
    assert redaction._may_match(text)


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_a_text_that_is_passed_over_quickly_has_nothing_in_it(text):
    if not redaction._may_match(text):
        assert not [pattern for pattern in redaction._PATTERNS if pattern.search(text)]


_PIECES = st.sampled_from(
    [PLANTED, JWT, BOT, "4711", "no", '"no"', "password=x", "bearer abc1", "x", " ", '"', "7", "\0"]
)


@given(fields=st.lists(st.lists(_PIECES, max_size=4).map("".join), max_size=6))
def test_a_document_is_redacted_as_each_of_its_texts_is(fields: list[str]) -> None:
    memory, secrets._memory = secrets._memory, secrets.Memory()
    try:
        for secret in (PLANTED, "4711", "no"):
            hide(secret)
        document = {f"field{number}": text for number, text in enumerate(fields)}
        assert redact_value(document) == {name: redact(text) for name, text in document.items()}
    finally:
        secrets._memory = memory
