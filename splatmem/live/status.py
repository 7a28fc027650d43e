"""The head of the interface: what is being done, how long it will take, and what was said last."""

from __future__ import annotations

import html

from splatmem.live.desk import Desk

IDLE = "Ready"


class Status:
    """A line, a bar and a button to stop."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        gui = desk.server.gui
        self._line = gui.add_markdown(f"**{IDLE}**")
        self._bar = gui.add_progress_bar(0.0, visible=False, animated=True)
        self._stop = desk.button("Stop", lambda event: desk.session.stop_current(), icon=None, visible=False, color="gray")
        self._told = desk.session.told.number

    def show(self) -> None:
        """Brings it up with the session."""
        activity, told = self._desk.session.activity, self._desk.session.told
        if told.number != self._told:
            self._told = told.number
            if told.is_error:
                self._desk.refuse(None, told.text)
        if activity is None:
            self._set(f"**{IDLE}**" + (f" · {_plain(told.text)}" if told.text else ""))
        else:
            left = activity.seconds_left
            time = "" if left is None else f", about {max(1, round(left))} s"
            waits = f" ({activity.waiting} more waiting)" if activity.waiting else ""
            self._set(f"**{_plain(activity.label)}**{time}{waits}")
            self._bar.value = 100 * activity.share if activity.share > 0 else 100.0
        busy = activity is not None
        if self._bar.visible != busy:
            self._bar.visible = self._stop.visible = busy

    def _set(self, text: str) -> None:
        if self._line.content != text:
            self._line.content = text


def _plain(text: str) -> str:
    """Text whose characters mean nothing to Markdown."""
    return "".join("\\" + c if c in "\\`*_{}[]#|~" else c for c in html.escape(text, quote=False))
