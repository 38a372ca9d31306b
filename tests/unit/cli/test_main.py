"""The command: starts at once, knows its subcommands, refuses nonsense."""

import subprocess
import sys

import pytest

from kubetree.cli.main import COMMANDS, main


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from kubetree.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\nprint([m for m in ('aiohttp', 'yaml', 'grpc', 'numpy', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": "src"})
    assert done.stdout.rstrip().endswith("[]")
    assert all(name in done.stdout for name in COMMANDS)


def test_an_unknown_command_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["nonsense"])
    assert raised.value.code == 2
    assert "invalid choice: 'nonsense'" in capsys.readouterr().err
