"""All tools of this program."""

from qwenchat.chat.tools import ToolSettings
from qwenchat.tools.calculator import calculator
from qwenchat.tools.clock import clock
from qwenchat.tools.files import files
from qwenchat.tools.folders import Folders
from qwenchat.tools.page import page
from qwenchat.tools.tool import Tool


def builtins(settings: ToolSettings) -> tuple[Tool, ...]:
    """The tools, within the bounds that the user set."""
    return (
        clock(),
        calculator(),
        *files(Folders(settings.folders)),
        page(private=settings.private_addresses),
    )
