"""Pictures of text, drawn from a seed: lines, and pages that are turned by quarters."""

import random
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFilter, ImageFont

ROOT = Path(__file__).resolve().parents[3]
# Those that matplotlib brings.
FONTS = [
    Path(matplotlib.get_data_path()) / f"fonts/ttf/{name}.ttf"
    for name in (
        "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif", "DejaVuSerif-Bold",
        "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic",
    )
]  # fmt: skip
# Enough of them, and of many kinds.
WORDS = (ROOT / "models/imagenet_labels.txt").read_text(encoding="utf-8").replace("-", " ").split()

LINE = (192, 48)
PAGE = (224, 224)


def words(chance: random.Random) -> str:
    word = chance.choice(WORDS)
    kind = chance.random()
    if kind < 0.15:
        return str(chance.randrange(10 ** chance.randint(1, 6)))
    if kind < 0.3:
        return word.upper()
    return word.capitalize() if kind < 0.45 else word


def colours(chance: random.Random) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of paper and ink, which differ enough to be read."""
    while True:
        paper, ink = (tuple(chance.randrange(256) for _ in range(3)) for _ in range(2))
        if abs(sum(paper) - sum(ink)) > 240:
            return paper, ink


def worn(picture: Image.Image, chance: random.Random) -> Image.Image:
    """Blurred and grainy, as cameras see."""
    picture = picture.filter(ImageFilter.GaussianBlur(chance.uniform(0, 0.8)))
    grain = Image.frombytes("L", picture.size, chance.randbytes(picture.width * picture.height)).convert("RGB")
    return Image.blend(picture, grain, chance.uniform(0, 0.12))


def line(chance: random.Random) -> Image.Image:
    """One line of text that fills a rectangle of 192 x 48 pixels, more or less."""
    paper, ink = colours(chance)
    text = words(chance)
    while len(text) < 6 or chance.random() < 0.4:
        text += " " + words(chance)
    font = ImageFont.truetype(chance.choice(FONTS), 40)
    left, top, right, bottom = map(int, font.getbbox(text))
    margin = chance.randint(2, 8)
    drawn = Image.new("RGB", (right - left + 2 * margin, bottom - top + 2 * margin), paper)
    ImageDraw.Draw(drawn).text((margin - left, margin - top), text, fill=ink, font=font)
    # A line that is longer is pressed together, as its network's own preparation does.
    width = min(LINE[0], round(drawn.width * LINE[1] / drawn.height))
    picture = Image.new("RGB", LINE, paper)
    picture.paste(drawn.resize((width, LINE[1]), Image.Resampling.BILINEAR))
    return worn(picture, chance)


def page(chance: random.Random) -> Image.Image:
    """Lines of text on a square."""
    paper, ink = colours(chance)
    picture = Image.new("RGB", PAGE, paper)
    draw = ImageDraw.Draw(picture)
    size = chance.randint(11, 24)
    font = ImageFont.truetype(chance.choice(FONTS), size)
    margin, y = chance.randint(4, 24), chance.randint(4, 24)
    while y < PAGE[1] - margin - size:
        text = words(chance)
        while font.getlength(longer := f"{text} {words(chance)}") < PAGE[0] - 2 * margin:
            text = longer
        # The last line of a paragraph.
        if chance.random() < 0.2:
            text = text[: max(3, len(text) // 2)]
        draw.text((margin, y), text, fill=ink, font=font)
        y += round(size * 1.35)
    return worn(picture, chance)


def turned(picture: Image.Image, degrees: int) -> Image.Image:
    """Clockwise."""
    return picture.rotate(-degrees, expand=True)
