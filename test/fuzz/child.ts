/** A process of a campaign. It runs the cases that it is told to, and tells how each of them ended. */
import * as Examine from "./Examine.ts"
import { readers } from "./readers.ts"

/** The numbers of cases to run of a reader. */
export interface Task {
  readonly reader: string
  readonly seed: number
  readonly from: number
  readonly until: number
}

/** `Began` comes before each case, so that a process that dies is known to have died of it. It has the end of the case before. */
export type News =
  | { readonly _tag: "Began"; readonly index: number; readonly before: Examine.Ended | undefined }
  | { readonly _tag: "Done"; readonly before: Examine.Ended | undefined }

const tell = (news: News): void => void process.send!(news)

const work = async ({ from, reader: name, seed, until }: Task): Promise<void> => {
  const reader = readers.find((one) => one.name === name)!
  const place = Examine.place()
  process.on("exit", () => Examine.leave(place))
  Examine.listen()
  let before: Examine.Ended | undefined
  for (let index = from; index < until; index++) {
    const files = await Examine.inputOf(reader, seed, index)
    tell({ _tag: "Began", index, before })
    before = await Examine.examine(reader, place, files)
  }
  process.send!({ _tag: "Done", before } satisfies News, undefined, undefined, () => process.exit(0))
}

process.once("message", (task) => void work(task as Task))
