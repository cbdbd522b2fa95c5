"""No garbage is searched for while much is imported, and again afterwards."""

import gc
import threading

import pytest

from qwenchat.system.quick_imports import quick_imports


def test_garbage_is_searched_for_again_after_an_import_that_failed() -> None:
    assert gc.isenabled()
    with pytest.raises(ImportError), quick_imports():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_two_threads_that_import_at_once_leave_the_searches_on(first_ends_first: bool) -> None:
    began, ends = threading.Event(), threading.Event()

    def other() -> None:
        with quick_imports():
            began.set()
            ends.wait(10)

    thread = threading.Thread(target=other)
    with quick_imports():
        thread.start()
        assert began.wait(10)
        if not first_ends_first:
            ends.set()
            thread.join(10)
    ends.set()
    thread.join(10)
    assert gc.isenabled()


def test_searches_that_were_off_stay_off() -> None:
    gc.disable()
    try:
        with quick_imports():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
