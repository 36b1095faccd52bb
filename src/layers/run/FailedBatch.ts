/** The files of the batches of failed steps in a run folder. */

/** Their folder within `stages`. */
export const FOLDER = "replay"

const FILE = /^(.+)-step-(\d+)\.safetensors$/

/** Returns the name of a batch among the weights of the run's stages. */
export const nameOf = (stage: string, step: number): string => `${FOLDER}/${stage}-step-${step}`

/** Returns the stage and the step of a file of the folder; `undefined` for a file that holds no batch. */
export const of = (file: string): { readonly stage: string; readonly step: number } | undefined => {
  const [, stage, step] = FILE.exec(file) ?? []
  return stage === undefined ? undefined : { stage, step: Number(step) }
}
