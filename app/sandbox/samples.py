"""Pictures to post while trying things out: landscapes drawn from a few colours, and one short clip."""

import io
import math
import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

CLIP = Path(__file__).parent / "pages" / "clip.mp4"
"""Four seconds, 360 x 640, H.264: fit for a reel, a Page's video and YouTube."""

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Scene:
    """A sky from top to horizon, hills from far to near, and a sun or moon somewhere."""

    size: tuple[int, int]
    sky: tuple[Colour, Colour]
    hills: tuple[Colour, Colour]
    sun: Colour
    sun_at: tuple[float, float]


SAMPLES: dict[str, Scene] = {
    "sunrise": Scene(
        (1080, 1080), ((255, 196, 128), (255, 122, 122)), ((178, 77, 108), (58, 28, 72)), (255, 244, 214), (0.62, 0.46)
    ),
    "forest": Scene(
        (1080, 1350), ((196, 226, 214), (240, 246, 226)), ((118, 160, 134), (18, 54, 46)), (255, 255, 240), (0.3, 0.3)
    ),
    "ocean": Scene(
        (1200, 630), ((92, 160, 224), (214, 236, 250)), ((66, 130, 180), (10, 44, 92)), (255, 250, 220), (0.75, 0.3)
    ),
    "dusk": Scene(
        (1080, 1080), ((44, 38, 98), (240, 128, 140)), ((112, 62, 122), (22, 16, 48)), (255, 214, 170), (0.4, 0.6)
    ),
    "desert": Scene(
        (1080, 1080),
        ((120, 190, 226), (252, 226, 190)),
        ((230, 164, 104), (140, 70, 42)),
        (255, 246, 220),
        (0.72, 0.26),
    ),
    "night": Scene(
        (1080, 1350), ((8, 12, 36), (44, 66, 118)), ((28, 42, 84), (6, 8, 22)), (236, 240, 255), (0.68, 0.24)
    ),
}


@cache
def draw_sample(name: str, suffix: str) -> bytes:
    """A sample as `jpg` or `png`; the same bytes every time."""
    scene = SAMPLES[name]
    image = _sky(scene)
    _draw_sun(image, scene)
    _draw_hills(image, scene, random.Random(name))  # noqa: S311 - the same hills every time, no secret
    content = io.BytesIO()
    image.save(content, "JPEG" if suffix == "jpg" else "PNG", quality=86)
    return content.getvalue()


def _sky(scene: Scene) -> Image.Image:
    top, horizon = scene.sky
    column = Image.new("RGB", (1, 64))
    for y in range(64):
        column.putpixel((0, y), _between(top, horizon, y / 63))
    return column.resize(scene.size, Image.Resampling.BICUBIC)


def _draw_sun(image: Image.Image, scene: Scene) -> None:
    width, height = scene.size
    x, y = scene.sun_at[0] * width, scene.sun_at[1] * height
    radius = min(scene.size) * 0.075
    glow = Image.new("L", scene.size, 0)
    ImageDraw.Draw(glow).ellipse((x - radius * 2, y - radius * 2, x + radius * 2, y + radius * 2), fill=150)
    glow = glow.filter(ImageFilter.GaussianBlur(radius))
    ImageDraw.Draw(glow).ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    glow = glow.filter(ImageFilter.GaussianBlur(1.2))
    image.paste(Image.new("RGB", scene.size, scene.sun), mask=glow)


def _draw_hills(image: Image.Image, scene: Scene, chance: random.Random) -> None:
    width, height = scene.size
    draw = ImageDraw.Draw(image)
    far, near = scene.hills
    for layer in range(5):
        base = height * (0.56 + 0.09 * layer)
        waves = [(chance.uniform(0.7, 3.2) * (1 + layer * 0.3), chance.uniform(0, math.tau)) for _ in range(3)]
        ridge = [(x, base + _wave(x / width, waves) * height * 0.035) for x in range(0, width + 8, 8)]
        draw.polygon([*ridge, (width, height), (0, height)], fill=_between(far, near, layer / 4))


def _wave(x: float, waves: list[tuple[float, float]]) -> float:
    return sum(math.sin(x * math.tau * pace + start) / (1 + index) for index, (pace, start) in enumerate(waves))


def _between(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue
