/** The first view of a run: its state, its stages, its figures, its settings. */
import { type Html, html } from "../../pipelines/report/Html.ts"
import * as Numbers from "../../pipelines/report/Numbers.ts"
import type { Figure, Run, StageState } from "../../pipelines/runs/Run.ts"
import { missing } from "./Missing.ts"
import * as RunFacts from "./RunFacts.ts"

const stage = (found: StageState): Html =>
  html`<tr><th scope="row">${found.stage}</th><td>${RunFacts.state(found.state)}${
    found.failedAt === undefined ? undefined : html` at step ${found.failedAt}`
  }</td><td class="number">${RunFacts.steps(found)}</td><td class="number">${
    found.seconds === undefined ? "–" : Numbers.duration(found.seconds)
  }</td><td class="number">${RunFacts.speed(found.imagesPerSecond)}</td><td class="number">${
    found.secondsLeft === undefined ? "–" : Numbers.duration(found.secondsLeft)
  }</td><td class="number">${found.checkpoints.at(-1) ?? "–"}</td></tr>\n`

const stages = ({ stages: all }: Run): Html =>
  all.length === 0
    ? missing("No stage of this run has begun.")
    : html`<div class="scroll" role="region" aria-labelledby="stages" tabindex="0"><table>
<thead><tr><th scope="col">Stage</th><th scope="col">State</th><th scope="col" class="number">Steps</th><th scope="col" class="number">Time</th><th scope="col" class="number">Speed</th><th scope="col" class="number">Left</th><th scope="col" class="number">Checkpoint</th></tr></thead>
<tbody>${all.map(stage)}</tbody></table></div>`

const figure = (found: Figure): Html =>
  html`<tr><th scope="row">${RunFacts.figureName(found)}</th><td class="number">${
    RunFacts.value(found)
  }</td><td class="number">${RunFacts.interval(found)}</td><td class="number">${
    found.images === undefined ? "" : Numbers.count(found.images)
  }</td></tr>\n`

/** The command that measures a finished network of the run: a pretrained one, or else a tokenizer. */
const probing = ({ path, stages }: Run): string | undefined => {
  const names = stages.flatMap(({ stage, state }) => state === "finished" ? [stage] : [])
  const network = ["pretrain", "tokenizer"].flatMap((kind) => names.find((name) => name.startsWith(kind)) ?? [])[0]
  return network && `patchword probe ${path}/${network} --images IMAGES --tests val`
}

const figures = (run: Run): Html =>
  run.figures.length === 0
    ? missing("This run has no figures yet.", probing(run))
    : html`<div class="scroll" role="region" aria-labelledby="figures" tabindex="0"><table>
<thead><tr><th scope="col">Figure</th><th scope="col" class="number">Value</th><th scope="col" class="number">95 %</th><th scope="col" class="number">Images</th></tr></thead>
<tbody>${run.figures.map(figure)}</tbody></table></div>`

const section = (id: string, title: string, content: Html): Html =>
  html`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>\n${content}\n</section>\n`

const facts = (run: Run): ReadonlyArray<readonly [name: string, value: string]> => [
  ["Folder", run.path],
  ["First step", RunFacts.time(run.began)],
  ["Last change", RunFacts.time(run.changed)],
  ["Time of training", Numbers.duration(run.seconds)],
  ["Computed on", run.computedOn.map(({ engine, version }) => `${engine} ${version}`).join(", then ") || "unknown"],
  ...run.owner === undefined ? [] : [["In use by", `process ${run.owner.pid} of ${run.owner.host}`] as const]
]

/** A button that sends one field. */
const sending = (to: string, name: string, value: string, label: string): Html =>
  html` <form method="post" action="${to}" class="inline"><button name="${name}" value="${value}" aria-label="${label}">×</button></form>`

/** A field that is sent by a button. */
const asking = (to: string, name: string, label: string, longest: number): Html =>
  html`<form method="post" action="${to}" class="notes"><label>${label} <input name="${name}" required maxlength="${longest}" autocomplete="off"></label> <button>Add</button></form>`

/** Renders tags and notes. `to` is the place that takes changes, if somebody does. */
const notes = ({ notes: all, tags }: Run, to: string | undefined): Html | undefined =>
  to === undefined && all.length === 0 && tags.length === 0
    ? undefined
    : section(
      "notes",
      "Tags and notes",
      html`<ul>${tags.map((tag) => html`<li>${tag}${to && sending(to, "untag", tag, `Remove the tag ${tag}`)}</li>`)}${
        all.map(({ at, id, text }) =>
          html`<li><span class="muted">${RunFacts.time(at)}</span> ${text}${
            to && sending(to, "forget", id, "Remove the note")
          }</li>`
        )
      }</ul>
${to && html`${asking(to, "tag", "Tag", 64)}${asking(to, "note", "Note", 10_000)}`}`
    )

/** Renders the view. `to` is the place that takes tags and notes, if somebody does. */
export const render = (run: Run, to: string | undefined): Html =>
  html`<p>${RunFacts.state(run.state)}</p>
${run.problems.map((problem) => html`<p class="no" role="alert">${problem}</p>`)}
<dl class="facts columns">${facts(run).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
${section("stages", "Stages", stages(run))}${section("figures", "Figures", figures(run))}${notes(run, to)}${
    section(
      "settings",
      "Settings",
      html`<details><summary>Configuration</summary><pre tabindex="0">${
        JSON.stringify(run.config, undefined, 2)
      }</pre></details>
<details><summary>Machine</summary><pre tabindex="0">${JSON.stringify(run.machine, undefined, 2)}</pre></details>`
    )
  }`
