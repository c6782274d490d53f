"""Values of shared options, and what is said about wrong ones."""

from fractions import Fraction

import click
import pytest
from click.testing import CliRunner

from vidpc.cli import options


def run(decorator, *arguments):
    """What the options of ``decorator`` hand to a command."""
    got = {}

    @click.command()
    @decorator
    def command(**values):
        got.update(values)

    result = CliRunner().invoke(command, arguments)
    return got if result.exit_code == 0 else result.output


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12", 12),
        ("12.5", Fraction(25, 2)),
        ("1:02", 62),
        ("1:02:03.5", Fraction(7447, 2)),
        ("90:00", 5400),
        ("0.1", Fraction(1, 10)),
    ],
)
def test_times_are_exact(text, seconds):
    assert run(options.source_options, "--start", text)["start"] == seconds


@pytest.mark.parametrize("text", ["-1", "1:2:3:4", "x", "", "1e3", "nan"])
def test_wrong_times_are_refused(text):
    assert "is no time" in run(options.source_options, "--start", text)


@pytest.mark.parametrize(("text", "rate"), [("25", 25), ("29.97", Fraction(2997, 100)), ("30000/1001", Fraction(30000, 1001))])
def test_rates_are_exact(text, rate):
    assert run(options.source_options, "--fps", text)["fps"] == rate


@pytest.mark.parametrize("text", ["0", "-5", "1/0", "nan", "inf", "fast"])
def test_wrong_rates_are_refused(text):
    assert "is no rate" in run(options.source_options, "--fps", text)


def test_device_options_start_with_the_engines_choice():
    assert run(options.device_options) == {"device": "auto", "precision": "fp32", "batch": None}
    assert run(options.device_options, "--device", "cuda:1", "--batch", "8") == {
        "device": "cuda:1",
        "precision": "fp32",
        "batch": 8,
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--device", "cudda"), "did you mean 'cuda'"),
        (("--device", "cuda:x"), "unknown device"),
        (("--precision", "bf61"), "'bf16'"),
        (("--batch", "0"), "neither 'auto' nor"),
        (("--batch", "many"), "neither 'auto' nor"),
    ],
)
def test_wrong_devices_are_answered_with_near_ones(arguments, words):
    assert words in run(options.device_options, *arguments)


def test_settings_are_toml_or_plain_text():
    values = run(
        options.model_options, "--set", "score=0.4", "--set", "rule=paper", "--set", "sizes=[1, 2]", "--set", "on=true"
    )
    assert values["settings"] == {"score": 0.4, "rule": "paper", "sizes": [1, 2], "on": True}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "score"), "write key=value"),
        (("--set", "=1"), "write key=value"),
        (("--set", "a=1", "--set", "a=2"), "'a' is set twice"),
    ],
)
def test_wrong_settings_are_refused(arguments, words):
    assert words in run(options.model_options, *arguments)


def test_overwrite_and_skip_existing_exclude_each_other():
    for order in (("--overwrite", "--skip-existing"), ("--skip-existing", "--overwrite")):
        assert "exclude each other" in run(options.output_options, *order)


def completions(decorator, name, incomplete):
    command = click.command()(decorator(lambda **values: None))
    option = next(option for option in command.params if option.name == name)
    return [item.value for item in option.shell_complete(click.Context(command), incomplete)]


@pytest.mark.parametrize(
    ("decorator", "name", "incomplete", "values"),
    [
        (options.progress_option, "progress", "p", ["plain"]),
        (options.device_options, "precision", "f", ["fp32", "fp16"]),
        (options.model_options, "model", "peo", ["people"]),
        (options.model_options, "preset", "trans", ["transtrack"]),
    ],
)
def test_values_complete_in_the_shell(decorator, name, incomplete, values):
    assert completions(decorator, name, incomplete) == values
