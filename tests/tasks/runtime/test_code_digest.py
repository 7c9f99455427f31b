from tasks.runtime.code_digest import code_digest


def digest_of(folder):
    code_digest.cache_clear()
    return code_digest(folder)


def test_every_change_of_the_code_is_another_digest(tmp_path):
    for package in ("data", "models/losses", "tasks", "pipeline"):
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "a.py").write_text("one = 1\n")
    first = digest_of(tmp_path)
    (tmp_path / "pipeline" / "a.py").write_text("one = 2\n")  # no worker computes with it
    (tmp_path / "tasks" / "a.pyc").write_bytes(b"compiled")
    assert digest_of(tmp_path) == first
    (tmp_path / "models" / "losses" / "a.py").write_text("one = 2\n")
    second = digest_of(tmp_path)
    (tmp_path / "models" / "losses" / "a.py").rename(tmp_path / "models" / "losses" / "b.py")
    assert len({first, second, digest_of(tmp_path)}) == 3


def test_a_process_keeps_what_it_began_with(tmp_path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "a.py").write_text("one = 1\n")
    first = digest_of(tmp_path)
    (tmp_path / "tasks" / "a.py").write_text("one = 2\n")
    assert code_digest(tmp_path) == first
