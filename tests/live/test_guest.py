"""When a browser counts as led about by somebody: the scene grows by itself from there on alone."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

import pytest
import thing_before_wall
import viser
from splatmem.geometry.cameras import Cameras
from splatmem.live.desk import MOST_SETTLING, Guest
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


def move(guest: Guest, *views: View) -> Guest:
    for one in views:
        guest.moves(one, View.at(HOME, one), scale=3.0)
    return guest


def test_one_that_comes_to_the_beginning_bit_by_bit_is_not_led(guest: Guest) -> None:
    elsewhere = HOME.moved(right=2.0).turned(140.0)
    right_place_other_direction = HOME.turned(140.0)
    move(guest, view(elsewhere, 90.0), view(right_place_other_direction, 90.0), view(HOME, 90.0))
    assert not guest.arrived
    move(guest, view(HOME), view(HOME, 90.0))  # a window that is laid out anew has another lens for a moment
    assert guest.arrived
    assert not guest.led


def test_one_that_turns_or_walks_after_it_has_arrived_is_led(guest: Guest) -> None:
    assert move(guest, view(HOME), view(HOME.turned(5.0))).led
    other = replace(guest, arrived=False, led=False)
    assert move(other, view(HOME), view(HOME.moved(ahead=0.3))).led


def test_one_that_was_open_before_the_server_started_is_led_when_it_moves_on(guest: Guest) -> None:
    away = [view(HOME.turned(40.0 + step)) for step in range(MOST_SETTLING + 1)]
    move(guest, *[away[0]] * 20)
    assert not guest.led
    assert move(guest, *away).led
