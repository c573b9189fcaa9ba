"""A student's notebook, made harmless to look at: formgrader shows it in the instructor's session.

Text stays readable as it was typed; nothing in it is live. Outputs keep text, tables and pixels, no script, no SVG, no
widgets. Metadata and attachments of the student's go.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from .merge import joined, source_of

LARGEST_TEXT = 20_000  # characters of one output
LARGEST_SOURCE = 200_000  # characters of one cell
MOST_OUTPUTS = 60  # of one cell
LARGEST_IMAGE = 4 << 20  # bytes

_IMAGES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
_TABLE = ("table", "thead", "tbody", "tr", "th", "td", "caption")
_PROSE = ("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "em", "strong", "b", "i", "sub", "sup")
_BLOCKS = ("code", "pre", "blockquote", "span", "div", "details", "summary", "a")
_LIVE = re.compile(r"<(?=[A-Za-z/!?])")
_SCHEME = re.compile(r"(?i)\b(java|vb|live)script\s*:|\bdata\s*:(?!image/)|&(?:#|[a-z]{1,30};?)(?=[^\s]{0,200}:)")
_ENTITY = re.compile(r"&(?=#|colon|tab|newline)", re.IGNORECASE)


def text(source: str) -> str:
    """Markdown in which nothing is HTML: a space of no width after `<`, so that it reads as before and opens no tag."""
    source = _LIVE.sub("<\u200b", source)
    source = source.replace("![", "!\u200b[")  # a link: pictures would be loaded, and attachments are gone
    source = _ENTITY.sub("&\u200b", source)  # "&#106;avascript:" would be decoded inside a link
    return _SCHEME.sub(lambda found: found[0].replace(":", "\u200b:").replace("&", "&\u200b"), source)


def html(source: str) -> str:
    """HTML reduced to prose and tables: no script, style, picture, form, frame, event handler or live link."""
    import bleach

    source = re.sub(r"(?is)<(script|style|svg|math|template|noscript|title)\b.*?(</\1\s*>|\Z)", "", source)
    return bleach.clean(
        source,
        tags=[*_TABLE, *_PROSE, *_BLOCKS],
        attributes={"a": ["href"], "td": ["colspan", "rowspan"], "th": ["colspan", "rowspan"]},
        protocols=["https", "http", "mailto"],
        strip=True,
        strip_comments=True,
    )


def notebook(submitted: Any, release: Any) -> Any:
    """A copy of the notebook `submitted` without anything live. Cells that the release knows keep its metadata."""
    import nbformat

    known = {cell.id: cell for cell in release.cells}
    cells = []
    used: set[str] = set()
    for number, cell in enumerate(submitted.cells):
        ident = str(cell.get("id", ""))
        original = known.get(ident) if ident not in used else None
        name = ident if original is not None else f"yours-{number}"
        used.add(name)
        source = _short(source_of(cell), LARGEST_SOURCE)
        if cell.get("cell_type") == "code":
            new = nbformat.v4.new_code_cell(source, id=name)
            count = cell.get("execution_count")
            new.execution_count = count if isinstance(count, int) and not isinstance(count, bool) else None
            new.outputs = outputs(cell.get("outputs", []))
        else:
            theirs = original is None or source != original.source
            new = nbformat.v4.new_markdown_cell(text(source) if theirs else source, id=name)
        if original is not None:
            new.metadata = nbformat.from_dict(dict(original.metadata))
        cells.append(new)
    return nbformat.v4.new_notebook(cells=cells, metadata=nbformat.from_dict(dict(release.metadata)))


def outputs(found: Any) -> list[Any]:
    """Outputs as data: text in full up to a limit, tables as sanitized HTML, PNG and JPEG whose bytes are such."""
    import nbformat

    kept = []
    for output in list(found)[:MOST_OUTPUTS] if isinstance(found, list) else []:
        kind = output.get("output_type")
        if kind == "stream":
            name = "stderr" if output.get("name") == "stderr" else "stdout"
            kept.append(nbformat.v4.new_output("stream", name=name, text=_short(joined(output.get("text")))))
        elif kind == "error":
            lines = [_short(str(line)) for line in output.get("traceback", [])][:200]
            named = {"ename": _short(str(output.get("ename"))), "evalue": _short(str(output.get("evalue")))}
            kept.append(nbformat.v4.new_output("error", traceback=lines, **named))
        elif kind in ("display_data", "execute_result"):
            data = _data(output.get("data", {}))
            more = {"execution_count": None} if kind == "execute_result" else {}
            kept.append(nbformat.v4.new_output(kind, data=data, metadata={}, **more))
    if isinstance(found, list) and len(found) > MOST_OUTPUTS:
        words = f"[{len(found) - MOST_OUTPUTS} more outputs are left out]\n"
        kept.append(nbformat.v4.new_output("stream", name="stdout", text=words))
    return kept


def _data(data: Any) -> dict[str, str]:
    found = dict(data) if isinstance(data, dict) else {}
    for kind, start in _IMAGES.items():
        if kind in found:
            try:
                pixels = base64.b64decode(re.sub(r"\s", "", joined(found[kind])), validate=True)
            except (binascii.Error, ValueError):
                continue
            if pixels.startswith(start) and len(pixels) <= LARGEST_IMAGE:
                return {kind: base64.b64encode(pixels).decode(), "text/plain": "[a picture]"}
    if "text/html" in found:
        plain = _short(joined(found.get("text/plain")))
        return {"text/html": html(_short(joined(found["text/html"]))), "text/plain": plain}
    if "text/markdown" in found:
        return {"text/markdown": text(_short(joined(found["text/markdown"])))}
    if "text/plain" in found:
        return {"text/plain": _short(joined(found["text/plain"]))}
    names = ", ".join(sorted(str(name)[:60] for name in found)) or "nothing"
    return {"text/plain": f"[an output of another kind is left out: {names}]"}


def _short(words: str, most: int = LARGEST_TEXT) -> str:
    if len(words) <= most:
        return words
    return words[:most] + f"\n[{len(words) - most:,} more characters are left out]"
