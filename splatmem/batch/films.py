"""Making the films of a batch's rows, one after another, with the models loaded once."""

from __future__ import annotations

import gc
import io
import shutil
import time
import traceback
from pathlib import Path
from typing import Any

from PIL import Image

from splatmem.batch.manifest import PLACES, Row
from splatmem.batch.places import fetched, is_url
from splatmem.batch.results import Results, begun
from splatmem.explore.models import Models
from splatmem.io.pictures import open_picture
from splatmem.jobs.errors import explained
from splatmem.jobs.flyaround import flyaround
from splatmem.jobs.options import FlyaroundOptions
from splatmem.models.hardware import choose_device
from splatmem.models.needs import needed_models, require_models
from splatmem.report.sheet import SHEET_TILE_WIDTH

THUMBNAILS = "thumbnails"
MADE, KEPT, FAILED = "made", "kept", "failed"


class FilmMaker:
    """Makes films. Called with a row it returns how that ended, as JSON values; see ``splatmem.batch.table``."""

    def __init__(self, results: Results, overwrite: bool = False) -> None:
        """Args:
        results: where the films go.
        overwrite: whether films are replaced that were made with other options.
        """
        self.results, self.overwrite = results, overwrite
        self._models: dict[Any, Models] = {}
        self.load_seconds = 0.0  # spent in loading models since the last film

    def __call__(self, row: Row) -> dict[str, Any]:
        """Makes the film of a row. Whatever goes wrong is told in what is returned."""
        started, self.load_seconds = time.perf_counter(), 0.0
        try:
            state, report = self._film(row)
            outcome: dict[str, Any] = {"id": row.name, "state": state, "report": report}
        except Exception as error:
            sentence = explained(error)
            outcome = {"id": row.name, "state": FAILED, "error": sentence or f"{type(error).__name__}: {error}"}
            if sentence is None:  # only a programmer can do something about it
                outcome["traceback"] = traceback.format_exc()
        return {**outcome, "seconds": time.perf_counter() - started, "load_seconds": self.load_seconds}

    def _film(self, row: Row) -> tuple[str, dict[str, Any]]:
        inputs = self.results.inputs(row.name)
        try:
            options = self._options(row, inputs)
            options.check()
            report, replaced = self.results.finished(row.name, options, self.overwrite)
            if report is not None:
                return KEPT, report
            models = self._loaded(options)
            how = {"overwrite": True} if replaced else {"resume": begun(options.out)}
            options = FlyaroundOptions(**{**vars(options), **how})
            report = flyaround(options, inpainter=models.inpainter, depth=models.depth)
            self._make_thumbnail(row.name, options)
            self.results.keep(row.name)
            return MADE, report
        finally:
            shutil.rmtree(inputs, ignore_errors=True)

    def _options(self, row: Row, inputs: Path) -> FlyaroundOptions:
        urls = {place: row.values[place] for place in PLACES if is_url(row.values.get(place, ""))}
        copies = {place: str(fetched(url, inputs / place)) for place, url in urls.items()}
        return row.options(self.results.film(row.name), copies)

    def _loaded(self, options: FlyaroundOptions) -> Models:
        """The models of a film: those of an earlier one, if it had the same."""
        started, config, device = time.perf_counter(), options.config(), choose_device(options.device)
        key = (config.inpainter, config.depth, config.hardware, device)
        loading = key not in self._models
        if loading:
            require_models(config, options.preset, options.overrides, first_frame=options.source is None)
            if needed_models(config):  # big ones: there is room for one set
                for models in self._models.values():
                    models.release()
                self._models.clear()
            self._models[key] = Models(config, device)
        models = self._models[key]
        _ = models.inpainter, models.depth
        if loading and not needed_models(config):  # small ones stay, and need not be searched for garbage after each film
            gc.collect()
            gc.freeze()
        self.load_seconds += time.perf_counter() - started
        return models

    def _make_thumbnail(self, name: str, options: FlyaroundOptions) -> None:
        """The first frames of the contact sheet, two beside two, as a small picture for the page of all films."""
        with open_picture(options.out / "contact_sheet.png") as sheet:
            picture = thumbnail(sheet.convert("RGB"), *options.size)
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=80)
        self.results.write(f"{THUMBNAILS}/{name}.jpg", content.getvalue())


def thumbnail(sheet: Image.Image, width: int, height: int) -> Image.Image:
    """Four frames of a contact sheet, two beside two, in the shape of the film; the first alone, if there are fewer.

    Args:
        sheet: of a film; see ``report.sheet``.
        width, height: of the film.
    """
    tile = (SHEET_TILE_WIDTH + 2, max(1, round(SHEET_TILE_WIDTH * height / width)) + 2)  # with a margin of a pixel all around
    tiles = [sheet.crop((left, 0, left + tile[0], tile[1])) for left in range(0, sheet.width - tile[0] + 1, tile[0])]
    if len(tiles) < 4:
        return tiles[0]
    picture = Image.new("RGB", (2 * tile[0], 2 * tile[1]))
    for number, part in enumerate(tiles[:4]):
        picture.paste(part, (number % 2 * tile[0], number // 2 * tile[1]))
    return picture
