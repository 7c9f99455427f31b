"""Archives of strangers: whole or damaged, honest or hostile. Never half a file, never an exception not ours."""

import contextlib
import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from faults.mutations import mutated_bytes

from data.errors import DatasetError
from data.files import archives
from data.files.archives import unpack

FILES = {
    "set/images/a.txt": bytes(range(256)) * 40,
    "set/images/b.txt": b"the same line\n" * 900,
    "set/empty.txt": b"",
    "set/c.bin": np.random.default_rng(0).bytes(5000),
}
KINDS = ("zip", "tar", "tgz", "tar.bz2", "tar.xz")


def write_zip(path, files, **settings):
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            for key, value in {"compress_type": zipfile.ZIP_DEFLATED, **settings}.items():
                setattr(entry, key, value)
            packed.writestr(entry, content)


def write_tar(path, files, mode="w", **settings):
    with tarfile.open(path, mode) as packed:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            for key, value in {"size": len(content), **settings}.items():
                setattr(entry, key, value)
            packed.addfile(entry, io.BytesIO(content))


def write(path, files=FILES):
    """The archive of the kind that the ending of `path` names."""
    if path.suffix == ".zip":
        write_zip(path, files)
    else:
        write_tar(path, files, {".tgz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}.get(path.suffix, "w"))


def found_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_is_unpacked_and_nothing_else_is_left(tmp_path, kind):
    write(tmp_path / f"a.{kind}")
    unpack(tmp_path / f"a.{kind}", tmp_path / "out")
    assert found_in(tmp_path / "out") == FILES
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["set"]


def test_a_second_archive_joins_the_folders_of_the_first_and_replaces_files(tmp_path):
    write(tmp_path / "a.zip")
    write(tmp_path / "b.zip", {"set/images/new.txt": b"new", "set/images/a.txt": b"replaced"})
    for name in "ab":
        unpack(tmp_path / f"{name}.zip", tmp_path / "out")
    assert found_in(tmp_path / "out") == {**FILES, "set/images/new.txt": b"new", "set/images/a.txt": b"replaced"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [0.2, 0.5, 0.7])
def test_of_a_cut_archive_no_file_appears(tmp_path, kind, cut):
    path = tmp_path / f"a.{kind}"
    write(path)
    os.truncate(path, int(path.stat().st_size * cut))
    with pytest.raises(DatasetError, match=r"a\..*: cannot be unpacked .*delete it and run the same command again"):
        unpack(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_tar_without_its_last_files_is_damaged(tmp_path):
    """A plain tar file that ends behind a file, or whose second header is damaged, is whole for tarfile."""
    path = tmp_path / "a.tar"
    write(path)
    whole = path.read_bytes()
    second = tarfile.BLOCKSIZE + -(-len(FILES["set/images/a.txt"]) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    assert whole[second : second + 16] == b"set/images/b.txt"
    path.write_bytes(whole[:second])
    with pytest.raises(DatasetError, match="damaged header"):
        unpack(path, tmp_path / "out")
    path.write_bytes(whole[:second] + b"S" + whole[second + 1 :])
    with pytest.raises(DatasetError, match="damaged header"):
        unpack(path, tmp_path / "out")
    path.write_bytes(whole[:second] + bytes(1024) + whole[second:])
    with pytest.raises(DatasetError, match="data behind its end"):
        unpack(path, tmp_path / "out")


def test_a_zip_whose_directory_lost_entries_is_damaged(tmp_path):
    """A comment that is said to be longer hides the entries behind it from zipfile."""
    path = tmp_path / "a.zip"
    write(path)
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\x01\x02")
    content[directory + 32 : directory + 34] = struct.pack("<H", content.index(b"PK\x05\x06") - directory - 46)
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="its directory has 1 entries, not 4"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize(("short", "there", "whole"), [(65535, 70_000, True), (65535, 69_999, False), (4464, 0, True)])
def test_the_number_of_entries_above_65535_is_in_another_record(tmp_path, short, there, whole):
    """65535 refers to the record before; 4464 is 70000 modulo 65536, which some programs write."""
    path = tmp_path / "a.zip"
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, there, there, 0, 0)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, short, short, 0, 0, 3)
    path.write_bytes(record + bytes(20) + end + b"abc")
    with contextlib.nullcontext() if whole else pytest.raises(Exception, match="has 70000 entries, not 69999"):
        archives._require_all(path, 70_000, 3)


def test_the_checksum_of_a_compressed_tar_is_compared(tmp_path):
    path = tmp_path / "a.tgz"
    write(path)
    content = bytearray(path.read_bytes())
    content[-8] ^= 1  # CRC-32 of gzip
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="CRC check failed"):
        unpack(path, tmp_path / "out")


def refusal(path, folder) -> str:
    """The error line of an archive; empty if it was unpacked."""
    try:
        unpack(path, folder)
    except DatasetError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_one_line_or_harmless(tmp_path, kind):
    """Bits without meaning, such as a time, may flip. Only a plain tar file has no checksum of its content."""
    path = tmp_path / f"a.{kind}"
    write(path)
    good, rng, lines = path.read_bytes(), np.random.default_rng(KINDS.index(kind)), []
    for number in range(int(os.environ.get("MUTATIONS", "100"))):
        path.write_bytes(mutated_bytes(good, rng))
        folder = tmp_path / f"out{number}"
        line = refusal(path, folder)
        content = found_in(folder).values()
        if line:
            lines.append(line)
            assert not content
        elif kind == "tar":
            assert sorted(map(len, content)) == sorted(map(len, FILES.values()))
        else:
            assert sorted(content) == sorted(FILES.values())
    assert lines
    assert all(str(path) in line and "\n" not in line for line in lines)


@pytest.mark.parametrize("name", ["../out.txt", "set/../../out.txt", "/tmp/out.txt", "..\\out.txt"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_path_out_of_the_folder_is_refused(tmp_path, kind, name):
    write(tmp_path / f"a.{kind}", {"good.txt": b"good", name: b"evil"})
    with pytest.raises(DatasetError, match="leads out of the folder"):
        unpack(tmp_path / f"a.{kind}", tmp_path / "out")
    assert found_in(tmp_path) == {f"a.{kind}": (tmp_path / f"a.{kind}").read_bytes()}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_pipes_and_devices_are_refused(tmp_path, kind):
    write_tar(tmp_path / "a.tar", {"link": b""}, type=kind, linkname="/etc")
    with pytest.raises(DatasetError, match="link is neither a plain file nor a folder"):
        unpack(tmp_path / "a.tar", tmp_path / "out")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_pipes_and_devices_of_a_zip_are_refused(tmp_path, kind):
    write_zip(tmp_path / "a.zip", {"link": b"/etc"}, external_attr=(kind | 0o644) << 16)
    with pytest.raises(DatasetError, match="link is neither a file nor a folder"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_access_rights_are_not_taken_from_the_archive(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as packed:
        entry = tarfile.TarInfo("program")
        entry.mode, entry.size = 0o6777, 1
        packed.addfile(entry, io.BytesIO(b"x"))
    unpack(tmp_path / "a.tar", tmp_path / "out")
    assert not (tmp_path / "out/program").stat().st_mode & 0o6111


def test_what_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "SMALL", 10_000)
    for kind in ("zip", "tgz", "tar.xz"):
        write(tmp_path / f"a.{kind}", {"zeros": bytes(3_000_000)})
        with pytest.raises(DatasetError, match="would unpack to more than .* bytes, 100 times its size"):
            unpack(tmp_path / f"a.{kind}", tmp_path / "out")
        assert list((tmp_path / "out").iterdir()) == []


def test_zeros_behind_the_end_of_a_tar_count_too(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "SMALL", 10_000)
    write(tmp_path / "a.tar", {"a": b"a"})
    (tmp_path / "a.tgz").write_bytes(gzip.compress((tmp_path / "a.tar").read_bytes() + bytes(5_000_000)))
    with pytest.raises(DatasetError, match="would unpack to more than"):
        unpack(tmp_path / "a.tgz", tmp_path / "out")


def test_many_empty_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    write(tmp_path / "a.tar")
    with pytest.raises(DatasetError, match="more than 3 files"):
        unpack(tmp_path / "a.tar", tmp_path / "out")


def test_a_file_longer_than_its_header_says_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    write_zip(path, {"a": b"x" * 1000})
    content = path.read_bytes()
    assert content.count(struct.pack("<I", 1000)) == 2  # local header and directory
    path.write_bytes(content.replace(struct.pack("<I", 1000), struct.pack("<I", 10)))
    with pytest.raises(DatasetError, match="Bad CRC-32"):
        unpack(path, tmp_path / "out")
    path.write_bytes(content.replace(struct.pack("<I", 1000), struct.pack("<I", 5000)))
    with pytest.raises(DatasetError, match="a has 1000 bytes, not 5000"):
        unpack(path, tmp_path / "out")


def test_an_encrypted_file_is_named(tmp_path):
    path = tmp_path / "a.zip"
    write_zip(path, {"secret": b"x" * 50})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="is encrypted"):
        unpack(path, tmp_path / "out")


def test_a_size_below_zero_does_not_loop_for_ever(tmp_path):
    header = tarfile.TarInfo("a").tobuf()
    size = b"\xff" * 10 + struct.pack(">h", -1024)  # base 256, negative
    header = header[:124] + size + header[136:]
    checksum = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
    (tmp_path / "a.tar").write_bytes(header[:148] + checksum + header[156:] + bytes(1024))
    with pytest.raises(DatasetError, match="size -1024|cannot be unpacked"):  # newer releases of Python refuse it
        unpack(tmp_path / "a.tar", tmp_path / "out")


def test_a_full_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
    write(tmp_path / "a.zip")
    usage = archives.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: usage._replace(free=100))
    with pytest.raises(DatasetError, match=r"27\d+ bytes are needed and 100 are free .*a.zip .*check the disk space"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_what_a_killed_call_has_left_is_removed(tmp_path):
    write(tmp_path / "a.zip")
    (tmp_path / "out/.a.zip.unpacking/set").mkdir(parents=True)
    (tmp_path / "out/.a.zip.unpacking/set/half.txt").write_text("half")
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert found_in(tmp_path / "out") == FILES


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    write(tmp_path / "a.zip")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/set").write_text("mine")
    with pytest.raises(DatasetError, match=r"set: .*check the disk space and the file permissions"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert (tmp_path / "out/set").read_text() == "mine"
