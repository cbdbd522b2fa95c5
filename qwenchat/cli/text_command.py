"""Commands whose arguments are words of a person's, which may begin with a dash."""

import re
import sys

import click

_OPTION = re.compile(r"--?[A-Za-z][\w-]*(=.*)?", re.DOTALL)
"""What an option looks like, known or not: a slip of the finger in one is never taken for text."""


class TextCommand(click.Command):
    """Takes `- summarize this` and `-5 + 3 = ?` for text; `--` makes text of all that follows."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the options first and all text behind a `--`, where click takes it as it is."""
        options, texts = self._parted(ctx, list(args))
        return super().parse_args(ctx, [*options, "--", *texts] if texts else options)

    def _parted(self, ctx: click.Context, args: list[str]) -> tuple[list[str], list[str]]:
        takes_value = {
            name: not param.is_flag and not param.count
            for param in self.get_params(ctx)
            if isinstance(param, click.Option)
            for name in (*param.opts, *param.secondary_opts)
        }
        options: list[str] = []
        texts: list[str] = []
        while args:
            word = args.pop(0)
            if word == "--":
                # Alone it is all that was typed: somebody asks what it is.
                texts += args or ([] if texts or not sys.stdin.isatty() else [word])
                break
            if word in takes_value:
                options += [word, *(args[:1] if takes_value[word] else ())]
                del args[: int(takes_value[word])]
            elif _OPTION.fullmatch(word) and not any(blank in word.partition("=")[0] for blank in " \t\n"):
                options.append(word)
            else:
                texts.append(word)
        return options, texts
