"""Odd command lines: one line that names what is odd, an exit code that tells it, and no traceback."""

import pytest
from faults.odd_flags import COMMANDS, OddCommand, prepare


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.arguments) or "nothing")
def test_an_odd_command_line_is_one_line(here, tmp_path, command: OddCommand):
    folder = tmp_path / "odd"
    prepare(folder)
    task, arguments, words = command.filled(folder)
    result = here.luigi(task, *arguments) if command.with_data else here.plain(task, *arguments)
    assert result.returncode not in (0, None)
    written = f"{result.stderr}{result.returncode}"  # luigi ends with a text, too
    assert "Traceback" not in written
    assert [line for line in written.splitlines() if all(word in line for word in words)], result.stderr[-2000:]
