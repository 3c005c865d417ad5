"""Pages of ours beside Allure's: the runbooks themselves, so that a check's link leads to what it encodes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #1d2433; --soft: #5b6478; --paper: #fff; --line: #dfe3ea; --shade: #f4f6f9;
  --good: #18794e; --bad: #c62a2f; --warn: #946800; --link: #2457c5 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9f0; --soft: #9aa3b5; --paper: #14171f; --line: #2c3240;
  --shade: #1c212c; --good: #5ac98f; --bad: #ff7a7f; --warn: #f0b93a; --link: #8cb0ff } }
body { font: 15px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  max-width: 72rem; padding: 1.5rem 2rem 6rem }
h1 { font-size: 1.5rem; margin: .4em 0 } h2 { font-size: 1.15rem; margin: 2.2em 0 .5em; scroll-margin-top: 1rem }
h2:target { background: linear-gradient(90deg, color-mix(in srgb, var(--link) 18%, transparent), transparent) }
a { color: var(--link) } .aside { font-size: .8rem; font-weight: 400; margin-left: .6em }
table { border-collapse: collapse; width: 100% } table.coverage { table-layout: fixed }
th { text-align: left; color: var(--soft); font-weight: 500; font-size: .85rem }
th, td { padding: .45rem .7rem; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: anywhere }
col.what { width: 48% } col.by { width: 21% } col.verdict { width: 10% }
code { font: .88em ui-monospace, monospace; background: var(--shade); border-radius: 4px; padding: .08em .3em }
pre { background: var(--shade); border-radius: 6px; padding: .8rem 1rem; overflow-x: auto } pre code { padding: 0 }
td code { font-size: .8em; overflow-wrap: anywhere } code.alert { font-size: .9em; font-weight: 600 }
.number, .none, .reason { color: var(--soft) } .reason { font-size: .88rem; margin-top: .25rem }
.bad { color: var(--bad) }
.verdict { font-weight: 600; font-size: .85rem } .pass { color: var(--good) } .fail { color: var(--bad) }
.unknown, .warn { color: var(--warn) } .coverage td:nth-child(2), .coverage td:nth-child(3) { font-size: .88rem }
"""


# Allure's page makes links of absolute addresses only and shows others as words. These words become links here, without
# touching the elements, which Allure's page keeps changing by itself.
LINKS = """<script>
(() => {
  const pages = %s;
  const mend = () => {
    for (const words of document.querySelectorAll('[data-testid="test-result-meta-link"] span')) {
      const page = pages[words.textContent];
      if (!page || words.dataset.page) continue;
      words.dataset.page = page;
      words.setAttribute("role", "link");
      words.tabIndex = 0;
      words.style.cssText = "color: var(--link, #2457c5); cursor: pointer; text-decoration: underline";
      words.onclick = () => window.open(page, "_blank", "noopener");
      words.onkeydown = (event) => event.key === "Enter" && words.onclick();
    }
  };
  new MutationObserver(mend).observe(document.documentElement, { childList: true, subtree: true });
})();
</script>"""


def with_links(index: str, links: Mapping[str, str]) -> str:
    """Allure's index page, with the words of these links (name -> page of the report) leading there."""
    script = LINKS % json.dumps(dict(links)).replace("<", "\\u003c")
    return index.replace("</head>", f"{script}</head>", 1)


def page(title: str, body: str) -> str:
    """A whole HTML page around ``body``; it loads nothing from anywhere."""
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def runbook(title: str, markdown: str) -> str:
    """A runbook's Markdown as a page, each section with the anchor that links and alerts name."""
    from markdown_it import MarkdownIt

    from muster.report.runbook import anchor_of

    html: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    back = "<p><a href='../index.html'>Back to the report</a></p>"

    def anchored(heading: re.Match[str]) -> str:
        return f"<h2 id='{anchor_of(re.sub('<[^>]+>', '', heading[1]))}'>{heading[1]}</h2>"

    html = re.sub(r"<h2>(.*?)</h2>", anchored, html)
    html = re.sub(r'<a href="(?!#|https?://)[^"]*">(.*?)</a>', r"\1", html)  # files beside it are not in the report
    return page(title, back + html)
