"""The certificates of receivers that are trusted."""

import ssl


class CaFileError(ValueError):
    """The file cannot be read, or holds no certificate. The message begins with its path."""


def trusting(ca_file: str) -> ssl.SSLContext:
    """Trusts the certificate authorities of the system and those in `ca_file` (PEM). Raises CaFileError."""
    both, own = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        both.load_verify_locations(ca_file)
        own.load_verify_locations(ca_file)
    except ssl.SSLError:
        raise CaFileError(f"{ca_file}: holds no certificate") from None
    except OSError as error:
        raise CaFileError(f"{ca_file}: {error.strerror}") from None
    if not own.cert_store_stats()["x509"]:  # it holds only a list of revoked ones
        raise CaFileError(f"{ca_file}: holds no certificate")
    return both
