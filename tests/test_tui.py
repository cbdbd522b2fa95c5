"""The chat screen, driven by keys, over a scripted engine."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from textual.pilot import Pilot
from textual.widgets import Markdown, OptionList, Static

from qwenchat.chat.commands import LoadModel
from qwenchat.chat.errors import EngineFailed, ModelNotFound
from qwenchat.chat.events import LoadProgressed
from qwenchat.chat.messages import Message, Role, Status, TextPart, new_id
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session import Session
from qwenchat.tui.app import QwenChat
from qwenchat.tui.screens.chat import ChatScreen
from qwenchat.tui.screens.help import HelpScreen, bindings_of, key_name
from qwenchat.tui.slash import UnknownCommand, command_of
from qwenchat.tui.widgets.composer import Composer
from qwenchat.tui.widgets.message import Prompt, Reply
from qwenchat.tui.widgets.notices import Notices
from qwenchat.tui.widgets.sidebar import Sidebar
from qwenchat.tui.widgets.status import StatusLine
from qwenchat.tui.widgets.transcript import WINDOW, Earlier, Transcript

from .fake_engine import MODEL, FakeEngine, Script


class Chat:
    """A running program and the ways to look at it."""

    def __init__(self, app: QwenChat, pilot: Pilot[None], engine: FakeEngine) -> None:
        self.app, self.pilot, self.engine, self.session = app, pilot, engine, app.session
