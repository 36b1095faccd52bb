/** The view of what networks see: attention of the class token, and patch features as colours. */
import { Effect, type FileSystem, Path } from "effect"
import type { Told } from "../../domain/values/TaggedError.ts"
import * as OtherWeights from "../../pipelines/artifacts/OtherWeights.ts"
import * as LookFolder from "../../pipelines/look/LookFolder.ts"
import * as LookView from "../../pipelines/look/LookView.ts"
import { type Html, html } from "../../pipelines/report/Html.ts"
import { allDamaged, missing } from "./Missing.ts"
import * as Remade from "./Remade.ts"
import type { Place } from "./View.ts"

/** Reads and renders the looks of a run. */
export const render: (
  place: Pick<Place, "digests" | "id" | "links" | "run">
) => Effect.Effect<Html, Told, FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(function*(place) {
  const { id, links, run } = place
  const path = yield* Path.Path
  const command = `patchword attention ${run.path}/pretrain --images IMAGES --out FOLDER`
  const [looks, errors] = yield* LookFolder.ofRun(run.path)
  const sections = yield* Effect.forEach(
    looks,
    Effect.fnUntraced(function*({ folder, look }) {
      const names = look.shown.flatMap(({ maps, picture }) => [picture, ...maps.map(({ file }) => file)])
      const inside = path.relative(run.path, folder).split(path.sep).join("/")
      const found = new Map(
        yield* Effect.forEach(
          names,
          (name) => Effect.map(links.file({ id, run }, `${inside}/${name}`), (address) => [name, address] as const)
        )
      )
      return LookView.section(look, (name) => found.get(name) ?? "")
    })
  )
  const told = allDamaged(errors)
  return sections.length === 0
    ? told ?? missing("Nobody has looked at what the networks of this run see.", command)
    : html`${told}${yield* Remade.notes(place, looks.map(({ look }) => OtherWeights.look(look)), command)}${sections}`
})
