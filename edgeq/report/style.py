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

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'

RULES = """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 var(--font);
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
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(13rem, 100%), 1fr)); gap: 0.9rem 1.5rem; }
.facts div { display: block; padding: 0; min-width: 0; }
.facts dt { font-weight: 400; font-size: 0.8rem; color: var(--quiet); }
.facts dd { line-height: 1.4; }
ol { margin: 0; padding-left: 1.5rem; font-size: 0.92rem; }
ol li { margin: 0 0 0.4rem; padding-left: 0.2rem; }
ol + p, dl + ol, ol + dl { margin-top: 1.25rem; }
.lede { font-size: 1.06rem; color: var(--quiet); }
.scroll { overflow-x: auto; }
.scroll:focus-visible, button:focus-visible, summary:focus-visible, select:focus-visible, a:focus-visible,
.plot:focus-visible, th button:focus-visible {
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
th button {
  font: inherit; color: inherit; text-align: inherit; background: none; border: 0; padding: 0; margin: 0;
  cursor: pointer;
}
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
.plot { position: relative; min-width: 0; }
.plot, .plot > .chart-wrapper { display: block; width: 100%; }
.plot svg { display: block; max-width: 100%; overflow: visible; }
.panels {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); gap: 1.75rem 2.5rem;
}
.panels > div { min-width: 0; }
h3 { font-size: 0.95rem; line-height: 1.35; margin: 0 0 0.4rem; padding-right: 2rem; }
.choose { display: flex; flex-wrap: wrap; gap: 0.3rem 0.6rem; align-items: center; margin-bottom: 1rem; }
.choose, select, .download { font-size: 0.92rem; }
select, .download {
  font-family: inherit; color: var(--ink); background: var(--wash); border: 1px solid var(--rule);
  border-radius: 4px; padding: 0.35rem 0.6rem; max-width: 100%; min-width: 0;
}
.choose select { max-width: min(100%, 30rem); }
.download { cursor: pointer; border-color: var(--quiet); padding: 0.5rem 0.9rem; }
.download:hover { border-color: var(--link); color: var(--link); }
.stack { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1.5rem; }
.plot details { position: absolute; top: -2rem; right: 0; margin: 0; z-index: 1; }
.plot summary { list-style: none; line-height: 0; padding: 0.3rem; border-radius: 4px; color: var(--quiet); }
.plot summary::-webkit-details-marker { display: none; }
.plot summary svg { width: 16px; height: 16px; fill: currentColor; stroke: currentColor; }
.vega-actions {
  position: absolute; right: 0; top: 1.9rem; background: var(--paper); border: 1px solid var(--rule);
  border-radius: 4px; padding: 0.25rem 0; font-size: 0.84rem;
}
.vega-actions a { display: block; padding: 0.25rem 0.8rem; white-space: nowrap; text-decoration: none; }
.vega-actions a:hover { background: var(--wash); }
#vg-tooltip-element {
  position: fixed; visibility: hidden; z-index: 3; pointer-events: none; padding: 0.45rem 0.7rem; border-radius: 4px;
  background: var(--ink); color: var(--paper); font: 0.8rem/1.4 var(--font); max-width: min(24rem, calc(100vw - 16px));
}
#vg-tooltip-element.visible { visibility: visible; }
#vg-tooltip-element table { width: auto; font-size: inherit; line-height: inherit; overflow-wrap: anywhere; }
#vg-tooltip-element td { text-align: left; white-space: normal; padding: 0; border: 0; vertical-align: top; }
#vg-tooltip-element td.key { opacity: 0.75; padding-right: 0.7rem; max-width: 11rem; }
#vg-tooltip-element tr:hover { background: none; }
.said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.problem { color: var(--warm); }
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
/* A table with many columns may use the margin beside the text. */
@media (min-width: 70rem) {
  .scroll { width: fit-content; min-width: 100%; max-width: calc(50vw + 32rem); }
}
@media (max-width: 40rem) {
  main { padding: 1.5rem 1rem 3rem; }
  h1 { font-size: 1.5rem; }
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
  .plot details, .choose, .download { display: none; }
}
"""

# A standard error is as wide as the longest of its column, so that the values before it line up.
ERROR_WIDTHS = "\n".join(f".e{n} .se {{ min-width: {n + 1.6}ch; }}" for n in range(1, 13))

# Printers get the light palette: dark paper wastes ink.
STYLE = f"""
:root {{ --font: {FONT}; {LIGHT}}}
@media screen and (prefers-color-scheme: dark) {{ :root {{{DARK}}} }}
{RULES}{ERROR_WIDTHS}
"""
