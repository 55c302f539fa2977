"""The options of a server with a URL: where files are, and which of them cannot be used."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from mcp_gateway.plugin import UrlOptions

URL = "https://server.test/mcp"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make two certificates and their keys, one of which is encrypted."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("one", "two"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"],
            cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
    subprocess.run(
        ["openssl", "ec", "-aes256", "-in", "one.key", "-out", "locked.key", "-passout", "pass:s3cr3t"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder


def options(folder, **entry):
    return UrlOptions.model_validate({"url": URL, **entry}, context={"folder": folder})


def test_files_are_relative_to_the_folder_of_the_entrys_file(made, monkeypatch):
    assert options(made, ca="one.pem").ca == made / "one.pem"
    assert options(None, ca=str(made / "one.pem")).ca == made / "one.pem"
    monkeypatch.setenv("HOME", str(made))
    assert options(Path("/elsewhere"), ca="~/one.pem").ca == made / "one.pem"
    assert UrlOptions(url=URL).tls_files is None


@pytest.mark.parametrize(
    "entry, words",
    [
        ({"ca": "gone.pem"}, r"ca: .*gone\.pem: there is no such file"),
        ({"ca": "."}, "ca: .*: it is a folder; name the file in it"),
        ({"ca": "one.key"}, r"ca: .*one\.key holds no certificate in PEM form"),
        ({"key": "one.key"}, 'key: it is of no use without "cert"'),
        ({"cert": "one.pem"}, "cert: .* does not hold both a certificate and its key"),
        ({"cert": "one.pem", "key": "two.key"}, r"key: .*two\.key does not belong to the certificate in .*one\.pem"),
        ({"cert": "one.pem", "key": "gone.key"}, r"key: .*gone\.key: there is no such file"),
        ({"cert": "one.pem", "key": "locked.key"}, r'key: .*locked\.key is encrypted; set "key_password"'),
        ({"cert": "one.pem", "key": "locked.key", "key_password": "wr0ng"}, "key_password: it does not open"),
        ({"url": "http://server.test/mcp", "ca": "one.pem"}, '"url" must begin with https://'),
        ({"url": "http+unix:///mcp"}, "url: write the socket's path once"),
        ({"url": "http+unix://%2Fa/mcp", "socket": "/b"}, "url: write the socket's path once"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_key(made, entry, words):
    with pytest.raises(ValidationError, match=words) as caught:
        options(made, **entry)
    assert "wr0ng" not in str(caught.value)


def test_an_encrypted_key_is_opened_by_its_password_which_is_never_printed(made):
    read = options(made, cert="one.pem", key="locked.key", key_password="s3cr3t")
    assert read.tls_files is not None
    assert "s3cr3t" not in f"{read!r}{read.tls_files!r}"


def test_the_url_of_a_socket_is_a_url_and_a_socket():
    read = UrlOptions.model_validate({"url": "http+unix://%2Frun%2Fa.sock/mcp?b=c"})
    assert (str(read.url), read.socket) == ("http://localhost/mcp?b=c", Path("/run/a.sock"))
    # A socket has no address that is link-local.
    assert str(UrlOptions.model_validate({"url": "https+unix://x.sock/"}).url) == "https://localhost/"
