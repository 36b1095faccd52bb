/** The npm packages with the pictures of the emoji, by style. A checkout brings them; the published package does not. */
export const STYLES = {
  noto: { package: "@iconify-json/noto", version: "1.2.9" },
  twemoji: { package: "@iconify-json/twemoji", version: "1.2.5" },
  emojione: { package: "@iconify-json/emojione", version: "1.2.3" },
  "noto-v1": { package: "@iconify-json/noto-v1", version: "1.2.5" },
  flat: { package: "@iconify-json/fluent-emoji-flat", version: "1.2.6" },
  "3d": { package: "@lobehub/fluent-emoji-3d", version: "1.1.0" }
} as const

/** The packages as npm installs them. */
export const packages: ReadonlyArray<string> = Object.values(STYLES).map((style) => `${style.package}@${style.version}`)
