from __future__ import annotations

import ssl

import pytest

from firstbell.journal.address import Address, Tls
from firstbell.log import redact

SECRET = "pl4nted/s3cret?"


def test_everything_is_read():
    address = Address.of("postgresql://f%40b:pl4nted%2Fs3cret%3F@db.example:6543/b%C3%BCcher?sslmode=require")
    assert (address.user, address.password, address.database) == ("f@b", SECRET, "bücher")
    assert (address.host, address.port, address.tls, address.ca_file) == ("db.example", 6543, Tls.REQUIRE, None)
    assert address.place == "bücher at db.example:6543"
    assert str(address) == "the journal bücher at db.example:6543"


def test_a_password_is_never_shown():
    address = Address.of("postgresql://fb:pl4nted%2Fs3cret%3F@db.example/fb")
    assert "s3cret" not in f"{address} {address!r}"
    assert "s3cret" not in redact(f"so {SECRET} it is")


@pytest.mark.parametrize(
    ("host", "tls"),
    [
        ("localhost", Tls.DISABLE),
        ("127.0.0.9", Tls.DISABLE),
        ("[::1]", Tls.DISABLE),
        ("192.168.1.2", Tls.VERIFY_FULL),
        ("db", Tls.VERIFY_FULL),
        ("localhost.example", Tls.VERIFY_FULL),
    ],
)
def test_what_is_not_said_is_safe(host, tls):
    address = Address.of(f"postgres://fb@{host}/fb")
    assert (address.tls, address.port, address.password) == (tls, 5432, "")
    assert Address.of(f"postgres://fb@{host}/fb?sslmode=disable").tls is Tls.DISABLE
    assert Address.of(f"postgres://fb@{host}/fb?sslrootcert=ca.pem").tls is Tls.VERIFY_FULL


def test_an_ipv6_address_is_written_as_one():
    assert Address.of("postgresql://fb@[::1]/fb").place == "fb at [::1]:5432"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://fb:pl4nted@db/fb", "nothing for SQLite"),
        ("postgresql://fb:pl4nted@db", "write postgresql"),
        ("postgresql://fb:pl4nted@/fb", "write postgresql"),
        ("postgresql://:pl4nted@db/fb", "write postgresql"),
        ("postgresql://fb:pl4nted@db,db2/fb", "write postgresql"),
        ("postgresql://fb:pl4nted@db:0/fb", "write postgresql"),
        ("postgresql://fb:pl4nted@db:99999/fb", "write postgresql"),
        ("postgresql://fb:pl4nted/x@db/fb", "write postgresql"),
        ("postgresql://fb:pl4nted#x@db/fb", "write postgresql"),
        ("postgresql://fb:pl4nted?x@db/fb", "write postgresql"),
        ("postgresql://fb:[pl4nted@db/fb", "write postgresql"),
        ("postgresql://fb:pl4nted@db/fb/more", "write postgresql"),
        ("postgresql://fb:pl4nted%00@db/fb", "write postgresql"),
        ("postgresql://fb:x@db/fb?pl4nted", "write postgresql"),
        ("postgresql://fb:x@db/fb?pl4nted=1", "only sslmode"),
        ("postgresql://fb:x@db/fb?sslmode=prefer", "verify-full"),
        ("postgresql://fb:x@db/fb?sslmode=", "only sslmode"),
        ("postgresql://fb:x@db/fb?sslmode=require&sslmode=disable", "each once"),
        ("postgresql://fb:x@db/fb?sslmode=require&sslrootcert=ca.pem", "sslrootcert is for"),
    ],
)
def test_what_cannot_be_used_is_refused_without_showing_it(url, told):
    with pytest.raises(ValueError, match=told) as caught:
        Address.of(url)
    assert "pl4nted" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_is_asked_for_is_what_is_checked():
    required = Address.of("postgresql://fb@db/fb?sslmode=require").tls_context()
    assert required.verify_mode is ssl.CERT_NONE
    verified = Address.of("postgresql://fb@db/fb").tls_context()
    assert (verified.verify_mode, verified.check_hostname) == (ssl.CERT_REQUIRED, True)
