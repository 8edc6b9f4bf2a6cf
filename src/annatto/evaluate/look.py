"""How a report's page looks, in light and dark, and its one small script.

The page may load nothing: its policy allows no address at all, and of scripts only this one, by
its hash, so that a text that looks like a script is never run.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1a1a1a; --soft: #5a5a5a; --rule: #dcdcdc;
 --box: #f5f5f3; --warn: #fdeeea; --edge: #b3410e; --c0: #0072b2; --c1: #c47f00; --c2: #007e5c;
 --c3: #b0568c; --c4: #2f8fc4; --c5: #c14f00; --c6: #767676; --c7: #1a1a1a; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181b; --ink: #e8e8e6; --soft: #a8abb0;
 --rule: #363a40; --box: #1f2226; --warn: #3a2019; --edge: #ff9a66; --c0: #4aaef0; --c1: #f0b442;
 --c2: #2fc79a; --c3: #e09cc4; --c4: #8fd0f5; --c5: #ff8a4a; --c6: #9aa0a6; --c7: #e8e8e6; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1rem; background: var(--paper);
 color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
h3 { font-size: 1rem; margin-bottom: 0.2rem; }
p, li { max-width: 46rem; } .soft, figcaption { color: var(--soft); font-size: 0.9rem; }
.headline { font-size: 1.15rem; font-weight: 600; }
.warning { background: var(--warn); border-left: 4px solid var(--edge); padding: 0.6rem 0.9rem;
 font-weight: 600; overflow-wrap: anywhere; }
code, pre { background: var(--box); border-radius: 3px; padding: 0.1em 0.3em;
 overflow-wrap: anywhere; white-space: pre-wrap; }
pre { padding: 0.7rem; }
.charts { display: grid; gap: 1.2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%,
 24rem), 1fr)); align-items: start; margin: 0.9rem 0; }
figure { margin: 0; min-width: 0; } figcaption { margin-bottom: 0.3rem; overflow-wrap: anywhere; }
svg { width: 100%; max-width: 34rem; height: auto; display: block; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.9rem; }
th, td { text-align: left; padding: 0.25rem 0.7rem 0.25rem 0; vertical-align: top;
 border-bottom: 1px solid var(--rule); } td.number, th.number { text-align: right;
 font-variant-numeric: tabular-nums; white-space: nowrap; } td.long { min-width: 14rem;
 overflow-wrap: anywhere; }
svg text { fill: var(--ink); font: 11px system-ui, sans-serif; } svg .tick { fill: var(--soft); }
svg .name { font-size: 11.5px; } .middle { text-anchor: middle; } .end { text-anchor: end; }
svg .told { font-variant-numeric: tabular-nums; }
.grid { stroke: var(--rule); stroke-width: 0.7; } .axis { stroke: var(--soft); stroke-width: 1; }
.error { stroke: var(--ink); stroke-width: 1.3; } .dot { fill-opacity: 0.65; }
.area { fill-opacity: 0.16; } .curve { fill: none; stroke-width: 1.5; }
.dash { stroke-dasharray: 5 3; } .dots { stroke-dasharray: 1.5 2.5; }
.mark { cursor: pointer; } .mark:focus { outline: 2px solid var(--edge); }
.key { display: inline-block; width: 0.8em; height: 0.8em; border-radius: 50%;
 margin-right: 0.3em; }
output { display: block; min-height: 4.5em; font-size: 0.9rem; white-space: pre-line;
 overflow-wrap: anywhere; color: var(--soft); }
""" + "".join(
    f".f{i} {{ fill: var(--c{i}); }} .s{i} {{ stroke: var(--c{i}); }} "
    f".k{i} {{ background: var(--c{i}); }}\n"
    for i in range(8)
)

SCRIPT = """
function show(event) {
  const mark = event.target.closest ? event.target.closest(".mark") : null;
  const box = mark ? mark.closest("figure").querySelector("output") : null;
  if (box) box.textContent = mark.querySelector("title").textContent;
}
for (const kind of ["click", "pointerover", "focusin"]) document.addEventListener(kind, show);
"""
"""Shows what a mark stands for below its chart, for fingers as for a mouse and the keyboard."""


def policy() -> str:
    """The page's Content-Security-Policy."""
    digest = b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
