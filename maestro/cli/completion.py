"""`maestro completion`: the script that makes a shell complete commands, options and names."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", metavar="SHELL", type=click.Choice(SHELLS))
@click.option("--json", is_flag=True, expose_value=False, help="Changes nothing: the script is a script.")
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """Print the script that makes a SHELL complete commands, options, workflows, runs and tasks. Needs no server.

    \b
    bash   echo 'eval "$(maestro completion bash)"' >> ~/.bashrc
    zsh    echo 'eval "$(maestro completion zsh)"' >> ~/.zshrc
    fish   maestro completion fish > ~/.config/fish/completions/maestro.fish
    """
    from click.shell_completion import get_completion_class

    completion = get_completion_class(shell)
    assert completion is not None
    command = ctx.find_root().command
    click.echo(completion(command, {}, "maestro", "_MAESTRO_COMPLETE").source())
