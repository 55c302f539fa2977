"""Where the key of logins comes from, in every state of the keyring, and that logins are never left without theirs."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

keyring = pytest.importorskip("keyring")

from cryptography.fernet import Fernet  # noqa: E402
from keyring.backends.fail import Keyring as NoKeyring  # noqa: E402
from mcp_gateway_auth_oauth.ciphers import KEY_FILE, open_cipher  # noqa: E402

from mcp_gateway.plugin import ConfigError  # noqa: E402

from .sample_keyrings import ABSENT, CLOSED, KEY, LOCKED, SECRET, MemoryKeyring, TimelyKeyring  # noqa: E402

NOTE, OTHER = b"in the system keyring\n", Fernet.generate_key()
TOKEN = Fernet(KEY).encrypt(b"login")

RINGS = {
    "has it": lambda: MemoryKeyring(KEY),
    "empty": MemoryKeyring,
    "keeps nothing": lambda: MemoryKeyring(keeps=False),
    "locked": lambda: MemoryKeyring(KEY, LOCKED),
    "closed": lambda: MemoryKeyring(KEY, CLOSED),
    "broken": lambda: MemoryKeyring(KEY, OSError),
    "absent": NoKeyring,
    "absent daemon": lambda: MemoryKeyring(failure=ABSENT),
    "not installed": lambda: None,
}
LOGIN, NOTED, FILE = {"a.login": b"x"}, {KEY_FILE: NOTE}, {KEY_FILE: OTHER}
IS_LOCKED, IS_LOST = "keyring is locked: unlock it, or set GATEWAY_OAUTH_KEY", "the logins there cannot be found"


@pytest.fixture(autouse=True)
def _own_keyring():
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Return a function that puts a keyring and files in their places."""

    def put_all(ring, files):
        if (made := RINGS[ring]()) is None:
            monkeypatch.setitem(sys.modules, "keyring", None)
        else:
            keyring.set_keyring(made)
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        return made

    return put_all


def read_all(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}


@pytest.mark.parametrize(
    "ring, files, where",
    [
        ("has it", {}, "keyring"),
        ("has it", LOGIN, "keyring"),
        ("has it", NOTED | LOGIN, "keyring"),
        ("empty", {}, "new in the keyring"),
        ("empty", NOTED, "new in the keyring"),
        ("keeps nothing", {}, "new in a file"),
        ("absent", {}, "new in a file"),
        ("absent daemon", {}, "new in a file"),
        ("not installed", {}, "new in a file"),
        *((ring, FILE | logins, "file") for ring in RINGS for logins in ({}, LOGIN)),
    ],
)
def test_the_key_is_found_or_made(put, tmp_path, ring, files, where):
    made = put(ring, files)
    sealed = open_cipher(None, tmp_path).encrypt(b"login")
    written = (tmp_path / KEY_FILE).read_bytes()
    match where:
        case "keyring":
            assert (made.written, Fernet(KEY).decrypt(sealed), written) == (0, b"login", NOTE)
        case "new in the keyring":
            assert (made.written, Fernet(made.key).decrypt(sealed), written) == (1, b"login", NOTE)
        case _:
            assert Fernet(written).decrypt(sealed) == b"login"
            assert (written == OTHER) is (where == "file")
    assert open_cipher(None, tmp_path).decrypt(sealed) == b"login"


UNAVAILABLE = [
    ("locked", {}, IS_LOCKED),
    ("locked", NOTED, IS_LOCKED),
    ("closed", {}, r"does not open \(InitError\): see whether it is running, unlock it, or set GATEWAY_OAUTH_KEY"),
    ("broken", {}, r"does not open \(OSError\)"),
    ("absent", NOTED, f"{IS_LOST}: there is no system keyring that works here; start"),
    ("not installed", NOTED, f"{IS_LOST}: there is no system keyring that works here; start"),
    ("keeps nothing", NOTED, IS_LOST),
    ("empty", {KEY_FILE: b"damaged"}, f"{KEY_FILE}: it must be 32 random bytes"),
]


@pytest.mark.parametrize(
    "ring, files, sentence",
    [(ring, files | logins, sentence) for ring, files, sentence in UNAVAILABLE for logins in ({}, LOGIN)],
)
def test_a_key_that_cannot_be_had_is_one_sentence_and_changes_nothing(put, tmp_path, ring, files, sentence):
    check_refusal(put, tmp_path, ring, files, sentence)


@pytest.mark.parametrize("ring", ["empty", "keeps nothing", "absent", "absent daemon", "not installed"])
@pytest.mark.parametrize("files", [LOGIN, NOTED | LOGIN])
def test_no_key_is_made_beside_logins(put, tmp_path, ring, files):
    check_refusal(
        put, tmp_path, ring, files, f"{IS_LOST}.* set GATEWAY_OAUTH_KEY .* remove key and \\*.login from that"
    )


def check_refusal(put, folder, ring, files, sentence):
    made = put(ring, files)
    before = getattr(made, "key", None)
    with pytest.raises(ConfigError, match=sentence) as caught:
        open_cipher(None, folder)
    assert SECRET not in str(caught.value)
    assert (read_all(folder), getattr(made, "key", None)) == (files, before)


def test_a_key_file_that_cannot_be_read_is_named_and_no_key_is_made(put, tmp_path):
    made = put("empty", LOGIN)
    (tmp_path / KEY_FILE).mkdir()
    with pytest.raises(ConfigError, match=f"{KEY_FILE}: the key for OAuth tokens cannot be read .* mend that, or set"):
        open_cipher(None, tmp_path)
    assert made.written == 0


@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize("files", [{}, LOGIN, FILE, NOTED])
def test_the_key_of_the_environment_is_all_that_is_asked(put, tmp_path, ring, files):
    put(ring, files)
    assert open_cipher(KEY, tmp_path).decrypt(TOKEN) == b"login"
    assert read_all(tmp_path) == files


def test_two_that_find_no_key_make_one(tmp_path):
    keyring.set_keyring(ring := TimelyKeyring())
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: open_cipher(None, tmp_path), range(2))
    assert second.decrypt(first.encrypt(b"login")) == b"login"
    assert ring.written == 1


def test_two_of_which_one_finds_no_keyring_have_one_key(put, tmp_path):
    put("empty", {})
    open_cipher(None, tmp_path)
    keyring.set_keyring(NoKeyring())
    with pytest.raises(ConfigError, match="no system keyring that works here"):
        open_cipher(None, tmp_path)
