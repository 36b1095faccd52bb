/** The style of the page: system fonts, one accent, light and dark by the reader's preference, plain on paper. */

export const style = `
:root {
  color-scheme: light dark;
  --paper: light-dark(#fcfcfb, #15171a);
  --raised: light-dark(#ffffff, #1c1f23);
  --ink: light-dark(#1b1d21, #e8e9eb);
  --muted: light-dark(#5d636d, #a0a6b0);
  --line: light-dark(#e4e5e8, #31353b);
  --accent: light-dark(#2f5bd0, #8fb0ff);
  --band: light-dark(#f0dfb8, #4a3f22);
  --shade: light-dark(#0003, #fff4);
  --no: light-dark(#a8321a, #ff9c85);
  --tone-0: var(--accent);
  --tone-1: light-dark(#a8321a, #ff9c85);
  --tone-2: light-dark(#1c7a4c, #6fd3a0);
  --tone-3: light-dark(#7a3fb0, #cfa4f5);
  --tone-4: light-dark(#8a6100, #e6c25c);
}
:root.light { color-scheme: light }
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth }
body {
  margin: 0 auto; max-width: 1080px; padding: clamp(1.5rem, 5vw, 4rem) clamp(1.25rem, 3vw, 1.5rem) 4rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  overflow-wrap: break-word;
}
h1 { margin: 0; max-width: 22em; font-size: clamp(1.6rem, 1.1rem + 2.2vw, 2.5rem); line-height: 1.2; letter-spacing: -.02em; text-wrap: balance }
h2 { margin: 0 0 .75rem; font-size: 1.375rem; line-height: 1.3; letter-spacing: -.01em }
h3 { margin: 0 0 .25rem; font-size: .9375rem }
section { margin-top: 4.5rem }
p { max-width: 44em; margin: 0 0 1.25rem }
a { color: var(--accent) }
a:focus-visible, summary:focus-visible, [tabindex]:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 3px }
.muted, .note { color: var(--muted) }
.note { margin-bottom: .5rem; font-size: .875rem }
.note.after { margin: 1rem 0 }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.kicker { margin: 0 0 1rem; color: var(--muted); font-size: .875rem }
.lead { margin: 1.25rem 0 2.5rem; font-size: 1.125rem; color: var(--muted) }

.tiles { display: grid; grid-template-columns: repeat(6, 1fr); margin: 0 0 1.5rem;
  border: 1px solid var(--line); border-radius: 10px; overflow: hidden; background: var(--raised) }
.tile { display: flex; flex-direction: column; margin: 0 -1px -1px 0; padding: 1rem 1.125rem; border: solid var(--line); border-width: 0 1px 1px 0 }
.tile dt::first-letter { text-transform: uppercase }
.tile dt { font-size: .8125rem; line-height: 1.35; color: var(--muted) }
.tile dd { display: flex; flex: 1; flex-direction: column; margin: 0 }
.value { font-size: 1.75rem; font-weight: 600; line-height: 1.4; letter-spacing: -.02em; font-variant-numeric: tabular-nums }
.beside { font-size: .8125rem; line-height: 1.4 }
.verdict { margin-top: auto; padding-top: .5rem; font-size: .8125rem }
.bound { display: block; color: var(--muted) }
.yes { color: var(--accent) }
.no { color: var(--no) }

details { margin: .75rem 0 }
summary { padding: .15rem 0; cursor: pointer; color: var(--accent); width: fit-content }
details[open] > summary { margin-bottom: .75rem }
nav a, li a { display: inline-block; min-height: 1.6rem }
nav a { padding: .1rem 0; text-decoration: none }
nav a:hover { text-decoration: underline }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; margin: 2rem 0 0; padding: 0; list-style: none; font-size: .9375rem }

.scroll {
  overflow-x: auto; max-width: 100%;
  background:
    linear-gradient(90deg, var(--paper) 40%, transparent) 0 / 3rem 100% no-repeat local,
    linear-gradient(270deg, var(--paper) 40%, transparent) 100% / 3rem 100% no-repeat local,
    linear-gradient(90deg, var(--shade), transparent) 0 / 1rem 100% no-repeat scroll,
    linear-gradient(270deg, var(--shade), transparent) 100% / 1rem 100% no-repeat scroll;
}
table { border-collapse: collapse; font-size: .9375rem }
th, td { padding: .4rem .75rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: baseline; font-weight: 400 }
th.number, td.number { text-align: right }
thead th { font-weight: 600; vertical-align: bottom; white-space: nowrap }
thead th .muted { display: block; font-weight: 400; font-size: .8125rem }
tr > :first-child { padding-left: 0 }
tbody th[scope=row] { white-space: nowrap }
.scores { width: 100% }
.scores thead tr:first-child > * { border-bottom: 0; padding-bottom: 0 }
.scores [scope=colgroup] { text-align: center; color: var(--muted); font-weight: 400 }
.scores tr > :first-child:not([colspan]) { position: sticky; left: 0; background: var(--paper) }
.scores thead th.number { padding-right: 3.65rem }
.scores [scope=rowgroup] { padding-top: 1.25rem; font-weight: 600 }
.scores strong { font-weight: 700 }
.stay { position: sticky; left: 0 }
.gain { display: inline-block; min-width: 3.6em; color: var(--muted); font-size: .8125rem; text-align: right; font-variant-numeric: tabular-nums }

.gains { max-width: 46rem; margin: 2rem 0 3rem }
.gain-group { margin-bottom: 1.25rem }
.gain-row { display: grid; grid-template-columns: 4rem 1fr 3rem; align-items: center; gap: .75rem; font-size: .875rem; line-height: 1.9 }
.track { position: relative; height: 1.4em; margin: 0 6px; border-left: 0; background: linear-gradient(var(--line), var(--line)) center / 100% 1px no-repeat }
.track::before, .tick { content: ""; border-left: 2px dotted var(--muted) }
.track::before { position: absolute; top: 0; bottom: 0; left: calc(var(--chance) * 100%) }
.tick { display: inline-block; height: 1em; margin-left: .75em; vertical-align: -.1em }
.track > * { position: absolute; top: 50% }
.track .bar { left: calc(min(var(--from), var(--to)) * 100%); width: calc(max(var(--to) - var(--from), var(--from) - var(--to)) * 100%); height: 3px; margin-top: -1.5px; background: color-mix(in oklab, var(--accent) 45%, var(--paper)) }
.track .noise { left: calc((var(--to) - var(--noise)) * 100%); width: calc(var(--noise) * 200%); height: 9px; margin-top: -4.5px; border: solid var(--accent); border-width: 0 1.5px; background: linear-gradient(var(--accent), var(--accent)) center / 100% 1px no-repeat }
.dot { display: inline-block; width: 11px; height: 11px; border: 2px solid var(--accent); border-radius: 50%; background: var(--accent) }
.dot.hollow { border-color: var(--muted); background: var(--paper) }
.track .dot { left: calc(var(--to) * 100%); margin: -5.5px 0 0 -5.5px }
.track .dot.hollow { left: calc(var(--from) * 100%) }
.key-line { color: var(--muted); font-size: .8125rem }
.key-line .dot { margin-left: .75em; vertical-align: -.05em }
.key-line .dot:first-child { margin-left: 0 }
.scale { display: flex; justify-content: space-between; margin: -.75rem 3.1rem 0 4.2rem; color: var(--muted); font-size: .8125rem }

.confusion .heat { background: color-mix(in oklab, var(--accent) calc(var(--share) * 60%), transparent) }
.confusion .own { font-weight: 700 }
abbr { text-decoration: none }

img { display: block; width: calc(var(--w) * var(--zoom) * 1px); height: auto; image-rendering: pixelated }
section > img { max-width: 100% }
.atlas { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 29rem), 1fr)); gap: .6rem 2.5rem; margin: 0; padding: 0; list-style: none }
.atlas li { display: grid; grid-template-columns: auto 5.5rem 1fr; align-items: center; gap: .6rem }
.swatch { width: .9rem; height: 1.5rem; border-radius: 3px; background: var(--code); print-color-adjust: exact }
.code { font-size: .875rem; font-variant-numeric: tabular-nums; white-space: nowrap }
.patches { overflow: hidden }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(304px, 1fr)); gap: 2rem 1.5rem }
figure { margin: 0; min-width: 0 }
.panels { display: flex; gap: 8px }
.panel { font-size: .75rem; line-height: 1.7 }
.panel img { border-radius: 4px }
.pairs { grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)) }
.pairs .panels { flex-direction: column }
figcaption { margin-top: .15rem; font-size: .875rem; line-height: 1.5 }

.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr)); gap: 2rem 1.5rem }
.chart { display: flex; flex-direction: column }
.chart figcaption { flex: 1; margin: 0 0 .5rem }
.chart figcaption b, .facts dt { font-weight: 600 }
.key { white-space: nowrap; color: var(--muted) }
.key i { display: inline-block; width: 1.1em; margin: 0 .35em 0 .6em }
.key .band { height: .75em; border-radius: 2px; background: var(--band); vertical-align: -.05em }
.key .line { border-top: 2px solid var(--accent); vertical-align: .25em }
.key .tone-1 { border-color: var(--tone-1) }
.key .tone-2 { border-color: var(--tone-2) }
.key .tone-3 { border-color: var(--tone-3) }
.key .tone-4 { border-color: var(--tone-4) }
.key .baseline { border-top: 2px dashed var(--muted) }
.chart figcaption b { display: block }
.chart figcaption b::first-letter { text-transform: uppercase }
.chart [data-chart] { min-height: 204px }
.uplot { font-family: inherit; max-width: 100% }
.u-cursor-pt.raw { display: none }

.times { width: 100%; max-width: 46rem }
.times tfoot > tr > * { border-bottom: 0; font-weight: 600 }
.meter { width: 40% }
.meter i { display: block; width: calc(var(--share) * 100%); min-width: 1px; height: .6em; border-radius: 2px; background: var(--accent); print-color-adjust: exact }
.facts { margin: 0; font-size: .9375rem }
.facts div { margin-bottom: .5rem }
.facts dd { margin: 0; color: var(--muted) }
pre { overflow-x: auto; max-height: 30rem; margin: 0; padding: 1rem; border: 1px solid var(--line); border-radius: 8px; background: var(--raised); font: .8125rem/1.5 ui-monospace, Menlo, Consolas, monospace }

@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto } }
@media (max-width: 960px) { .tiles { grid-template-columns: repeat(3, 1fr) } }
@media (max-width: 480px) {
  tbody th[scope=row] { min-width: 7em; white-space: normal }
  .tiles { grid-template-columns: 1fr 1fr }
  .atlas li { grid-template-columns: auto 5.2rem 1fr; gap: .5rem }
  .scores .gain { display: none }
  .scores th, .scores td { padding: .35rem .2rem; font-size: .8125rem; white-space: normal }
  .scores tbody th[scope=row] { min-width: 5em }
  .scores thead th.number { padding-right: .2rem }
  .gain-row { grid-template-columns: 3.5rem 1fr 2.75rem; gap: .5rem }
  img { width: calc(var(--w) * var(--narrow) * 1px) }
  section { margin-top: 3.5rem }
}
@media print {
  :root { color-scheme: light; --paper: #fff }
  body { max-width: none; padding: 0; font-size: 10pt }
  nav { display: none }
  section { margin-top: 2rem }
  .scroll { overflow: visible }
  th, td { padding: .2rem .35rem; font-size: 9pt }
  .scores .gain { min-width: 3.4em; font-size: 7.5pt }
  .scores thead th.number { padding-right: calc(.35rem + 3.4 * 7.5pt) }
  figure, tr, .gain-group, .tile, .atlas li { break-inside: avoid }
  h2 { break-after: avoid }
  .dot, .bar, .noise, .heat { print-color-adjust: exact }
}
`
