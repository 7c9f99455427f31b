from data.readers.downloads import DOWNLOADS


def test_every_address_is_secure_or_has_a_checksum():
    for downloads in DOWNLOADS.values():
        for download in downloads:
            assert download.url.startswith("https://") or download.md5


def test_no_two_files_of_a_set_have_the_same_name():
    for downloads in DOWNLOADS.values():
        assert len({download.name for download in downloads}) == len(downloads)
