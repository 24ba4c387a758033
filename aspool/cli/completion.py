"""`aspool completion`: the script that teaches a shell to complete verbs, options and ids."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash: echo 'eval "$(aspool completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(aspool completion zsh)"' >> ~/.zshrc
    fish: aspool completion fish > ~/.config/fish/completions/aspool.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    root = click.get_current_context().find_root().command
    click.echo(found(root, {}, "aspool", "_ASPOOL_COMPLETE").source())
