"""Analytic ray casting of textured objects on a table, in NumPy: colour, exact depth, masks."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import scipy  # scipy.ndimage loads at its first use, so that imports stay quick

MISS = np.inf
FAR = 4.0
"""Maximum depth in metres, also of a ray that hits nothing."""


@dataclass(frozen=True)
class Primitive:
    """One object standing on the table.

    Attributes
    ----------
    shape : {"box", "can", "ball"}
    size : (3,) array
        Full extents in metres (x, y, z). A can is round in x and y, a ball in all three.
    position : (2,) array
        Centre on the table in metres.
    yaw : float
        Rotation about the vertical axis in radians.
    texture : str
        Key of `TEXTURES`.
    """

    shape: str
    size: np.ndarray
    position: np.ndarray
    yaw: float
    texture: str

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3) rotation from object to world."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])

    @property
    def centre(self) -> np.ndarray:
        """(3,) world position of the object's centre in metres."""
        return np.array([*self.position, self.size[2] / 2])


@dataclass(frozen=True)
class Camera:
    """Pinhole camera.

    Attributes
    ----------
    focal : float, pixels
    width, height : int, pixels
    rotation : (3, 3) array, from world to camera (x right, y down, z forward)
    position : (3,) array, in world coordinates, metres
    """

    focal: float
    width: int
    height: int
    rotation: np.ndarray
    position: np.ndarray

    @classmethod
    def looking_at(cls, position: np.ndarray, target: np.ndarray, focal: float, width: int, height: int) -> Camera:
        """A camera at `position` whose optical axis goes through `target`; the world's z axis is up."""
        forward = (target - position) / np.linalg.norm(target - position)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        return cls(focal, width, height, np.stack([right, np.cross(forward, right), forward]), position)

    def rays(self, oversampling: int) -> np.ndarray:
        """(H*o * W*o, 3) world directions with camera z = 1, so that the ray parameter is the depth in metres."""
        step = 1.0 / oversampling
        x = np.arange(self.width * oversampling) * step + step / 2 - self.width / 2
        y = np.arange(self.height * oversampling) * step + step / 2 - self.height / 2
        grid = np.stack(np.broadcast_arrays(x[None, :], y[:, None], self.focal), -1) / self.focal
        return grid.reshape(-1, 3) @ self.rotation


def intersect(primitive: Primitive, origin: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest hit of each ray.

    Parameters
    ----------
    primitive : Primitive
    origin : (3,) or (N, 3) array, world
    rays : (N, 3) array, world

    Returns
    -------
    t : (N,) array, ray parameter of the hit; inf where the ray misses
    local : (N, 3) array, hit point in the object's coordinates divided by its size, in [-0.5, 0.5]
    normal : (N, 3) array, world
    """
    t = np.full(len(rays), MISS)
    local, normal = np.zeros((2, *rays.shape))
    start = np.broadcast_to(origin - primitive.centre, rays.shape)
    # Few rays pass near the object. Leave out those that miss its bounding sphere.
    along = np.einsum("ij,ij->i", start, rays)
    gap = np.einsum("ij,ij->i", start, start) - along**2 / np.einsum("ij,ij->i", rays, rays)
    near = np.flatnonzero((gap <= (primitive.size**2).sum() / 4) & (along < 0))
    start, direction = start[near] @ primitive.rotation, rays[near] @ primitive.rotation
    with np.errstate(divide="ignore", invalid="ignore"):
        distance, outward = _INTERSECTIONS[primitive.shape](start, direction, primitive.size / 2)
    hit = np.isfinite(distance) & (distance > 1e-6)
    near = near[hit]
    t[near] = distance[hit]
    local[near] = (start[hit] + distance[hit, None] * direction[hit]) / primitive.size
    normal[near] = outward[hit] @ primitive.rotation.T
    return t, local, normal


def _box(start, direction, half):
    near, far = (-half - start) / direction, (half - start) / direction
    enter, leave = np.minimum(near, far), np.maximum(near, far)
    axis = enter.argmax(1)
    t = enter.max(1)
    t = np.where(t <= leave.min(1), t, MISS)
    return t, -np.sign(direction) * (np.arange(3) == axis[:, None])


def _ball(start, direction, half):
    t = _quadratic(start / half, direction / half)
    point = start + np.where(np.isfinite(t), t, 0.0)[:, None] * direction
    return t, point / half[0]


def _can(start, direction, half):
    side = _quadratic(start[:, :2] / half[:2], direction[:, :2] / half[:2])
    side = np.where(np.abs(start[:, 2] + side * direction[:, 2]) <= half[2], side, MISS)
    top = (np.sign(-direction[:, 2]) * half[2] - start[:, 2]) / direction[:, 2]
    at_top = (start[:, :2] + top[:, None] * direction[:, :2]) / half[:2]
    top = np.where((at_top**2).sum(1) <= 1, top, MISS)
    t = np.minimum(side, top)
    point = start + np.where(np.isfinite(t), t, 0.0)[:, None] * direction
    round_normal = np.concatenate([point[:, :2] / half[:2], np.zeros((len(t), 1))], 1)
    flat_normal = np.sign(-direction) * np.array([0.0, 0.0, 1.0])
    return t, np.where((top < side)[:, None], flat_normal, round_normal)


def _quadratic(start, direction):
    """The nearer root t of |start + t direction| = 1; inf if there is none."""
    a, b, c = (direction**2).sum(1), (start * direction).sum(1), (start**2).sum(1) - 1
    root = b * b - a * c
    return np.where(root >= 0, (-b - np.sqrt(np.maximum(root, 0))) / a, MISS)


_INTERSECTIONS = {"box": _box, "ball": _ball, "can": _can}


@functools.cache
def _lattice(salt: int) -> np.ndarray:
    return np.random.default_rng(salt).random((32, 32, 32))


def value_noise(points: np.ndarray, salt: int) -> np.ndarray:
    """Smooth noise in [0, 1] at (N, 3) points: one lattice cell per unit, period 32.

    The same salt gives the same noise.
    """
    return scipy.ndimage.map_coordinates(_lattice(salt), points.T, order=1, mode="grid-wrap")


def render(
    camera: Camera, primitives: list[Primitive], textures, light: np.ndarray, oversampling: int = 2
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
    """Render one frame.

    Parameters
    ----------
    camera : Camera
    primitives : list of Primitive
    textures : dict of name -> callable
        (N, 3) points -> (N, 3) colours in [0, 1]. Points of objects are in [-0.5, 0.5], those of "table" in metres.
    light : (3,) array
        Unit vector towards the light.
    oversampling : int
        Rays per pixel and axis for the colour. Depth and masks use the pixel's centre.

    Returns
    -------
    colour : (H, W, 3) float in [0, 1]
    depth : (H, W) float, metres along the optical axis
    visible : (H, W) int, the visible object, counted from 1; 0 = table
    silhouettes : list of (H, W) bool, each object as if it were alone
    """
    colour = _shade(camera, primitives, textures, light, camera.rays(oversampling))
    colour = colour.reshape(camera.height, oversampling, camera.width, oversampling, 3).mean((1, 3))
    depth, visible, hits = _trace(camera.position, primitives, camera.rays(1))
    depth = np.minimum(depth, FAR)
    shape = (camera.height, camera.width)
    silhouettes = [np.isfinite(t).reshape(shape) for t, _, _ in hits]
    return colour, depth.reshape(shape), visible.reshape(shape), silhouettes


def _trace(origin, primitives, rays):
    with np.errstate(divide="ignore"):
        depth = np.where(rays[:, 2] < 0, -np.broadcast_to(origin, rays.shape)[:, 2] / rays[:, 2], MISS)
    visible = np.zeros(len(rays), np.int64)
    hits = [intersect(primitive, origin, rays) for primitive in primitives]
    for number, (t, _, _) in enumerate(hits, start=1):
        nearer = t < depth
        depth, visible = np.where(nearer, t, depth), np.where(nearer, number, visible)
    return depth, visible, hits


def _shade(camera, primitives, textures, light, rays):
    depth, visible, hits = _trace(camera.position, primitives, rays)
    depth = np.minimum(depth, FAR)  # the table ends at a wall
    points = camera.position + depth[:, None] * rays
    colour = np.empty(rays.shape)
    table = visible == 0
    colour[table] = textures["table"](points[table])
    normal = np.broadcast_to([0.0, 0.0, 1.0], rays.shape).copy()
    for number, (primitive, (_, local, normals)) in enumerate(zip(primitives, hits, strict=True), start=1):
        here = visible == number
        colour[here] = textures[primitive.texture](local[here])
        normal[here] = normals[here]
    shadow = np.zeros(len(rays), bool)
    toward = np.broadcast_to(light, rays.shape)
    for primitive in primitives:
        shadow |= np.isfinite(intersect(primitive, points + 1e-4 * normal, toward)[0])
    lambert = np.clip((normal * light).sum(1), 0, None) * ~shadow
    return colour * (0.45 + 0.55 * lambert)[:, None]
