"""Text of HTML documentation pages without what surrounds it."""

import html.parser
import re

BLOCK = re.compile(r"p|div|section|article|h[1-6]|li|[uod]l|d[td]|tr|table|pre|blockquote|br|hr")
PARAGRAPH = re.compile(r"h[1-6]|p|pre")
SKIP_TAG = re.compile(r"head|script|style|nav|header|footer|button|select|form|svg|noscript")
SKIP_NAME = re.compile(
    r"navheader|navfooter|sphinxsidebar|related|nav|menu|tagline|searchmenu|toplang|bottomlang|page-header|"
    r"path|footer|hd|ft|sidebar|headerlink|up|linenos|nosearch|toc|seealso|nav-wrapper|quickview|fancy_toc|"
    r"viewcode-back|viewcode-link|comments_section"
)


class Page(html.parser.HTMLParser):
    """Text of an HTML page without its navigation; preformatted parts keep their white space."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.pre = 0
        self.skipped = ""
        self.depth = 0  # of the skipped tag in itself; others don't count, as pages leave <li> and <p> open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.depth:
            self.depth += tag == self.skipped
            return
        names = [word for key, value in attrs if key in ("class", "id") and value for word in value.split()]
        named = tag not in ("html", "body") and any(SKIP_NAME.fullmatch(name) for name in names)
        if named or SKIP_TAG.fullmatch(tag):
            self.skipped, self.depth = tag, 1
            return
        self.pre += tag == "pre"
        self.break_line(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.depth:
            self.depth -= tag == self.skipped
            return
        self.pre -= tag == "pre" and self.pre > 0
        self.break_line(tag)

    def handle_data(self, data: str) -> None:
        if not self.depth:
            self.parts.append(data if self.pre else re.sub(r"\s+", " ", data))

    def break_line(self, tag: str) -> None:
        if BLOCK.fullmatch(tag):
            self.parts.append("\n\n" if PARAGRAPH.fullmatch(tag) else "\n")


def page_text(markup: str) -> str:
    """The readable text of one page, with an empty line around every heading and paragraph."""
    page = Page()
    page.feed(markup)
    return re.sub(r"^ (?=\S)", "", "".join(page.parts).replace("¶", ""), flags=re.MULTILINE)
