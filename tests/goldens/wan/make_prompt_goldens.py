"""Makes wan/mojibake.json: wrongly decoded texts and entities of every kind, and what diffusers'
prompt_clean makes of them.

    python tests/goldens/wan/make_prompt_goldens.py [COUNT] [FILE]  # takes ftfy, as diffusers'
"""

import json
import random
import sys
from pathlib import Path

import ftfy  # noqa: F401 -- registers the sloppy encodings
from diffusers.pipelines.wan.pipeline_wan import prompt_clean

HERE = Path(__file__).resolve().parent

TEXTS = (
    "schön|crème brûlée|naïve café à la mode|“quoted” ‘words’ it’s – a dash — and … more|¿qué? ¡sí! "
    "señor|日本語のテキスト|中文字符|한국어|"
    "Привет, мир|ΟΔΟΣ άλφα|שלום עולם|مرحبا بالعالم|हिन्दी क्षि|ไทย|žluťoučký kůň|łódź żółw|Þórr ðað "
    "æsir|İstanbul ığdır|🦊 fox 🐶|👩‍👩‍👧 family|"
    "5 € £3 ¥7 50°C ±2 ½ cup ²³ №5|© ® ™ • bullet|nbsp\u00a0here\u00a0and there|a red heart|às vezes "
    "àquela|déjà vu été|Ã|voilà le travail|"
    "Å Ångström|œuvre Œdipe|×2 µm|─│┌┐ box ▓▒|√ ∞ ≈ ≠ ∑|ﬁne ﬂow|ŉ ǆ|𝒜𝓑|Ünïcödé|ąęś źć|șț ăâî|ёЁ ґҐ їі|ā ē ī "
    "ū|«guillemets»|\ufeffbom|soft\u00adhyphen"
).split("|")
ENCODINGS = ["latin-1", "sloppy-windows-1252", "sloppy-windows-1251", "sloppy-windows-1250",
             "sloppy-windows-1253",
             "sloppy-windows-1254", "sloppy-windows-1257", "iso-8859-2", "macroman", "cp437"]
ENTITIES = (
    "&amp; &amp;amp; &amp;amp;lt; &lt;b&gt; &quot; &#39; &#x27; &nbsp; &copy &copyfoo; &COPY; &EACUTE; "
    "&NTILDE; &nTILDE; &SZLIG; &notit; &notin; "
    "&#0; &#1; &#11; &#13; &#127; &#128; &#x80; &#150; &#x9f; &#55357; &#xD83D; &#1114112; &#xFFFE; "
    "&#x1F98A; &#x1F98A &#65 &amp;#38;amp; &am&#112;; &;"
    " &#; &#x; &hellip; &mdash; &rsquo; &ldquo;x&rdquo; &Aacute &aacute; &AACUTE; &AMP; &AMP;lt; &LT &GT; "
    "&Jscr; &fjlig; &bogus; &NotEqualTilde; &ampamp;"
).split()
ODD = ["\x00", "\x1b[31m", "\x1b[0m", "\x7f", "\x85", "\x96", "\x81", "\ufffd", "?", "\u2028", "\r\n", "\r",
       "\n", "\t", "\x1c", "\u3000", "ｆｕｌｌ", "ﾊﾟ",
       "\u206a", "<", "<b>", "\x1a", "Ã ", "Â ", " Ã©", "â€", "â€™", "Ð", "Ñ€", "à¤"]


def mangle(text, draw):
    """UTF-8 taken for another encoding, once or twice, perhaps with bytes lost on the way."""
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        data = bytearray(text.encode("utf-8", "surrogatepass"))
        if draw.random() < 0.15:
            data = bytearray(data.replace(b"\xa0", b" "))
        try:
            text = bytes(data).decode(draw.choice(ENCODINGS[:2] * 4 + ENCODINGS))
        except UnicodeDecodeError:
            break
    if draw.random() < 0.15 and text:
        at = draw.randrange(len(text))
        text = text[:at] + draw.choice(["\ufffd", "?", " ", ""]) + text[at + 1 :]
    if draw.random() < 0.05:
        text = "".join(chr(0xD800 + (ord(c) - 0x10000 >> 10)) + chr(0xDC00 + (ord(c) - 0x10000 & 0x3FF))
                       if ord(c) > 0xFFFF else c for c in text)
        text = text.encode("utf-8", "surrogatepass").decode("latin-1")
    return text


def texts(count):
    draw = random.Random(6)
    made = []
    while len(made) < count:
        parts = []
        for _ in range(draw.randint(1, 5)):
            part = draw.choice(TEXTS)
            kind = draw.random()
            if kind < 0.5:
                part = mangle(part, draw)
            elif kind < 0.65:
                part = draw.choice(ENTITIES)
            elif kind < 0.75:
                part = draw.choice(ODD)
            parts.append(part)
        text = draw.choice(["", " ", " ", ", "]).join(parts)
        if draw.random() < 0.2:
            text = mangle(text, draw)
        made.append(text)
    return made


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 250
    path = Path(sys.argv[2]) if len(sys.argv) > 2 else HERE / "mojibake.json"
    pairs = [[text, prompt_clean(text)] for text in texts(count)]
    path.write_text(json.dumps(pairs, ensure_ascii=False, separators=(",", ":")).replace("],[", "],\n[")
                    + "\n")


if __name__ == "__main__":
    main()
