"""The head of the interface: what is being done, how long it will take, and what was said last."""

from __future__ import annotations

import html
import time

from viser import NotificationHandle

from splatmem.live.desk import Desk
from splatmem.live.growing import KIND as GROWING
from splatmem.live.session import Activity

IDLE = "Ready"
NOTICE_AFTER = 1.0  # seconds: what takes longer is told over the picture too, since the panel may be scrolled


class Status:
    """A line, a bar and a button to stop; and a notice over the picture of each browser."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        gui = desk.server.gui
        self._line = gui.add_markdown(f"**{IDLE}**")
        self._bar = gui.add_progress_bar(0.0, visible=False, animated=True)
        self._stop = desk.button("Stop", lambda event: desk.session.stop_current(), icon=None, visible=False, color="gray")
        self._told = desk.session.told.number
        self._notices: dict[int, NotificationHandle] = {}

    def show(self) -> None:
        """Brings it up with the session."""
        activity, told = self._desk.session.activity, self._desk.session.told
        if told.number != self._told:
            self._told = told.number
            if told.is_error:
                self._desk.refuse(None, told.text)
        self._show_notices()
        if activity is None:
            self._set(" · ".join([f"**{IDLE}**", *(_plain(text) for text in (told.text, self._desk.session.ahead) if text)]))
        else:
            waits = f" ({activity.waiting} more waiting)" if activity.waiting else ""
            self._set(f"**{_plain(activity.label)}**{_left(activity)}{waits}")
            self._bar.value = 100 * activity.share if activity.share > 0 else 100.0
        busy = activity is not None
        if self._bar.visible != busy:
            self._bar.visible = self._stop.visible = busy

    def _show_notices(self) -> None:
        """Windows are not told: what they make is tinted in the picture."""
        activity, guests = self._desk.session.activity, dict(self._desk.guests)
        told = activity is not None and activity.kind != GROWING and time.monotonic() - activity.started > NOTICE_AFTER
        for number in list(self._notices):
            if not told or number not in guests:
                notice = self._notices.pop(number)
                if number in guests:
                    notice.remove()
        if activity is None or not told:
            return
        for number, guest in guests.items():
            text = activity.label + _left(activity)
            if number not in self._notices:
                self._notices[number] = guest.client.add_notification("At work", text, loading=True, with_close_button=False)
            elif self._notices[number].body != text:
                self._notices[number].body = text

    def _set(self, text: str) -> None:
        if self._line.content != text:
            self._line.content = text


def _left(activity: Activity) -> str:
    """How long something will take still, as far as can be told."""
    left = activity.seconds_left
    return "" if left is None else f", about {max(1, round(left))} s"


def _plain(text: str) -> str:
    """Text whose characters mean nothing to Markdown."""
    return "".join("\\" + c if c in "\\`*_{}[]#|~" else c for c in html.escape(text, quote=False))
