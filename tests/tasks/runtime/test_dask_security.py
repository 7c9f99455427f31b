import pytest

from data.errors import SettingError
from tasks.runtime.dask_security import certificate_files, files_security, security_of


@pytest.mark.parametrize("address", ["foo://x", "inproc://1", "ucx://a:1", "http://a:8786"])
def test_an_address_of_another_kind_is_named(address):
    with pytest.raises(SettingError, match=f"--dask {address}: '.*' is unknown; give tls://host:port"):
        security_of(address)


def test_tls_without_its_files_is_one_line(tls_files, tmp_path, section):
    with pytest.raises(SettingError, match=r"needs ca_file, cert, key in section \[dask\] of luigi.cfg"):
        security_of("tls://host:8786")
    with pytest.raises(SettingError, match=r"needs key in section \[dask\]"):
        files_security({name: path for name, path in tls_files.items() if name != "key"})
    with pytest.raises(SettingError, match=r"unknown keys; use ca_file, cert, key"):
        files_security(tls_files | {"keys": "x"})
    with pytest.raises(SettingError, match=r"none.pem: file is missing; correct cert in section \[dask\]"):
        files_security(tls_files | {"cert": str(tmp_path / "none.pem")})
    (tmp_path / "empty.pem").write_text("")
    for name in tls_files:
        with pytest.raises(SettingError, match=r"empty.pem.*cannot be used for TLS \(.*\); correct ca_file, cert, key"):
            files_security(tls_files | {name: str(tmp_path / "empty.pem")})


def test_certificate_files_are_for_this_user_alone_and_go_at_the_end(tmp_path):
    with certificate_files(tmp_path) as files:
        (folder,) = tmp_path.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert files_security(files).require_encryption
    assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(SettingError, match=r"none: cannot be written .*shared_temp_directory"),
        certificate_files(tmp_path / "none"),
    ):
        pass
