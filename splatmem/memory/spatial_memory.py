"""The spatial memory: 3D Gaussians that are read into views and written from RGB-D frames."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from splatmem.classes import PixelClasses
from splatmem.gaussians import Gaussians
from splatmem.gaussians.bounds import GrowingSpheres, near_picture
from splatmem.gaussians.draw import in_batches
from splatmem.gaussians.growing import Appender
from splatmem.gaussians.lift import LiftSettings, lift
from splatmem.gaussians.refine import fit_features
from splatmem.gaussians.soft_rims import SoftRims
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.gravity import down_in_world
from splatmem.geometry.push_pull import fill_gaps
from splatmem.geometry.sampling import evenly_spread
from splatmem.geometry.world import World
from splatmem.memory.fitted_part import FittedPart
from splatmem.memory.free_space import (
    Bodies,
    FreeSpace,
    GrowingFreeSpace,
    SeenDepth,
    box_around,
    may_see,
    push_out_of_free_space,
)
from splatmem.memory.glance import Glance
from splatmem.memory.held_views import HeldViews, alike, covering, latest_of_alike
from splatmem.memory.leaks import STRICT, LeakLimits, Trimmed, cells_seen, leaks_trimmed, part_around, trim_leaks
from splatmem.memory.reading import MemoryReading, sampled
from splatmem.memory.stored_view import PlainPictures, StoredView
from splatmem.memory.visibility import (
    CRACK_WIDTH,
    SOLID_ALPHA,
    draw_coverage,
    draw_known,
    draw_visibility,
    shown_colours,
)
from splatmem.metrics import Fidelity
from splatmem.pixels import from_uint8, to_uint8
from splatmem.threads import side_by_side, torch_alone
from splatmem.timing import StageClock

FAR_SHELL = 60.0  # radius of the shell that carries the sky, in units of the memory's scale
FAR_DEPTH_SHARE = 0.5  # what is read beyond this share of the shell's radius is reported as infinitely far
CELL_SPREAD = 0.29  # of Gaussians that carry features: narrow, since neighbours blur each other, and closed up to twice as near
FEATURES_ALPHA = 0.45  # opacity that a cell with features has at least: more than the rims of its neighbours bring
VIEWS_AT_ONCE = 2  # of these that are drawn side by side: what leaks in the next ones has mostly been trimmed by then
VISIBLE_EXTENT = 3.0  # standard deviations of a Gaussian within which it shows
SAMPLED_POINTS = 4096  # of a write's, that tell which views may show it


@dataclass(frozen=True)
class WriteReport:
    """What a write did.

    Attributes:
        added: Gaussians.
        left_out: unknown pixels that would hang in known free space.
        behind_rims: of what was added, so many at the beginning lie behind rims: their colours are not seen in the frame.
    """

    added: int
    left_out: int
    behind_rims: int = 0


@dataclass(repr=False)
class SpatialMemory:
    """A scene: its Gaussians, and the frames that were written.

    The Gaussians lie on the device that draws them; views and readings are pictures, and lie in main memory.

    Attributes:
        gaussians: the scene.
        views: the frames that were written, in order; the first is the photo.
        num_given_views: how many of the views were given, not made: they lead.
        feature_gaussians: Gaussians that carry features, one for each cell of a model's latent grid, or None; beside their
            features they know the scene's colours at that density.
        num_feature_views: how many of the views have theirs.
        scale: median depth of the first view, the memory's unit of length; 1 before the first write.
        metric: whether the world's unit is the metre, as far as the depth model can tell.
        world: in which the given pictures' poses were told; the memory's own has its origin at the first camera.
        down: direction of gravity in the world, a unit vector; found in the first view when that is written, unless it was
            given; None before.
    """

    gaussians: Gaussians = field(default_factory=Gaussians.empty)
    views: list[StoredView] = field(default_factory=list)
    scale: float = 1.0
    num_given_views: int = 1
    feature_gaussians: Gaussians | None = None
    num_feature_views: int = 0
    metric: bool = False
    world: World = field(default_factory=World)
    down: Float[Tensor, "3"] | None = None
    _free_space: GrowingFreeSpace = field(default_factory=GrowingFreeSpace, repr=False, compare=False)
    _held: HeldViews = field(default_factory=HeldViews, repr=False, compare=False)
    _spheres: GrowingSpheres = field(default_factory=GrowingSpheres, init=False, repr=False, compare=False)
    _appender: Appender = field(default_factory=Appender, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.down is None and self.views:
            self.down = down_in_world(from_uint8(self.views[0].rgb), self.views[0].camera)

    @property
    def device(self) -> torch.device:
        """The device of the Gaussians, on which reading, writing and refining compute."""
        return self.gaussians.device

    def __repr__(self) -> str:
        views = f"{len(self.views)} views, {self.num_given_views} of them given" if self.views else "no views yet"
        return f"SpatialMemory of {len(self.gaussians):,} Gaussians, {views}, {self.nbytes / 1e6:.1f} MB"

    def to(self, device: torch.device | str) -> SpatialMemory:
        """The same memory, its Gaussians on another device."""
        features = None if self.feature_gaussians is None else self.feature_gaussians.to(device)
        return replace(self, gaussians=self.gaussians.to(device), feature_gaussians=features)

    @torch.no_grad()
    def read(self, cameras: Cameras, *, features: bool = False, at: tuple[int, int] | None = None) -> MemoryReading:
        """Renders the memory into views and says what of them is known.

        Args:
            cameras: the views.
            features: whether to draw what ``write_features`` has written instead of the full scene: features and coarse
                colours; known is then what has features.
            at: (width, height) to draw at, the cameras' own by default; a model's latent size, say.

        Raises:
            ValueError: features are asked for and none were written.
        """
        coarse = self.feature_gaussians if features else None
        if features and (coarse is None or coarse.features is None):
            raise ValueError("the memory holds no features: write some with write_features first")
        cameras = cameras if at is None else cameras.resized(*at)
        parts = []
        for batch in in_batches(cameras):
            with torch_alone(batch.width * batch.height):
                parts.append(self._read(self._near(batch) if coarse is None else coarse, batch))
        if len(parts) == 1:
            return parts[0]
        names = [f.name for f in fields(MemoryReading) if f.name != "features" or features]
        return MemoryReading(**{name: torch.cat([getattr(p, name) for p in parts]) for name in names})

    def _near(self, cameras: Cameras) -> Gaussians:
        """What of the scene must be drawn for some cameras' pictures."""
        index = self._spheres.near(self.gaussians, cameras)
        return self.gaussians if index is None else self.gaussians.select(index)

    def _read(self, scene: Gaussians, cameras: Cameras) -> MemoryReading:
        """A reading of ``scene``, which is the whole scene or the Gaussians that carry features."""
        drawn, seen = draw_visibility(scene, cameras.to(self.device))
        known, features = seen.known, None
        rgb = shown_colours(drawn.rgb, drawn.alpha, known)
        if scene.features is not None:
            assert drawn.extra is not None
            # A gap of a few cells is no crack: what is closed there has the features of cells beside it.
            known = known & (drawn.alpha > FEATURES_ALPHA)
            rgb, features = (x / drawn.alpha.clamp_min(1e-3)[..., None] for x in (drawn.rgb, drawn.extra))
        far = (drawn.depth > FAR_DEPTH_SHARE * FAR_SHELL * self.scale) | (drawn.alpha < 1e-3)
        return MemoryReading(
            rgb=rgb.cpu(),
            depth=torch.where(far, torch.inf, drawn.depth).cpu(),
            alpha=drawn.alpha.cpu(),
            known=known.cpu(),
            trust=(seen.trust * known).cpu(),
            features=None if features is None else features.cpu(),
        )

    def film(self, cameras: Cameras) -> tuple[Float[Tensor, "v h w 3"], Bool[Tensor, "v h w"]]:
        """Colours (0..1), gaps filled from around them, and what of them is known: a reading of no more than a film shows, at
        half its cost."""
        rgb, known = self._filmed(cameras)
        return rgb.cpu(), known.cpu()

    def film_bytes(self, cameras: Cameras) -> tuple[UInt8[np.ndarray, "v h w 3"], Bool[Tensor, "v h w"]]:
        """As ``film``, with the colours as bytes, which they become on the memory's device: a quarter as much is brought from
        there."""
        rgb, known = self._filmed(cameras)
        return to_uint8(rgb), known.cpu()

    @torch.no_grad()
    def _filmed(self, cameras: Cameras) -> tuple[Float[Tensor, "v h w 3"], Bool[Tensor, "v h w"]]:
        """Colours and what is known, on the memory's device."""
        with torch_alone(cameras.width * cameras.height):
            return draw_known(self._near(cameras), cameras.to(self.device))

    @torch.no_grad()
    def coverage(self, cameras: Cameras, *, coarse: bool = False) -> tuple[Bool[Tensor, "v h w"], Float[Tensor, "v h w"]]:
        """``known`` and ``alpha`` of a reading, without the rest of it.

        Args:
            cameras: the views.
            coarse: whether they stand for larger pictures, in which a gap of a pixel here is no crack: it stays unknown.
        """
        parts = []
        for batch in in_batches(cameras):
            with torch_alone(batch.width * batch.height):
                parts.append(draw_coverage(self._near(batch), batch.to(self.device), 0 if coarse else CRACK_WIDTH))
        known, alpha = (torch.cat(list(maps)).cpu() for maps in zip(*parts, strict=True))
        return known, alpha

    def write(
        self,
        rgb: Float[Tensor, "h w 3"],
        depth: Float[Tensor, "h w"],
        camera: Cameras,
        unknown: Bool[Tensor, "h w"],
        usable: Bool[Tensor, "h w"] | None = None,
        classes: PixelClasses | None = None,
        refine_steps: int = 0,
        clock: StageClock | None = None,
        ahead: Bodies | None = None,
        rims: SoftRims | None = None,
        limits: LeakLimits = STRICT,
    ) -> WriteReport:
        """Adds the unknown pixels of a frame; what is there already is not touched.

        New surfaces must not hang in front of what earlier views saw: such pixels are moved back along their rays until
        they no longer do, or left out. If anything fails, the memory is as it was.

        Args:
            rgb: the whole frame, 0..1.
            depth: its z-depth, aligned with the memory, ``inf`` for sky.
            camera: one camera.
            unknown: which pixels to write.
            usable: of these, pixels that show the scene; the others stay unknown. None: all of them.
            classes: what the frame's pixels show, to be remembered with it.
            refine_steps: of the fit of the new Gaussians' colours to the frame. ``refine`` afterwards does the same, but has
                to copy the colours of the whole scene.
            clock: gets the seconds of that fit, as ``refine``.
            ahead: cameras that will look later, which nothing that is added may reach, as if they had been there.
            rims: pixels of the first frame that are added as two layers, of a thing and of what is behind it.
            limits: how much the new Gaussians may cover of what earlier views show.

        Raises:
            ValueError: sizes do not fit, the frame has no usable depth, or a later frame has rims.
        """
        if rims is not None and self.views:
            raise ValueError("expected rims with the first frame alone, got them with a later one, which may be trimmed")
        if usable is not None and not usable.all():
            # Neighbours of what may not be used are fitted to the picture as it is stored: its colours must not get in.
            rgb = fill_gaps(rgb.permute(2, 0, 1)[None], usable[None])[0].permute(1, 2, 0)
        scale = self.scale if self.views else _median_depth(depth)
        if self.views:
            depth, allowed = push_out_of_free_space(depth, camera, unknown, self._free_space.of(self._seen()))
        else:
            allowed = torch.ones_like(unknown)
        shown = torch.ones_like(unknown) if usable is None else usable
        selected = unknown & allowed & shown
        settings, behind_rims = LiftSettings(far_radius=FAR_SHELL * scale), 0
        if rims is None:
            added = lift(rgb, depth, camera, selected, settings=settings)
        else:
            added, behind_rims = rims.lifted_with(rgb, depth, camera, selected, settings)
        if self.views:
            for bodies in (self.free_space().bodies, ahead):
                if bodies is not None and len(added):
                    added = added.select(~bodies.reached(*_extents(added)))
        if self.views and len(added):
            added = self._without_leaks(added.to(self.device), limits)
        count = len(self.gaussians)
        view = StoredView(
            camera=camera,
            pictures=PlainPictures(
                rgb=torch.from_numpy(to_uint8(rgb)),
                depth=depth.clone(),
                written=unknown | ~shown if self.views else selected,
                classes=classes,
            ),
            gaussians=(count, count + len(added)),
        )
        added = added.to(self.device)
        if refine_steps > 0 and len(added):
            with (clock or StageClock()).stage("refine"):
                part = FittedPart.of(view)
                before = self._near(part.camera) if count else self.gaussians
                before = before.select(near_picture(before, part.camera.to(self.device)))
                new = (len(before), len(before) + len(added))
                added = part.fit(Gaussians.cat([before, added]), new, refine_steps).select(slice(*new))
        joined = self._appender.joined(self.gaussians, added)
        down = down_in_world(from_uint8(view.rgb), camera) if self.down is None else self.down
        self.gaussians, self.views, self.scale, self.down = joined, [*self.views, view], scale, down
        return WriteReport(len(added), int((unknown & ~allowed).sum()), behind_rims)

    def write_behind(
        self, rgb: Float[Tensor, "h w 3"], depth: Float[Tensor, "h w"], camera: Cameras, hidden: Bool[Tensor, "h w"]
    ) -> int:
        """Adds what lies behind what a view shows, made and not seen; returns how many Gaussians that is.

        They belong to no view: nothing of them is what was given, and the first view's pixels stay those that it showed.

        Args:
            rgb: 0..1.
            depth: z-depth of the hidden surfaces, ``inf`` for sky; elsewhere that of what is shown.
            camera: of the view, at any size.
            hidden: which pixels to add.
        """
        return self.add_hidden(lift(rgb, depth, camera, hidden, settings=LiftSettings(far_radius=FAR_SHELL * self.scale)))

    def add_hidden(self, added: Gaussians) -> int:
        """Adds Gaussians that the first view does not show, made and not seen, but for those that would show there; returns how
        many."""
        if len(added):
            first = self.views[0].camera
            known = self.coverage(first)[0].to(self.device)
            added = trim_leaks(self.gaussians, added.to(self.device), first.to(self.device), known)
            self.gaussians = self._appender.joined(self.gaussians, added)
        return len(added)

    def write_features(self, features: Float[Tensor, "h w f"], camera: Cameras, view: Cameras) -> int:
        """Gives the surfaces that a view shows features, one Gaussian for each cell that has none yet; returns how many.

        They are kept in half precision, and fitted so that this camera reads back what it was given: cells overlap.

        Args:
            features: on a grid that covers the view, such as an autoencoder's latents of its picture.
            camera: with the view's pose, one pixel for each cell of the grid.
            view: at the pictures' size: what of it is known gets features.
        """
        cells = sampled(self.read(view), view, camera)
        missing = cells.known
        if self.feature_gaussians is not None:
            missing = missing & ~self.read(camera, features=True).known[0]
        far, spread = FAR_SHELL * self.scale, CELL_SPREAD
        settings = LiftSettings(far_radius=far, largest_block=1, spread=spread, detail_spread=spread, underlay_block=0)
        added = lift(cells.rgb, cells.depth, camera, missing, features=features.float(), settings=settings).to(self.device)
        joined = added if self.feature_gaussians is None else Gaussians.cat([self.feature_gaussians, added])
        self.feature_gaussians = fit_features(joined, len(added), features.to(self.device), missing.to(self.device), camera)
        return len(added)

    @torch.no_grad()
    def _without_leaks(self, added: Gaussians, limits: LeakLimits) -> Gaussians:
        """``added`` trimmed so that it does not show where stored and held views show something else.

        That depends on how near things are, not on how much of the added falls into a view: one that looks through a gap at a
        corner of it is asked too, and one whose walls hide all of it is not. Of views from the same place the latest is asked
        for all: it shows what the earlier ones do, and what was written since.
        """
        seen = self._seen()
        space = self._free_space.of(seen)
        middles, extents = _extents(added)
        chosen = evenly_spread(len(added), SAMPLED_POINTS)
        sampled_middles, sizes = middles[chosen], extents[chosen]
        shown = torch.zeros(len(seen), dtype=torch.long)
        ends = torch.cat([sampled_middles - sizes[:, None], sampled_middles + sizes[:, None]])
        near = may_see(space.cameras, box_around(ends))  # of thousands, a few
        near[0] = True
        shown[near] = space.at(near).may_show(sampled_middles, sizes).sum(1)
        order = shown[1:].argsort(descending=True, stable=True)[: limits.views - 1] + 1
        order = order[shown[order] > 0]
        age = torch.where(order < len(self.views), order, order - len(seen))  # what was written holds more than what was held
        others = order[latest_of_alike(space.cameras[order], age, self.scale)].tolist()
        views = [0, *others]  # most that leaks anywhere leaks in the first one as well
        covers = covering([seen[index].camera for index in views], self.scale)
        for first in range(0, len(views), VIEWS_AT_ONCE):

            def trimmed(index: int, added: Gaussians = added) -> Trimmed | None:
                asked = [views[place] for place in covers[views.index(index)]]
                return self._trimmed(index, seen[index].camera, added, space, asked, limits)

            # A GPU does one thing after another whichever thread asks for it.
            some = views[first : first + VIEWS_AT_ONCE]
            found = side_by_side(trimmed, some) if self.device.type == "cpu" else map(trimmed, some)
            changes = [change for change in found if change is not None]
            if changes:
                added = functools.reduce(Trimmed.both, changes).of(added)
        return added

    @torch.no_grad()
    def _trimmed(
        self, index: int, camera: Cameras, added: Gaussians, space: FreeSpace, asked: list[int], limits: LeakLimits
    ) -> Trimmed | None:
        """What added Gaussians must become so as not to show in a stored or held view; None where none does. What those at the
        same place that were ``asked`` see is not looked at again."""
        suspected = space.at(torch.tensor([index])).may_show(*_extents(added))[0] if len(added) else None
        if suspected is None or not suspected.any():
            return None
        covered = cells_seen(camera, space.at(torch.tensor(asked))) if asked else None
        part = part_around(added.select(suspected), camera.to(self.device), covered)
        if part is None:
            return None
        old, places = part.around(self._near(part.camera))
        known, alpha = draw_coverage(old, part.camera)
        # Of made views thin rims may be covered; of the first view, the photo, nothing that is known.
        pixels = part.pixels & known & ((alpha >= SOLID_ALPHA) | (index == 0))
        return leaks_trimmed(old, added, part.camera, pixels, suspected, places, limits)

    def refine(self, steps: int, behind_rims: int = 0) -> None:
        """Fits the colours of the last write's Gaussians to its frame, but for those behind rims; all others, places and sizes
        are frozen.

        Args:
            steps: of conjugate gradients.
            behind_rims: as the write reported it.
        """
        view = self.views[-1]
        first, last = view.gaussians[0] + behind_rims, view.gaussians[1]
        if steps < 1 or last == first:
            return
        part = FittedPart.of(view)
        index = self._spheres.near(self.gaussians, part.camera)
        if index is None:
            self.gaussians = part.fit(self.gaussians, (first, last), steps)
            return
        index = torch.cat([index[index < first], torch.arange(first, last), index[index >= last]])
        begin = int(torch.searchsorted(index, first))
        chosen = (begin, begin + last - first)
        sh = self.gaussians.sh.clone()
        sh[first:last] = part.fit(self.gaussians.select(index), chosen, steps).sh[slice(*chosen)]
        self.gaussians = self.gaussians.recoloured(sh, first, last)

    def as_given(self) -> SpatialMemory:
        """The memory as it was before anything was made."""
        given = self.views[: self.num_given_views]
        gaussians = self.gaussians.select(slice(0, given[-1].gaussians[1]))
        return replace(self, gaussians=gaussians, views=given, feature_gaussians=None, num_feature_views=0, _held=HeldViews())

    @torch.no_grad()
    def glance(self, camera: Cameras) -> Glance:
        """How much of a camera's view is unknown, and what ``hold`` keeps of it: a reading of no more than that, at half its
        cost."""
        with torch_alone(camera.width * camera.height):
            return Glance.of(self._near, camera, FAR_DEPTH_SHARE * FAR_SHELL * self.scale, self.device)

    def hold(self, camera: Cameras, glance: Glance | None = None) -> None:
        """What a camera is shown now stays: frames that are written later are held off from it as from the written views.

        That is not kept on disk, and ends when the memory becomes another one, by an undo or a removal.

        Args:
            camera: one camera.
            glance: of it at the memory as it is now, if that is at hand.
        """
        with torch_alone(camera.width * camera.height):
            if not self.views or bool(alike(camera, self._free_space.of(self._seen()).cameras, self.scale).any()):
                return
            seen = glance or self.glance(camera)
            self._held.add(seen.camera, seen.depth, seen.known)

    def _seen(self) -> list[SeenDepth]:
        """The views that writes are held off from: those that were written, and those that are held."""
        return [*self.views, *self._held.views]

    def let_go(self) -> None:
        """Nothing is held any more."""
        self._held = HeldViews()

    @property
    def first_photo(self) -> Float[Tensor, "h w 3"]:
        """Colours of the first view, 0..1."""
        return from_uint8(self.views[0].rgb)

    @property
    def nbytes(self) -> int:
        """Bytes of the Gaussians and the stored views, as they are kept."""
        views = sum(view.pictures.nbytes for view in self.views)
        return self.gaussians.nbytes + views + (0 if self.feature_gaussians is None else self.feature_gaussians.nbytes)

    def free_space(self) -> FreeSpace:
        """What the stored views saw to be empty."""
        return self._free_space.of(self.views)

    def is_free(self, points: Float[Tensor, "p 3"]) -> Bool[Tensor, " p"]:
        """Positions where a camera may be: in front of every surface of the views that look there, with a margin.
        Outside of all views a position is free within the memory's scale of the nearest written camera."""
        return self.free_space().contains(points, reach=self.scale)

    def photo_fidelity(self) -> Fidelity:
        """How well the film shows the first view, over what was written of it."""
        view = self.views[0]
        return Fidelity.of(self.film(view.camera)[0][0], self.first_photo, view.written)

    def retention(self) -> list[Fidelity]:
        """For each frame written after the first, how well the film still shows what was known before it."""
        values = []
        for view in self.views[1:]:
            before = ~view.written
            if before.any():
                values.append(Fidelity.of(self.film(view.camera)[0][0], from_uint8(view.rgb), before))
        return values

    def retention_psnr(self) -> list[float]:
        """The ``psnr`` of ``retention``."""
        return [fidelity.psnr for fidelity in self.retention()]


def _extents(gaussians: Gaussians) -> tuple[Float[Tensor, "n 3"], Float[Tensor, " n"]]:
    """Middles of Gaussians, and how far around them they show, in main memory."""
    return gaussians.means.cpu(), VISIBLE_EXTENT * gaussians.scales.amax(1).cpu()


def _median_depth(depth: Float[Tensor, "h w"]) -> float:
    finite = depth[torch.isfinite(depth) & (depth > 0)]
    return float(finite.median()) if len(finite) else 1.0
