"""The command line in this process."""

import pytest

from factory.cli import main


@pytest.fixture
def factory(tmp_path, capsys, monkeypatch):
    """Run the command line in a fresh folder; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code or 0
        out, err = capsys.readouterr()
        assert "--debug" in arguments or "Traceback" not in err
        return code, out, err

    return run
