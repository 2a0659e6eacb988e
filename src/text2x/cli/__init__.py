"""The command `text2x`: its groups, and how errors leave it. Loads no torch until a command needs it.

An InputError is one line on standard error and exit code 2, an interruption is 130. The environment is read in this
package only: TEXT2X_MODELS names the folder of the user's own models, TEXT2X_CACHE that of prepared data.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from text2x.cli import blend, compare, data, edit, evaluate, image, models, sound, speech, train, upscale, video
from text2x.cli.terminal import one_line
from text2x.errors import InputError

EXIT_INPUT, EXIT_INTERRUPTED, EXIT_PIPE = 2, 130, 141  # the last two as a shell reports SIGINT and SIGPIPE

app = typer.Typer(
    name="text2x",
    help="Turn text into pictures, speech, sound, music and video, offline, with models trained by this package.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog='Begin with: text2x image "a red apple"',
)
app.command("image")(image.image)
for command in (edit.inpaint, edit.outpaint, edit.vary):
    app.command(command.__name__)(command)
app.command("upscale")(upscale.upscale)
app.command("speech")(speech.speech)
app.command("sound")(sound.sound)
app.command("music")(sound.music)
app.command("video")(video.video)
for command in (blend.blend, blend.shift):
    app.command(command.__name__)(command)
app.add_typer(models.app, name="models")
app.command("samplers")(models.samplers)
app.add_typer(data.app, name="data")
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)


def _print_version(wanted: bool) -> None:
    if wanted:
        from text2x import __version__

        typer.echo(f"text2x {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Holds the options of the whole command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 2 asked for wrongly, 130 interrupted."""
    # Idle threads must sleep: with a busy neighbour, spinning ones make a two-thread forward pass 30 times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = app(None if arguments is None else list(arguments), prog_name="text2x", standalone_mode=False)
        sys.stdout.flush()
        code = code if isinstance(code, int) else 0
    except InputError as error:
        return _failed(str(error))
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the last flush does not complain
        return EXIT_PIPE
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        return _failed(f"{where}{error.strerror or error}")
    except Exception as error:
        if not hasattr(error, "format_message"):  # a ClickException, of whichever click typer brings along
            raise
        return _failed(_usage_message(error))
    if code == EXIT_INTERRUPTED:
        print("text2x: interrupted", file=sys.stderr)
    return code


def _failed(message: str) -> int:
    print(f"text2x: {one_line(message)}", file=sys.stderr)
    return EXIT_INPUT


def _usage_message(error: BaseException) -> str:
    """What is wrong with the command line, and the command that explains it."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "text2x"
    message = error.format_message().rstrip(".")  # type: ignore[attr-defined]
    return f"{message}; see {path} --help"
