"""`qwenchat completion`: the script that lets a shell complete."""

import click
from click.shell_completion import get_completion_class

from qwenchat.cli.options import Choice


@click.command()
@click.argument("shell", type=Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that lets a shell complete commands, options, models and conversations.

    bash: qwenchat completion bash >> ~/.bashrc

    zsh: qwenchat completion zsh >> ~/.zshrc

    fish: qwenchat completion fish > ~/.config/fish/completions/qwenchat.fish
    """
    kind = get_completion_class(shell)
    if kind is not None:
        template = kind(context.find_root().command, {}, "qwenchat", "_QWENCHAT_COMPLETE")
        click.echo(template.source_template % template.source_vars())
