/** The style of the studio, after that of the report: a bar on top, tabs of a run, a table of runs, and the styles of the views. */
import * as AtlasStyle from "../../pipelines/atlas/views/AtlasStyle.ts"
import * as HealthView from "../../pipelines/doctor/HealthView.ts"
import * as TokenizeView from "../../pipelines/tokenize/TokenizeView.ts"

const own = `
.bar { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1.5rem; margin-bottom: 2rem; font-size: .9375rem }
.bar a { text-decoration: none }
.bar b { font-weight: 600 }
.skip { position: absolute; left: -100vw }
.skip:focus { left: .5rem; top: .5rem; z-index: 1; padding: .5rem 1rem; background: var(--raised) }
.tabs ul { gap: .25rem 1.25rem; margin: 1.5rem 0 2.5rem; border-bottom: 1px solid var(--line) }
.tabs a { padding: .35rem 0; border-bottom: 2px solid transparent; margin-bottom: -1px }
.tabs a[aria-current] { border-color: var(--accent); color: var(--ink); font-weight: 600; text-decoration: none }
main > section:first-child { margin-top: 0 }
.state { white-space: nowrap }
.state::before { content: ""; display: inline-block; width: .6em; height: .6em; margin-right: .5em; border-radius: 50%; background: var(--muted) }
.state.running::before { background: var(--accent) }
.state.failed::before { background: var(--no) }
.empty { padding: 1.5rem; border: 1px dashed var(--line); border-radius: 10px; background: var(--raised) }
.empty p:last-child { margin: 0 }
.empty code { overflow-wrap: anywhere }
button { font: inherit; min-height: 2.25rem; padding: .25rem 1rem; border: 1px solid var(--accent); border-radius: 6px; background: var(--raised); color: var(--accent); cursor: pointer }
button:focus-visible, input:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px }
input[type=checkbox] { width: 1.5rem; height: 1.5rem; margin: 0; accent-color: var(--accent); vertical-align: middle }
.inline { display: inline }
.inline button { min-height: 1.5rem; min-width: 1.5rem; padding: 0 }
.notes { margin-top: .75rem }
.notes input { font: inherit; min-height: 2.25rem; width: min(100%, 24rem); padding: .25rem .5rem; border: 1px solid var(--line); border-radius: 6px; background: var(--raised); color: var(--ink) }
.page + .page { margin-top: 4.5rem }
.tiles.live { grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)) }
.columns { columns: 16rem; margin-bottom: 1rem }
.columns div { break-inside: avoid }
.differences td { overflow-wrap: anywhere }
progress { width: 100%; accent-color: var(--accent) }
@media (max-width: 480px) { .tiles.live { grid-template-columns: 1fr 1fr } }
`

export const style = `${own}${AtlasStyle.style}${HealthView.style}${TokenizeView.style}`
