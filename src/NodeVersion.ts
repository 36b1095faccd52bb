/** The versions of Node.js that patchword runs on. */

/** The oldest one, as in `engines` of package.json. */
export const OLDEST = "22.19"

/** The way to a version that is new enough. */
export const REMEDY = `install Node ${OLDEST} or later`

/** Says that a version of Node.js is too old; nothing of one that is new enough. */
export const refusal = (version: string): string | undefined => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST.split(".").map(Number)
  const isNewEnough = major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)
  return isNewEnough ? undefined : `patchword needs Node ${OLDEST} or later; this is ${version}`
}
