"""TLS towards servers: private authorities, client certificates, and failures in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_gateway.plugin.errors import ServerUnavailable

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

# Codes of OpenSSL (x509_vfy.h).
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21, 24, 27})
_WRONG_HOST = frozenset({62, 64})
_VERDICTS = {
    9: "its certificate is not valid yet; is the clock of this machine right?",
    10: "its certificate has expired, and must be renewed there",
    23: "its certificate has been revoked",
}
_KINDS = {9: "not-yet-valid", 10: "expired", 23: "revoked"}

# Many servers close without an alert, and TLS 1.3 refuses a client only after its first request.
CLIENT_CERTIFICATE_HINT = '; over TLS that may mean that it wants a client certificate: "cert" and "key"'
"""What may be the reason of a TLS connection that ends without a response."""

# What the reasons of OpenSSL mean, by words in them.
_OF_CLIENT_CERTIFICATES = {
    ("CERTIFICATE_REQUIRED",): 'it wants a client certificate; set "cert" and "key"',
    ("ALERT_UNKNOWN_CA", "ALERT_BAD_CERT", "ALERT_CERTIFICATE", "ALERT_UNSUPPORTED_CERT", "ALERT_ACCESS_DENIED"): (
        'it refuses the client certificate (REASON); check "cert" and "key"'
    ),
}
_OF_HANDSHAKES = {
    ("HANDSHAKE_FAILURE", "UNEXPECTED_EOF"): (
        'it breaks off the TLS handshake; if it wants a client certificate, set "cert" and "key"'
    ),
    ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"): (
        'it does not speak TLS there; is its "url" one with http://?'
    ),
}


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The certificate files of one entry, where it has them."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    password: str | None = field(default=None, repr=False)

    def load(self, create_default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        """Load them into a new context.

        `create_default` makes a context of this machine's own authorities, in whose place the files' authority comes.

        Raises:
            ValueError: a file cannot be used; the message names its key.

        """
        import ssl

        context = create_default() if self.ca is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca is not None:
            _load_authority(context, self.ca)
        if self.cert is not None:
            _load_certificate(context, self.cert, self.key, self.password)
        elif self.key is not None:
            raise ValueError('key: it is of no use without "cert", the certificate that it belongs to')
        return context

    def stamp(self) -> tuple[tuple[int, int] | None, ...]:
        """Return what changes when a file does."""
        return tuple(_stamp(path) for path in (self.ca, self.cert, self.key) if path is not None)


class TlsContexts:
    """The TLS context of one server's connections, renewed with its files.

    Certificates of services may live for hours only, and the gateway runs for longer.
    """

    def __init__(self, files: TlsFiles, create_default: Callable[[], ssl.SSLContext]) -> None:
        """Begin without a context."""
        self._files, self._create_default = files, create_default
        self._context: ssl.SSLContext | None = None
        self._stamp: tuple[tuple[int, int] | None, ...] = ()

    def current(self) -> ssl.SSLContext:
        """Return the context, loaded again if a file has changed.

        Raises:
            ServerUnavailable: a file cannot be used, and there is no older context.

        """
        stamp = self._files.stamp()
        if self._context is not None and stamp == self._stamp:
            return self._context
        try:
            self._context = self._files.load(self._create_default)
        except ValueError as error:
            # Somebody is just writing it.
            if self._context is None:
                raise ServerUnavailable(str(error), permanent=True) from None
        else:
            self._stamp = stamp
        return self._context


def explain_tls_error(error: BaseException, *, is_open: bool = False) -> str | None:
    """Say in one line which certificate or setting TLS failed for.

    None if the error is not about TLS. With `is_open` the connection had been opened already: then only what is about
    the client's certificate is explained, which servers refuse that late in TLS 1.3.
    """
    import ssl

    found = next((one for one in _causes(error) if isinstance(one, ssl.SSLError)), None)
    if found is None:
        return None
    if isinstance(found, ssl.SSLCertVerificationError):
        return _explain_verification(found.verify_code, str(found.verify_message).rstrip("."))
    reason = str(found.reason or type(found).__name__)
    sentences = _OF_CLIENT_CERTIFICATES if is_open else _OF_CLIENT_CERTIFICATES | _OF_HANDSHAKES
    sentence = next((text for words, text in sentences.items() if any(word in reason for word in words)), None)
    if sentence is None:
        return None if is_open else f"TLS fails ({_in_words(reason)})"
    return sentence.replace("REASON", _in_words(reason))


def classify_tls_error(error: BaseException) -> str | None:
    """Return a short name of what TLS failed for.

    It is `expired`, `not-yet-valid`, `revoked`, `unknown-authority`, `wrong-host` or `handshake`; None if the error is
    not about TLS.
    """
    import ssl

    found = next((one for one in _causes(error) if isinstance(one, ssl.SSLError)), None)
    if not isinstance(found, ssl.SSLCertVerificationError):
        return None if found is None else "handshake"
    code = found.verify_code
    if code in _UNKNOWN_AUTHORITY:
        return "unknown-authority"
    return "wrong-host" if code in _WRONG_HOST else _KINDS.get(code, "handshake")


def _explain_verification(code: int, message: str) -> str:
    if code in _UNKNOWN_AUTHORITY:
        return (
            f"its certificate comes from an authority that is not trusted here ({message}); "
            'if it is yours, set "ca" to the file of its certificate'
        )
    if code in _WRONG_HOST:
        return f'its certificate is for another host ({message}); "url" must have a name that the certificate has'
    return _VERDICTS.get(code) or f"its certificate is not accepted ({message})"


def _in_words(reason: str) -> str:
    return reason.rpartition("ALERT_")[2].replace("_", " ").lower()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _load_authority(context: ssl.SSLContext, ca: Path) -> None:
    import ssl

    _check_file("ca", ca)
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError:
        raise ValueError(f"ca: {ca} holds no certificate in PEM form") from None
    if context.cert_store_stats()["crl"]:  # OpenSSL reads a revocation list, and looks at it only if it is told to
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _load_certificate(context: ssl.SSLContext, cert: Path, key: Path | None, password: str | None) -> None:
    import ssl

    _check_file("cert", cert)
    if key is not None:
        _check_file("key", key)
    asked: list[bool] = []

    # Without a callback OpenSSL would ask on the terminal.
    def get_password() -> str:
        asked.append(True)
        return password or ""

    try:
        context.load_cert_chain(cert, key, get_password)
    except ssl.SSLError as error:
        raise ValueError(
            _explain_loading(error.reason or "", cert, key, asked=bool(asked), password=password)
        ) from None


def _explain_loading(reason: str, cert: Path, key: Path | None, *, asked: bool, password: str | None) -> str:
    if asked:
        place = "key" if key is not None else "cert"
        opens = f"key_password: it does not open {key or cert}"
        return opens if password else f'{place}: {key or cert} is encrypted; set "key_password"'
    if "MISMATCH" in reason:
        return f"key: {key or cert} does not belong to the certificate in {cert}"
    if key is None:
        return f'cert: {cert} does not hold both a certificate and its key in PEM form; set "key" to the key\'s file'
    return f"cert, key: {cert} must hold a certificate, and {key} its key, both in PEM form"


def _check_file(name: str, path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except FileNotFoundError:
        raise ValueError(f"{name}: {path}: there is no such file") from None
    except OSError as error:
        reason = "it is a folder; name the file in it" if path.is_dir() else error.strerror
        raise ValueError(f"{name}: {path}: it cannot be read: {reason}") from None


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
