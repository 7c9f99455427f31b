"""Fixtures of the tests of workers."""

import luigi.configuration
import pytest
from distributed.security import Security


@pytest.fixture
def section():
    """Sets a section of luigi.cfg for one test."""
    config = luigi.configuration.get_config()
    names = []

    def fill(name, **values):
        names.append(name)
        for option, value in values.items():
            config.set(name, option, str(value))

    yield fill
    for name in names:
        config.remove_section(name)


@pytest.fixture
def tls_files(tmp_path) -> dict[str, str]:
    """A certificate that is its own authority, and its key, as files."""
    made = Security.temporary()
    for name, content in (("ca_file", made.tls_ca_file), ("cert", made.tls_client_cert), ("key", made.tls_client_key)):
        (tmp_path / f"{name}.pem").write_text(content)
    return {name: str(tmp_path / f"{name}.pem") for name in ("ca_file", "cert", "key")}
