import { Effect, FileSystem } from "effect"
import sharp from "sharp"

const square = (colour: string) => ({ body: `<rect width="16" height="16" fill="${colour}"/>` })

const half = { body: "<rect width=\"16\" height=\"16\" fill=\"#000\"/>", height: 32 }

const packages = {
  "@iconify-json/noto": {
    icons: {
      "grinning-squinting-face": square("#f00"),
      "unamused-face": square("#0f0"),
      "person-in-tuxedo": square("#00f")
    },
    chars: {
      "1f606": "grinning-squinting-face",
      "1f612": "unamused-face",
      "1f935": "person-in-tuxedo",
      "1f935-200d-2642-fe0f": "man-in-tuxedo",
      "0030-20e3": "keycap-0"
    }
  },
  "@iconify-json/twemoji": { icons: { laughing: square("#800") }, chars: { "1f606": "laughing" } },
  "@iconify-json/emojione": {
    icons: { laughing: half },
    aliases: { "grinning-squinting-face": { parent: "laughing" } },
    chars: {}
  },
  "@iconify-json/noto-v1": {
    icons: { "person-in-tuxedo": square("#008") },
    aliases: { "man-in-tuxedo": { parent: "person-in-tuxedo" } },
    chars: {}
  },
  "@iconify-json/fluent-emoji-flat": { icons: { sad: square("#333") }, chars: { "1f612": "sad" } }
}

/** Installs made-up packages of emoji into a folder. */
export const install = Effect.fnUntraced(function*(names: ReadonlyArray<string>) {
  const fs = yield* FileSystem.FileSystem
  const root = yield* fs.makeTempDirectoryScoped()
  for (const [name, { chars, ...icons }] of Object.entries(packages)) {
    if (!names.includes(name)) continue
    const folder = `${root}/node_modules/${name}`
    yield* fs.makeDirectory(folder, { recursive: true })
    yield* fs.writeFileString(`${folder}/package.json`, JSON.stringify({ name, version: "0.0.1" }))
    yield* fs.writeFileString(`${folder}/chars.json`, JSON.stringify(chars))
    yield* fs.writeFileString(`${folder}/icons.json`, JSON.stringify({ width: 16, height: 16, ...icons }))
  }
  if (names.includes("@lobehub/fluent-emoji-3d")) {
    const folder = `${root}/node_modules/@lobehub/fluent-emoji-3d`
    yield* fs.makeDirectory(`${folder}/assets`, { recursive: true })
    yield* fs.writeFileString(`${folder}/package.json`, JSON.stringify({ version: "0.0.1" }))
    const picture = sharp({ create: { width: 64, height: 32, channels: 4, background: "#fff" } }).webp({
      lossless: true
    })
    yield* fs.writeFile(`${folder}/assets/1f612.webp`, yield* Effect.promise(() => picture.toBuffer()))
  }
  return root
})

export const all = [...Object.keys(packages), "@lobehub/fluent-emoji-3d"]
