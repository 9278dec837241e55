"""Small pieces of HTML that several parts of the page share."""

from __future__ import annotations

from html import escape

from edgeq.report.rows import plain


def safe(text: str) -> str:
    """``text`` as HTML text or attribute value."""
    return escape(plain(text), quote=True)


def section(name: str, title: str, body: str) -> str:
    """A section with a heading, nothing where the body is empty."""
    return f'<section id="{name}">\n<h2>{title}</h2>\n{body}\n</section>' if body else ""


def definitions(facts: list[tuple[str, str]]) -> str:
    """Terms and what is said of them; those with nothing to say are left out."""
    inner = "\n".join(f"<div><dt>{safe(term)}</dt><dd>{safe(text)}</dd></div>" for term, text in facts if text)
    return f"<dl>\n{inner}\n</dl>" if inner else ""


def paragraphs(sentences: list[str]) -> str:
    """Each sentence on its own."""
    return "\n".join(f"<p>{safe(text)}</p>" for text in sentences)


def bullets(sentences: list[str]) -> str:
    """A list of remarks, nothing where there are none."""
    items = "\n".join(f"<li>{safe(text)}</li>" for text in sentences)
    return f'<ul class="remarks">\n{items}\n</ul>' if items else ""
