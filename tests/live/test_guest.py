"""When a browser counts as led about by somebody: the scene grows by itself from there on alone."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

import pytest
import thing_before_wall
import viser
from splatmem.geometry.cameras import Cameras
from splatmem.live.desk import Guest
from splatmem.live.film_view import FilmView
from splatmem.live.framing import View, fov_y_of_canvas

CANVAS = (436, 317)
HOME = thing_before_wall.camera()


def view(camera: Cameras, fov_x_degrees: float = 60.0) -> View:
    pose = camera.cam_to_world[0].double()
    return View(pose, CANVAS, fov_y_of_canvas(CANVAS, 16 / 9, fov_x_degrees), 16 / 9)


@pytest.fixture
def guest() -> Guest:
    return Guest(Mock(spec=viser.ClientHandle), Mock(spec=FilmView), 60.0)


def move(guest: Guest, *cameras: Cameras) -> Guest:
    for camera in cameras:
        guest.moves(view(camera), scale=3.0)
    return guest


def test_one_that_jumps_to_the_beginning_bit_by_bit_is_not_led(guest: Guest) -> None:
    elsewhere = HOME.moved(right=6.0).turned(140.0)
    assert not move(guest, HOME, elsewhere, HOME.turned(140.0), HOME, HOME, elsewhere, HOME).led
    guest.moves(view(HOME, 90.0), scale=3.0)
    assert not guest.led, "a window that is laid out anew has another lens for a moment"


def test_one_that_turns_or_walks_is_led_wherever_it_was(guest: Guest) -> None:
    elsewhere = HOME.moved(right=6.0).turned(140.0)
    assert move(guest, HOME, HOME.turned(2.0)).led
    assert move(replace(guest, led=False, _view=None), HOME, HOME.moved(ahead=0.1)).led
    assert move(replace(guest, led=False, _view=None), elsewhere, elsewhere.turned(2.0), elsewhere.turned(90.0)).led
