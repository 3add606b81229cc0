"""Where a service listens, and the address at which a person opens it."""

import errno
import ipaddress
import os
import socket
from typing import NamedTuple

from shared.env import SettingError


class Address(NamedTuple):
    """The settings `<SERVICE>_HOST`, `<SERVICE>_PORT` and `<SERVICE>_PUBLIC_URL`."""

    service: str
    host: str
    port: int
    public_url: str | None = None

    @property
    def url(self) -> str:
        """The URL to open. A service that listens on every address is found at localhost."""
        if self.public_url:
            return self.public_url
        try:
            ip = ipaddress.ip_address(self.host)
        except ValueError:
            return f"http://{self.host}:{self.port}"
        if ip.is_unspecified:
            return f"http://localhost:{self.port}"
        return f"http://[{ip}]:{self.port}" if ip.version == 6 else f"http://{ip}:{self.port}"

    def require_free(self) -> None:
        """Raises SettingError if another process listens there, or we may not. Other faults show when the server starts."""
        try:
            self._bind()
        except OSError as error:
            where = f"{self.service.upper()}_PORT: port {self.port} of {self.host}"
            if error.errno == errno.EADDRINUSE:
                raise SettingError(f"{where} is taken; set another port") from None
            if error.errno == errno.EACCES:
                raise SettingError(f"{where}: {os.strerror(error.errno)}; set another port") from None

    def _bind(self) -> None:
        """Binds with the options of a server, and lets go again. Raises OSError."""
        for family, kind, protocol, _, where in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(where)
