"""The page's style sheet. Every pair of text and background has a contrast of at least 4.5 in both modes."""

LIGHT = """
  --paper: #ffffff; --ink: #1b232e; --quiet: #566171; --rule: #d8dee6; --faint: #edf0f4; --wash: #f6f8fa;
  --link: #1d5c9b; --warm: #8a4b08; --k: #1d67ad; --iq: #b5480f; --legacy: #4d7a1c; --float: #4a5565;
  --other: #7d43a6;
  --b1: #d9e6f2; --b2: #bcd4ea; --b3: #97bbdc; --b4: #6d9dca; --b5: #457eb2; --b6: #2a6096; --b7: #173f68;
"""

DARK = """
  --paper: #14191f; --ink: #e2e7ed; --quiet: #a0abb8; --rule: #333d48; --faint: #232b34; --wash: #1a2027;
  --link: #7db7ee; --warm: #eab26f; --k: #6bb0f0; --iq: #f29a5f; --legacy: #a3cc6a; --float: #b5c0cd;
  --other: #cd9cef;
  --b1: #26384a; --b2: #2d4963; --b3: #355f84; --b4: #427aa9; --b5: #5d98c9; --b6: #8ebadf; --b7: #c9dff1;
"""

RULES = """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
main { max-width: 70rem; margin: 0 auto; padding: 3rem 1.5rem 5rem; }
h1 { font-size: 1.9rem; line-height: 1.2; letter-spacing: -0.015em; margin: 0 0 0.75rem; }
h2 {
  font-size: 1.15rem; line-height: 1.3; margin: 3.25rem 0 0.75rem; padding-top: 0.9rem;
  border-top: 1px solid var(--rule);
}
p, li, dd { max-width: 46rem; }
p { margin: 0 0 0.75rem; }
a { color: var(--link); }
.lede { font-size: 1.06rem; color: var(--quiet); }
.scroll { overflow-x: auto; }
.scroll:focus-visible, button:focus-visible, summary:focus-visible {
  outline: 2px solid var(--link); outline-offset: 2px;
}
table {
  border-collapse: separate; border-spacing: 0; width: 100%; font-size: 0.875rem; line-height: 1.4;
  overflow-wrap: normal;
}
caption { caption-side: bottom; text-align: left; padding-top: 0.7rem; }
caption span {
  display: block; position: sticky; left: 0; width: fit-content; max-width: min(46rem, calc(100vw - 2rem));
  color: var(--quiet); font-size: 0.84rem;
}
th, td { text-align: right; white-space: nowrap; padding: 0.4rem 0 0.4rem 0.9rem; }
thead th {
  font-weight: 600; vertical-align: bottom; border-bottom: 1.5px solid var(--ink);
  padding-bottom: 0.45rem;
}
tbody th, tbody td { border-bottom: 1px solid var(--faint); }
tbody tr:last-child > * { border-bottom-color: var(--rule); }
tbody tr:hover { background: var(--wash); }
tr.reference > * { border-bottom-color: var(--rule); }
.text, .name, thead th:first-child { text-align: left; }
td.text { max-width: 16rem; overflow: hidden; text-overflow: ellipsis; }
td.prose { white-space: normal; min-width: 18rem; max-width: 26rem; }
thead th:first-child, th.name { padding-left: 0; position: sticky; left: 0; background: var(--paper); }
th.name { font-weight: 400; max-width: 22rem; overflow: hidden; text-overflow: ellipsis; }
tr.front th.name { font-weight: 650; }
tbody tr:hover th.name { background: var(--wash); }
.unit { display: block; font-weight: 400; color: var(--quiet); font-size: 0.8rem; }
th button { all: unset; cursor: pointer; }
th button:hover { color: var(--link); }
th[aria-sort=ascending] button::after { content: "\\2191"; }
th[aria-sort=descending] button::after { content: "\\2193"; }
.se { color: var(--quiet); display: inline-block; text-align: left; padding-left: 0.3em; font-size: 0.92em; }

.word { color: var(--warm); font-size: 0.92em; }
.tag {
  font-weight: 400; font-size: 0.72rem; line-height: 1; color: var(--quiet);
  border: 1px solid var(--rule); border-radius: 3px;
  padding: 0.08rem 0.3rem 0.12rem; margin-left: 0.25rem; vertical-align: 0.08em;
}
details { margin-top: 1rem; }
details > .scroll { margin-top: 0.5rem; }
summary { cursor: pointer; color: var(--link); width: fit-content; }
figure { margin: 0; }
figcaption { color: var(--quiet); font-size: 0.84rem; max-width: 46rem; margin-top: 0.4rem; }
.keys {
  display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; font-size: 0.84rem; max-width: none;
  margin-bottom: 0.6rem;
}
.key { display: inline-flex; align-items: center; gap: 0.4rem; }
.key svg { width: 14px; height: 14px; overflow: visible; }
.plot { display: block; width: 100%; height: auto; overflow: visible; }
.plot.narrow { display: none; }
.panels {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr));
  gap: 1.5rem 2rem;
}
.panels .plot { max-width: 36rem; }
.plot text { font-size: 11.5px; fill: var(--quiet); }
.plot .axis { font-size: 12.5px; fill: var(--ink); }
.plot .label { font: 11px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
fill: var(--ink);
  paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
.plot path { fill: none; }
.plot .grid { stroke: var(--rule); stroke-width: 0.8; }
.plot .minor { stroke: var(--faint); stroke-width: 0.8; }
.plot .base { stroke: var(--quiet); }
.plot .front { stroke: var(--quiet); stroke-width: 1.2; stroke-dasharray: 4 3; }
.plot .leader { stroke: var(--quiet); stroke-width: 0.7; opacity: 0.7; }
.plot .bar { stroke: var(--hue); stroke-width: 1.2; }
.mark { stroke: var(--hue); stroke-width: 1.6; }
.plot .mark { fill: var(--paper); }
.plot .on .mark, .key .on .mark { fill: var(--hue); }
.on .label { font-weight: 700; }
.f-k { --hue: var(--k); }
.f-iq { --hue: var(--iq); }
.f-legacy { --hue: var(--legacy); }
.f-float { --hue: var(--float); }
.f-other { --hue: var(--other); }
ul { padding: 0; margin: 0; list-style: none; }
figure + .scroll { margin-top: 1.5rem; }
.remarks { margin-top: 0.9rem; font-size: 0.92rem; }
.remarks li { margin: 0 0 0.35rem; padding-left: 0.9rem; border-left: 3px solid var(--rule); }
#notes li { margin: 0 0 0.6rem; padding-left: 0.9rem; border-left: 3px solid var(--warm); }
.hint { color: var(--quiet); }
#inside li {
  display: grid; grid-template-columns: 9.5rem 12rem 1fr; gap: 0 1.2rem; max-width: none;
  align-items: baseline;
  font-size: 0.875rem; padding: 0.3rem 0; border-bottom: 1px solid var(--faint);
}
.share { width: 100%; height: 0.75rem; display: block; align-self: center; }
.share rect { stroke: var(--paper); stroke-width: 1px; vector-effect: non-scaling-stroke; }
.b1 { fill: var(--b1); } .b2 { fill: var(--b2); } .b3 { fill: var(--b3); } .b4 { fill: var(--b4); }
.b5 { fill: var(--b5); } .b6 { fill: var(--b6); } .b7 { fill: var(--b7); }
.hash { color: var(--quiet); }
dl { margin: 0; font-size: 0.92rem; }
dl div { display: grid; grid-template-columns: 6.5rem 1fr; gap: 0 1.2rem; padding: 0.3rem 0; }
dt { font-weight: 600; }
dd { margin: 0; }
#tip {
  position: fixed; z-index: 2; max-width: min(24rem, calc(100vw - 16px)); padding: 0.35rem 0.6rem;
  border-radius: 4px;
  background: var(--ink); color: var(--paper); font-size: 0.8rem; pointer-events: none;
}
#tip[hidden] { display: none; }
/* A table with many columns may use the margin beside the text. */
@media (min-width: 70rem) {
  .scroll { width: fit-content; min-width: 100%; max-width: calc(50vw + 32rem); }
}
@media (max-width: 40rem) {
  main { padding: 1.5rem 1rem 3rem; }
  h1 { font-size: 1.5rem; }
  .plot.wide { display: none; }
  .plot.narrow { display: block; }
  th.name { max-width: 45vw; white-space: normal; }
  .tag { display: block; border: 0; margin: 0; padding: 0.15rem 0; }
  #inside li { grid-template-columns: 1fr; gap: 0.2rem; padding: 0.6rem 0; }
  dl div { grid-template-columns: 1fr; }
}
@media print {
  html { font-size: 9.5pt; }
  main { max-width: none; padding: 0; }
  .scroll { overflow: visible; }
  table { font-size: 7.5pt; }
  th, td { padding-left: 0.5rem; }
  figure, tr, li, dl div { break-inside: avoid; }
  h2 { break-after: avoid; margin-top: 1.5rem; }
  #tip { display: none; }
}
"""

# A standard error is as wide as the longest of its column, so that the values before it line up.
ERROR_WIDTHS = "\n".join(f".e{n} .se {{ min-width: {n + 1.6}ch; }}" for n in range(1, 13))

# Printers get the light palette: dark paper wastes ink.
STYLE = f"""
:root {{{LIGHT}}}
@media screen and (prefers-color-scheme: dark) {{ :root {{{DARK}}} }}
{RULES}{ERROR_WIDTHS}
"""
